"""Pooling over windows, regions and whole images."""
