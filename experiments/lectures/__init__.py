"""The lectures' own programs: each runs as `python -m experiments.lectures.NAME`."""
