"""Activations by name, as pure functions, and the two that have parameters."""
