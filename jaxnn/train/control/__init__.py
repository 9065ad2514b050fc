"""Controllers, which act on a run after each evaluation, inside the compiled program."""
