"""Controllers: what acts on a run after each evaluation, inside the compiled program."""
