"""Groups, samples and diagnostics: the tables of a result folder, worst first."""
