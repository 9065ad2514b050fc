"""The members of a population: their states, who trains, and what ended each."""
