"""Errors, files, schemas, templates, progress: what every room stands on."""
