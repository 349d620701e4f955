"""Foldwise: honest ensemble-and-distillation studies on the official folds of a benchmark."""

import os

# OpenMP's threads spin after each of PyTorch's loops and take the cores from the fused kernels'
# threads, which doubles a step's time. This must stand before PyTorch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
