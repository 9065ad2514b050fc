"""Initial weights, and which activation wants which."""
