"""Parts of the typed client, one for each group of operations; see `helios.client`."""
