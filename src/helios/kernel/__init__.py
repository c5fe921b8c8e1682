"""Used by all, knows nobody: time, ids, errors, bounds, where blocking calls run."""
