"""Foldwise: honest ensemble-and-distillation studies on the official folds of a benchmark."""
