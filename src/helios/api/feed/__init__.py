"""The live feed: what has changed, so that a page knows what to read again.

`topics` says which event is news of what, `changes` puts news into messages, `watching` sees what
is no event (verdicts, how far the views are), `following` joins both into a stream that can be
resumed, and `sockets` speaks it over web sockets; server-sent events are a route.
"""
