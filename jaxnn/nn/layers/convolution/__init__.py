"""Convolutions of any number of spatial axes, plain and transposed."""
