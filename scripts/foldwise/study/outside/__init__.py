"""Recipes of models that are not this project's network, and experiments that mix them."""
