"""The control bus: commands, the events that belong together, and what is told to others."""
