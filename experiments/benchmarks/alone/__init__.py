"""Programs that each measure one thing. `python -m experiments.benchmarks.alone.NAME` runs one."""
