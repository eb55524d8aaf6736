"""Baselines, measures and the bench: what the model is held against."""
