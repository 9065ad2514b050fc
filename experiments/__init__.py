"""Programs that use jaxnn. Each module is one: `python -m experiments.NAME` runs it."""
