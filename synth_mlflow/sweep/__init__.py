"""The sweep: its plan, fits, curve over ratios and statistics. Pure functions: nothing here knows a server."""
