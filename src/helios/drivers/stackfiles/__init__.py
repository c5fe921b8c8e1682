"""Files of a stack on this machine, below one folder."""
