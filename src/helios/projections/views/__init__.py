"""One module per view: its tables, what it does with an event, its queries."""
