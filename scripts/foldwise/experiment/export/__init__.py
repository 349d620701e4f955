"""The trained models of an experiment as a folder for others to use."""
