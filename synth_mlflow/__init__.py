"""Synthetic training data on MLflow: documented, repeatable, and possible to hand over."""
