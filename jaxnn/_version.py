"""The version, where packaging and run records both find it."""

__version__ = "0.1.0"
