"""The life of a run: identity, records, registry, decisions, comparison, export, pre-flight."""
