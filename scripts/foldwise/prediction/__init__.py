"""Answers of one model, views at test time, averages of several models."""
