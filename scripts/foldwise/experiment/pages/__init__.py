"""README.txt, RESULTS.md and ablation.md."""
