"""Probes: diagnostics computed inside the compiled step."""
