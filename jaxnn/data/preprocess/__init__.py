"""Preprocessing as fit, apply and invert, with a state that can be saved."""
