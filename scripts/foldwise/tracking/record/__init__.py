"""What is kept of a run: identity, events, registry, environment, code."""
