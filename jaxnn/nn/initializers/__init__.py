"""Initializers of weights and biases, and which one suits which activation."""
