"""The stages that change a project: define, freeze, generate, validate, sweep; and the training data."""
