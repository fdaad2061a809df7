"""Rows from prompts to a language model: the endpoint, its answers, and the rows in them."""
