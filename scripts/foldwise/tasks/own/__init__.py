"""A user's own crystals: structures and targets brought together, once, into a dataset."""
