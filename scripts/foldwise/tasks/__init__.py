"""One task: official names and folds, sources, targets, ids, splits."""
