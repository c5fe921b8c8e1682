"""Settings that change while Helios runs: what there is, who changed what, and what acts now."""
