"""Files as text and nodes with positions: YAML, JSON, HCL."""
