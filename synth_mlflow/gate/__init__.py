"""What is decided from recorded evidence: whether a batch may enter training, and whether a model must be rebuilt."""
