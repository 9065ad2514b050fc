"""Checks of the network and its loss, made on a few examples."""
