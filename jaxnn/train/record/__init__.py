"""What a run measured and where it stands, in memory and on disk."""
