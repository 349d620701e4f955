"""A joint pretraining on several tasks."""
