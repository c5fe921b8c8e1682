"""What a contract says of one key.

A verdict is immutable. When a later event of the key changes the judgement, a new verdict
supersedes the old one; the history stays. Nothing in a verdict depends on when or how often it
was computed: the same log gives the same verdicts with the same ids, after any crash or rebuild.
"""

from typing import Any, Literal, TypeAlias

import msgspec

from helios.kernel import clock

Status: TypeAlias = Literal["matched", "mismatched", "partial", "pending"]
"""`pending` is never stored: it is what a reader is told of a key whose window is still open."""

Place: TypeAlias = tuple[str, str, str, int, int]
"""Tenant, contract, key, window and revision: which verdict it is."""

STATUSES: tuple[Status, ...] = ("matched", "mismatched", "partial", "pending")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement of one key in one window.

    Attributes:
        tenant: whose contract it is.
        contract: its name.
        contract_version: the declaration it was judged under, from 1.
        key: what the events have in common: an order id.
        window_start, window_end: event time, microseconds.
        window_id: 0 for windows per key, else what tells the windows of a key apart: their start.
        revision: 1, 2, 3 … : the number of this verdict among those of the key and window.
        status: matched, mismatched or partial.
        events: ids of the events of each leg, in order of event time; absent legs are left out.
        missing_events: required legs of which nothing came.
        validation_errors: of each rule that fails: `{"expected": …, "actual": …}`, or
            `{"rule_error": reason}` when it cannot be evaluated, or `{"count": n}` when a leg of
            cardinality one has several events.
        events_count: how many events were judged; duplicates are not counted.
        late: caused by an event that came after the window had closed.
        superseded_by: id of the verdict that replaced this one.
        position: place in the log (offline: number in the input) of what caused it.
        created_at: event time of the watermark when it was decided, microseconds.
        reconciled_at: event time of the event that completed the key; None while partial.
    """

    tenant: str
    contract: str
    contract_version: int
    key: str
    window_start: clock.Timestamp
    window_end: clock.Timestamp
    window_id: int = 0
    revision: int
    status: Status
    events: dict[str, list[str]]
    missing_events: list[str]
    validation_errors: dict[str, dict[str, Any]]
    events_count: int
    late: bool
    position: int
    created_at: clock.Timestamp
    superseded_by: str | None = None
    reconciled_at: clock.Timestamp | None = None

    @property
    def id(self) -> str:
        """`order-fulfilment/ORD-7/1`: the same however often it is computed."""
        return verdict_id(self.contract, self.key, self.window_id, self.revision)

    @property
    def place(self) -> Place:
        """Which verdict it is."""
        return (self.tenant, self.contract, self.key, self.window_id, self.revision)

    @property
    def supersedes(self) -> str | None:
        """The id of the verdict that this one replaces."""
        if self.revision <= 1:
            return None
        return verdict_id(self.contract, self.key, self.window_id, self.revision - 1)


def verdict_id(contract: str, key: str, window_id: int, revision: int) -> str:
    """The id of a verdict, from what it is the verdict of; unique within a tenant."""
    window = f"@{window_id}" if window_id else ""
    return f"{contract}/{key}{window}/{revision}"
