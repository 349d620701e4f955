"""A real Slurm of two nodes on one machine, faults injected there, and what they cost."""
