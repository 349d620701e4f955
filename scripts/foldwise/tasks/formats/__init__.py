"""Crystals in the formats that people have: files, frames, databases and tables."""
