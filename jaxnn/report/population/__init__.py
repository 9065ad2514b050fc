"""The page of a population: what of all its members is drawn and told."""
