"""From history to current state: views, their checkpoints, their rebuild."""
