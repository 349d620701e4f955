"""Masked-language-model checkpoints: samples, evaluation, statistics, training, search."""
