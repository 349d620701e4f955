"""From trained models' predictions to the folder that a reader opens: `results/{experiment}/`."""
