"""A Slurm cluster: what jobs ask for, what a site allows, and what is left of a dead call."""
