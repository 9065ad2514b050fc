"""The lectures' own programs. `python -m experiments.lectures.NAME` runs one."""
