"""Texts, their morphemes, and the corpus that they are cut into."""
