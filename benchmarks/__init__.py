"""Measurements: `python -m benchmarks` makes all, `… .NAME --help` one."""
