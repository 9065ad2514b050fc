"""Gradients compared with differences of the loss, in float64 on the CPU backend."""
