"""From the files of a fold to trained models: samples, soft targets, steps, epochs, resume."""
