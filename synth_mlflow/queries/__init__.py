"""Questions about a finished project, which change nothing: status, trace, identify, export, whether to rerun."""
