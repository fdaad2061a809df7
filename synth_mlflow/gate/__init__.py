"""The gate between a batch and training: the policy in force, and verdicts recomputed from recorded numbers."""
