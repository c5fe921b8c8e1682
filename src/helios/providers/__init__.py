"""Whoever sends us events and holds content: one small class each, asked by capability."""
