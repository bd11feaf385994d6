"""All of it: `.venv/bin/python -m benchmarks.bump`."""

from __future__ import annotations

from benchmarks.bump import pins, traffic

pins.main()
traffic.main()
