"""One call of Snakemake: which runs it began, and what became of each."""
