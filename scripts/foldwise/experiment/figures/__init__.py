"""Figures, each as PNG and SVG, each titled with what it shows."""
