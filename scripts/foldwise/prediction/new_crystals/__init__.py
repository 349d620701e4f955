"""Answers for crystals from outside: read, converted, answered and written part by part."""
