"""What a stack costs to build, cold and after a change, and to plan."""
