"""What users hand over as data, brought to one form: dense arrays of numbers in a dict."""
