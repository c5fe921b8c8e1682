"""SQLite: the log and the views of the embedded setting."""
