"""Every bound of Helios, named. What happens at each is written beside it."""

EVENT_BYTES_MAX = 1 << 20
"""Payload plus metadata of one event. Above: refused (413), or a dead letter offline."""

JSON_DEPTH_MAX = 64
"""Nesting of untrusted JSON. Above: refused (400), or a dead letter offline."""

CONTAINER_BYTES_MIN = 8
"""Bytes of untrusted JSON for each object or array in it, where there are more than 50,000. Below:
refused (400), or a dead letter; it is made to take memory."""

NUMBER_DIGITS_MAX = 200
"""Digits of a number a rule reads. Above: dead letter; it is damage, and exact sums would cost."""

ID_CHARS_MAX = 512
"""Characters of an event id, source, type, key, aggregate id. Above: refused."""

BODY_BYTES_MAX = 8 << 20
"""One HTTP request body (a batch). Above: refused (413)."""

BODIES_BYTES_MAX = 128 << 20
"""Bodies of requests that are being read or answered, together; those of webhooks apart from all
others. Above: `OverloadError` (503 with Retry-After)."""

BODY_S_MAX = 30.0
"""How long the body of a request may take that comes in several pieces. Above: the connection is
closed without an answer, which every sender takes for a failure."""

BATCH_EVENTS_MAX = 5_000
"""Events in one ingest batch. Above: refused (413)."""

COMMIT_EVENTS_MAX = 4_096
"""Events in one group commit. Above: the rest waits for the next commit."""

COMMIT_BYTES_MAX = 8 << 20
"""Payload bytes in one group commit. Above: the rest waits for the next commit."""

QUEUE_EVENTS_MAX = 50_000
"""Events waiting for a commit. Above: `OverloadError` (503 with Retry-After)."""

QUEUE_BYTES_MAX = 64 << 20
"""Payload bytes waiting for a commit. Above: `OverloadError` (503 with Retry-After)."""

PAGE_EVENTS_MAX = 1_000
"""Events in one page of a read. Above: clipped to it."""

PAGE_BYTES_MAX = 8 << 20
"""Payload bytes of one page read from SQLite. Above: the page ends there, after one event at
least."""

SCAN_EVENTS_MAX = 20_000
"""Events one page of a filtered read looks at. Above: the page ends there, maybe empty."""

RECENT_EVENTS_MAX = 4_096
"""Newest events held in memory for who follows the log. Older: read from the storage."""

RECENT_BYTES_MAX = 8 << 20
"""Their payload bytes. Above: read from the storage."""

VIEW_BATCH_EVENTS = 1_000
"""Events a projection applies in one transaction."""

WAIT_S_MAX = 30.0
"""Longest wait for a view or a position. At the end: `DeadlineError` (504)."""

IDEMPOTENCY_TTL_S = 24 * 3600
"""How long an idempotency key is remembered. Afterwards the same key is a new request."""

DIGEST_TTL_S = 8 * 24 * 3600
"""How long the digest of a delivery is remembered whose id nothing signs: longer than any sender
tries again, so that a recorded delivery sent anew under another id is found out."""

LINE_BYTES_MAX = 16 << 20
"""One line of an input file. Above: a dead letter that keeps the first kilobyte."""

CLOCK_SKEW_S_MAX = 300
"""How far an event time may lie in the future. Above: it is cut to that, and the metadata keep
what was claimed, so that one wrong clock does not close everybody's windows."""

INFLATE_RATIO_MAX = 200
"""Decompressed over compressed bytes of a request body. Above: refused (413)."""

STREAMS_MAX = 200
"""Live event streams held open by one server. Above: `OverloadError` (503 with Retry-After)."""

PULSE_POINTS_MAX = 60
"""Samples of what flows that are kept for the overview. Above: the oldest go."""

PULSE_EVENTS_MAX = 2_000
"""Events since the last sample that are counted one by one. Above: the newest are, and the rest is
reckoned from them."""

OVERVIEWS_MAX = 500
"""Overviews of different readers that are kept for a second. Above: all are made anew."""

ATTENTION_MAX = 50
"""Things that need attention in one overview. Above: the least urgent are left out."""

FILTER_CHARS_MAX = 2_000
"""Characters of a filter expression. Above: refused (400)."""

FILTER_TERMS_MAX = 50
"""Terms of a filter expression. Above: refused (400)."""

FILTER_VALUES_MAX = 100
"""Values of one term. Above: refused (400)."""

SEARCH_S_MAX = 2.0
"""How long one page of a search goes on. At the end it ends there, with a cursor to go on."""

SEARCH_EVENTS_MAX = 200_000
"""Events one page of a search looks at. Above: the page ends there, with a cursor to go on."""

SEARCH_PAYLOAD_BYTES_MAX = 64 << 10
"""Bytes of a payload in the results of a search. Above: it is left out, and its size told."""

SAMPLE_EVENTS_MAX = 2_000
"""Newest events that suggestions and densities are reckoned from. Older: not looked at, or
reckoned."""

BUCKETS_MAX = 240
"""Buckets of a histogram, or windows of a rate. Above: refused (400)."""

VERDICTS_SCAN_MAX = 10_000
"""Verdicts that one answer looks at. Above: it ends there, with a cursor to go on, or says that it
is not of all."""

VERDICTS_COUNTED_MAX = 50_000
"""Verdicts of one contract that are counted for rates over time. Above: the oldest are not."""

TIMELINE_EVENTS_MAX = 200
"""Events, and verdicts, of one key that its timeline shows. Above: the newest."""

GRAPH_NODES_MAX = 150
"""Nodes of a graph of a stack. Above: what is well is folded into groups."""

GRAPH_EDGES_MAX = 600
"""Edges of it. Above: the rest is left out."""

SAVED_VIEWS_MAX = 200
"""Saved views of one person, and shared ones of one client. Above: refused (409)."""

SAVED_VIEW_BYTES_MAX = 64 << 10
"""One saved view. Above: refused (413)."""

SAVED_VIEW_TITLE_MAX = 120
"""Characters of its title. Above: refused (400)."""

JOBS_RUNNING_MAX = 4
"""Jobs that one process has under way. Above: `OverloadError` (503 with Retry-After)."""

JOBS_KEPT_MAX = 200
"""Jobs that are remembered. Above: those that ended first are forgotten."""

JOB_FAILURES_SHOWN = 20
"""Failures of one job that are shown. Above: they are counted only."""

JOB_STOP_S = 5.0
"""Longest wait for a job that was cancelled to end what it is at."""

LETTERS_FILTERED_MAX = 10_000
"""Dead letters that a filter expression is asked of for a preview. Above: counted up to there."""

DRIFTS_CHOSEN_MAX = 1_000
"""Open drifts that one order is about. Above: the newest."""
