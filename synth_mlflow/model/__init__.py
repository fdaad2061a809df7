"""Models, their scores, the curve over ratios and its statistics. Pure functions: nothing here knows a server."""
