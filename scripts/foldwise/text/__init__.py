"""Language models as teachers: crystals as text, prompts, answers as numbers, all kept."""
