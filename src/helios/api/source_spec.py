"""What a declaration of a source says, for who does not read YAML."""

from collections.abc import Mapping

import msgspec

from helios.ingest import sources
from helios.kernel import clock as clocks


class PollView(msgspec.Struct, frozen=True, kw_only=True):
    """How a source is polled, in seconds; see `sources.Polling`."""

    every_s: float
    overlap_s: float
    compare_every_s: float
    grace_s: float


class SourceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The declared settings of a source.

    Attributes:
        secrets: references, newest first; never a value.
        credentials: references by the name that the provider uses.
        environment: kept in the metadata of each event.
        origin: the source whose events come through this queue or topic.
        types: event types that have a schema.
        rate_per_s, burst: its token bucket.
        poll: null when it is not polled.
    """

    secrets: list[str]
    credentials: Mapping[str, str]
    environment: str | None
    origin: str | None
    types: list[str]
    rate_per_s: float
    burst: int
    body_bytes_max: int
    poll: PollView | None


def of(declared: sources.Declared) -> SourceSpec:
    """The settings of a declaration."""
    return SourceSpec(
        secrets=list(declared.secrets),
        credentials=declared.credentials,
        environment=declared.environment,
        origin=declared.origin,
        types=sorted(declared.schemas),
        rate_per_s=declared.rate.per_s,
        burst=declared.rate.burst,
        body_bytes_max=declared.body_bytes_max,
        poll=None if declared.poll is None else _poll(declared.poll),
    )


def _poll(told: sources.Polling) -> PollView:
    return PollView(
        every_s=told.every / clocks.SECOND_US,
        overlap_s=told.overlap / clocks.SECOND_US,
        compare_every_s=told.compare_every / clocks.SECOND_US,
        grace_s=told.grace / clocks.SECOND_US,
    )
