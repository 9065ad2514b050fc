"""Layers as Linen modules and pure functions."""
