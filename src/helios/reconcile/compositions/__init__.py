"""Declared stacks: drift found, planned, approved, healed."""
