"""The review that closes every run."""
