"""Fused CPU kernels of CHGNet's message layers, compiled on first use."""
