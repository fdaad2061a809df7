"""Everything that touches MLflow; no other package of the product imports it."""
