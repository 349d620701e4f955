"""The content of `results.json` and of the submission files."""
