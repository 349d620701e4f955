"""What an experiment is judged from, read and checked."""
