"""The hash chain that links group commits.

Each commit stores SHA-256 over the hash of the commit before it and the canonical bytes of its
events. Who changes, drops, inserts or reorders anything stored must recompute every later hash,
and whoever kept one of them notices.

Canonical bytes of an event are the MessagePack encoding, shortest form throughout, of the array

    [position, sequence, recorded_at, id, source, type, version, tenant, aggregate_type,
     aggregate_id, occurred_at, actor, correlation_id, causation_id, payload, metadata]

with integers as int, text as str, absent ids as nil, payload and metadata as bin. It holds nothing
of a backend, so a log copied from one to another keeps its hashes; the identity of the log is left
out for the same reason. Every MessagePack value is self-delimiting, so two different lists of
events never give the same bytes.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from helios.eventlog import commit, envelope
from helios.kernel import clock

GENESIS = bytes(32)
"""The hash before the first commit."""

_encode_into = msgspec.msgpack.Encoder().encode_into


def link(previous: bytes, rows: Sequence[commit.Row], recorded_at: clock.Timestamp) -> bytes:
    """The hash of a commit that is about to be written.

    Args:
        previous: hash of the commit before, `GENESIS` for the first.
        rows: what the commit holds, in order of position.
        recorded_at: its time of append.
    """
    buffer = bytearray(previous)
    for position, sequence, event in rows:
        _write(buffer, position, sequence, recorded_at, event)
    return hashlib.sha256(buffer).digest()


def relink(previous: bytes, events: Iterable[envelope.Event]) -> bytes:
    """The hash of a commit as it was read back, to be compared with the stored one."""
    buffer = bytearray(previous)
    for event in events:
        _write(buffer, event.position, event.sequence, event.recorded_at, event)
    return hashlib.sha256(buffer).digest()


def canonical(event: envelope.Event) -> bytes:
    """The canonical bytes of one event."""
    buffer = bytearray()
    _write(buffer, event.position, event.sequence, event.recorded_at, event)
    return bytes(buffer)


def _write(
    buffer: bytearray,
    position: int,
    sequence: int,
    recorded_at: int,
    event: envelope.NewEvent | envelope.Event,
) -> None:
    _encode_into(
        (
            position,
            sequence,
            recorded_at,
            event.id,
            event.source,
            event.type,
            event.version,
            event.tenant,
            event.aggregate_type,
            event.aggregate_id,
            event.occurred_at,
            event.actor,
            event.correlation_id,
            event.causation_id,
            event.payload,
            event.metadata,
        ),
        buffer,
        -1,
    )
