"""Pure functions on arrays: error metrics, bootstrap intervals, and how numbers become words."""

STAR_REPLICATES = 3
"""Replicates that each side of a comparison needs for a star."""
LEVEL = 0.05
"""Share of studies without any true difference in which a star may appear."""
