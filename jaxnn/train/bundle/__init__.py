"""What answers for raw inputs: a model, its parameters, and the encoding of its data."""
