"""Fitting a language model: a head on its states, adapters in its layers."""
