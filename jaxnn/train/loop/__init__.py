"""The one compiled loop, and the host's side that drives it."""
