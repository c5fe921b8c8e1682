"""Tells people of drift and of what was done about it: Slack, PagerDuty, e-mail, webhook."""
