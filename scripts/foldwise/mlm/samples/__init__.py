"""Frozen coreference samples and Ko-LAMBADA blanks."""
