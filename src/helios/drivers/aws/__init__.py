"""AWS, through its own SDK; installed with `helios[aws]`."""
