"""What a test set shares with its training set: formulas and structures."""
