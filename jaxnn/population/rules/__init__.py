"""What acts on a population between epochs."""
