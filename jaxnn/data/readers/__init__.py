"""Readers of files and downloads, which trust nothing that a file declares about itself."""
