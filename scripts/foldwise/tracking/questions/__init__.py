"""What is asked of the record: comparison, tables, stability, what may be pruned."""
