"""Delivers messages to people: Slack, PagerDuty, webhooks by the one HTTP client, and e-mail."""
