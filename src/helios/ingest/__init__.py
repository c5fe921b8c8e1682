"""From the outside world into the log: parse, validate, append or set aside."""
