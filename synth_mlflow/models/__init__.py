"""Models: fit, score, tune, and what a served model reads. Pure functions: nothing here knows a server."""
