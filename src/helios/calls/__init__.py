"""Parts of the typed client, one for each group of operations; `helios.client` puts them together."""
