"""Looks at what answers on the network: HTTP, TCP, names, certificates."""
