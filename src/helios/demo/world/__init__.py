"""A small world for stacks to be about: a CMS, a shop and a site, real over HTTP on loopback.

Helios talks to it with the adapters that it has for Strapi and WooCommerce, looks at its files and
pages, builds its site. Nothing in here knows of Helios but the webhooks that lead to it.

`cms`, `shop` hold state without I/O; `web` serves them; `faults` says what goes wrong and when;
`script` does it; `ledger` compares what was put in with what Helios says.
"""
