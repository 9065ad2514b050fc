"""The progress of a run or of a population: on a terminal, in a notebook or in a log."""
