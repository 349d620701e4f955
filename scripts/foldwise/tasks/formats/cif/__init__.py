"""CIF, read strictly: a file whose atoms or symmetry would have to be guessed is refused."""
