"""Events out of the log, to whoever subscribed to them."""
