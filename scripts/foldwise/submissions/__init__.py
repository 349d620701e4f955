"""Recorded teachers: read, check, combine the predictions of public submissions."""
