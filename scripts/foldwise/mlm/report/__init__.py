"""Rates with intervals, groups, figures, the result folder and the summary."""
