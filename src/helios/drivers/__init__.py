"""The only place that imports a vendor library: one package per vendor."""
