"""Checks of the data, which need no network."""
