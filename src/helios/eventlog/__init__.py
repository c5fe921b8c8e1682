"""The source of truth: what happened, append-only and totally ordered."""
