"""Runs for elsewhere: a zip that runs again, and MLflow."""
