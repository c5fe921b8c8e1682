"""Files: what an offline run reads, keeps aside while it runs, and writes."""
