"""Azure: topics of Event Grid namespaces as a source of events."""
