"""Kafka: topics as a source of events, and as a place to send them to."""
