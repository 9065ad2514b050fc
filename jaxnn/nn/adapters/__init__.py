"""Models of any library in one form, and what is done to a model as a whole."""
