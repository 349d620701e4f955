"""What the site reads: result folders, the registry, structures. Nothing here is recomputed."""
