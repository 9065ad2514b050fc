"""Programs that show jaxnn at work: `python -m experiments.NAME`, one module a program."""
