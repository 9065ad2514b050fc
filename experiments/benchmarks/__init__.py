"""Benchmarks behind the figures that jaxnn states: ratios within one run, with their spread."""
