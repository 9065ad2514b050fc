"""Data sets of tables: CSV files and data frames."""
