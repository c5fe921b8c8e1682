"""That stacks were looked at and nothing had changed.

A quiet pass appends nothing of its own; once in a while one event tells of many stacks at once when
each was last seen to be as it is known.
"""

from collections.abc import Mapping

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.reconcile.compositions import events

TYPE = "StacksVerified"
AGGREGATE_TYPE = "helios.reconciler"
AGGREGATE_ID = "verified"
STACKS_MAX = 1_000
"""Stacks of one event."""


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `StacksVerified`: when each stack was last looked at as a whole."""

    stacks: Mapping[str, clocks.Timestamp]


def told(
    client_id: str,
    stacks: Mapping[str, clocks.Timestamp],
    *,
    now: clocks.Timestamp,
    id_source: ids.Ids,
) -> list[envelope.NewEvent]:
    """The events that tell of them."""
    names = sorted(stacks)
    return [
        events.made(
            TYPE,
            (client_id, AGGREGATE_TYPE, AGGREGATE_ID),
            Verified(stacks={name: stacks[name] for name in names[begin : begin + STACKS_MAX]}),
            now=now,
            event_id=id_source.new(),
        )
        for begin in range(0, len(names), STACKS_MAX)
    ]
