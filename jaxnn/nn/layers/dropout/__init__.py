"""Layers that draw: dropout of units and weights, and noise that multiplies."""
