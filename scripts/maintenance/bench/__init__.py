"""The engine's speed against stock CHGNet's, on the same work in one process run."""
