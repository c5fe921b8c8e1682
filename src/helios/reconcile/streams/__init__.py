"""Contracts over event streams: which events must come together, when, and agree on what."""
