"""The handoff document: plain data, rendered as Markdown, HTML and JSON."""
