"""Tables and what is said about them: columns, digests, slices, splits, statements, records."""
