"""What the registry of runs is told about trainings, evaluations and searches."""
