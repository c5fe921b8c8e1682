"""Google Cloud: subscriptions of Pub/Sub as a source of events."""
