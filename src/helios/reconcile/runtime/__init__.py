"""What every reconciler runs on: a keyed queue, workers, resync, wake-ups, shards with fences."""
