"""To people and programs over HTTP: parse, authorise, call, render."""
