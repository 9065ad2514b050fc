"""One step as pure functions: state, objective, gradient, update, and what a probe may see."""
