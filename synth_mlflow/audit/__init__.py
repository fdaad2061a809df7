"""Evidence looked at again: verify, reproduce, blame, sign, retract."""
