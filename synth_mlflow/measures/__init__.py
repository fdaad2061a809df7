"""Statistics that compare two tables, as pure functions; ``*_distance`` is better low, ``*_score`` better high."""
