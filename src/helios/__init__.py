"""Helios keeps declared facts true across systems that you do not control."""
