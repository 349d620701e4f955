"""The embedded dataset: how it was selected, and its cards."""
