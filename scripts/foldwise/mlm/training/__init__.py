"""Vocabulary, training examples, training and search."""
