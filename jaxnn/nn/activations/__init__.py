"""Activation functions, and the table of them by name."""
