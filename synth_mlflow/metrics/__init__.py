"""Statistics that compare tables: pure functions of arrays and frames, which have heard of no check and no server.

``*_distance``, ``*_gap`` and ``*_risk`` are better low, ``*_score`` better high.
"""
