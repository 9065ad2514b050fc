"""Files and downloads, read without trusting what they claim."""
