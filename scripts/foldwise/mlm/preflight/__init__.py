"""Before a long masked-LM run: trials of its trainings and evaluations, and the time of all."""
