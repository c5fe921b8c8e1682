"""Sources: who may send events, how each is told to be authentic, and those that we go and ask.

A source is declared (`helios sources apply -f sources.yaml`, or the API); declarations are events,
the view `sources` holds the current ones. A declaration names secrets by reference and never
holds one. Doors (`/webhook/…`) look a source up for each delivery; runners (queues, subscriptions,
topics, pollers) are started for the sources that need them and stopped with them.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.providers import ports as providers

API_VERSION = "helios.io/v1"
KIND = "Source"
BODY_BYTES_MAX = 1 << 20
"""Size of one delivery, unless a declaration says another."""


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token bucket.

    Attributes:
        per_s: tokens that come back each second.
        burst: most tokens it holds.
    """

    per_s: float = 5_000.0
    burst: int = 10_000


class Polling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a source that can be polled is polled, in microseconds.

    Attributes:
        every: pause between polls.
        overlap: how far before the last change seen each poll begins.
        compare_every: pause between comparisons of what is there with what is known, which find
            deletions and whatever else nobody told.
        grace: how long a webhook may take before its absence is a gap.
    """

    every: int = 300 * clocks.SECOND_US
    overlap: int = 600 * clocks.SECOND_US
    compare_every: int = 24 * 3600 * clocks.SECOND_US
    grace: int = 60 * clocks.SECOND_US


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One declared source.

    Attributes:
        name, client_id: it is found by both; `name` is the events' `source` in the log.
        provider: name of the adapter (`shopify`, `standard-webhooks`), or of a runner
            (`aws-sqs`, `gcp-pubsub-pull`, `azure-eventgrid-pull`, `kafka`).
        secrets: references, newest first; each active one may verify.
        credentials: references by name, for the provider's API or the cloud.
        options: settings of the adapter or runner, as declared.
        schemas: JSON Schema by event type; what does not fit is a dead letter.
        rate: its token bucket.
        body_bytes_max: of one delivery.
        content_encoding: whether gzip bodies are taken.
        poll: how it is polled; None: it is not.
        paused: nothing is fetched; deliveries by webhook are still taken.
        environment: such as `prod`; kept in each event's metadata.
        origin: the source of the system whose events come through this queue or topic: it is asked
            for those that did not come.
        version: raised with each declaration.
    """

    name: str
    client_id: str = envelope.DEFAULT_TENANT
    provider: str
    secrets: tuple[str, ...] = ()
    credentials: Mapping[str, str] = {}
    options: Mapping[str, Any] = {}
    schemas: Mapping[str, Any] = {}
    rate: Rate = Rate()
    body_bytes_max: int = BODY_BYTES_MAX
    content_encoding: bool = False
    poll: Polling | None = None
    paused: bool = False
    environment: str | None = None
    origin: str | None = None
    version: int = 1


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A declared source with what a delivery for it needs.

    Attributes:
        declared: as it was declared.
        source: the same as the adapter sees it: secrets loaded, options read.
        provider: the adapter.
    """

    declared: Declared
    source: providers.Source
    provider: providers.Provider


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """There was such a source; its sender is told not to come again.

    Attributes:
        answers: those of the provider it had.
    """

    answers: providers.AnswerPolicy = providers.AnswerPolicy()


Again: TypeAlias = Callable[
    [Any, str, Sequence[tuple[str, str]], bytes],
    "tuple[providers.Received, ...] | providers.UnprocessableError",
]
"""Reads once more what a runner fetched: (options, origin, headers, body), the last three as
`Fetched` had them, the body maybe edited."""


class Fetching(msgspec.Struct, frozen=True, kw_only=True):
    """A source that has no door, ready for use.

    Attributes:
        declared: what was declared.
        options: the settings of its runner.
        again: how a message of it is read once more; None: it cannot be.
    """

    declared: Declared
    options: Any
    again: Again | None


class AnySource(Protocol):
    """Finds a source whatever its kind."""

    async def find_any(self, client_id: str, name: str) -> Found | Fetching | Removed | None:
        """As `Sources.find`, and sources without a door too. Raises StorageError likewise."""
        ...


class Sources(Protocol):
    """Finds the source that a delivery names."""

    async def find(self, client_id: str, name: str) -> Found | Removed | None:
        """The source of a client by its name; None: there never was one.

        Asked for each delivery: an implementation answers from memory.

        Raises:
            StorageError: it is declared, and a secret of it cannot be read now.
        """
        ...


Result: TypeAlias = Literal["stored", "duplicate", "dead", "ignored"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one fetched delivery, once it is durable.

    Attributes:
        position: to wait for; 0 when nothing was written.
        results: one per event in it, in order.
    """

    position: int = 0
    results: tuple[Result, ...] = ()


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner got from a queue, a subscription or a topic.

    Attributes:
        origin: where from, for dead letters and for people (`topic/partition/offset`, a queue's
            message id); no secret.
        body: the raw bytes of the message.
        received: the events in it, or the error that says why there are none.
        attempt: which try of the sender this is, if it says so.
        headers: what came beside the body and is needed to read it again (Kafka's headers and
            key); none with a secret. For dead letters.
    """

    origin: str
    body: bytes
    received: tuple[providers.Received, ...] | providers.UnprocessableError
    attempt: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Gate(Protocol):
    """Where runners and pollers hand in what they got; the same gate that webhooks pass."""

    async def admit(self, source: Declared, fetched: list[Fetched]) -> list[Outcome]:
        """Schema, dedup, append; what cannot be taken becomes a dead letter. Durable on return.

        Returns:
            One outcome per item, in order. Afterwards each item may be acknowledged.

        Raises:
            OverloadError, StorageError: nothing was taken; acknowledge nothing, come again later.
        """
        ...


State: TypeAlias = Literal[
    "starting", "running", "paused", "waiting", "standby", "failed", "stopped"
]


class Status(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """How a runner is doing.

    Attributes:
        state: `waiting`: backing off after an error, `detail` says which; `standby`: another
            process fetches; `failed`: it needs a person.
        lag: messages not yet fetched, if the sender tells; `lag_s` the age of the oldest.
        last_event_at: when it last handed something in.
        fetched, duplicates, dead: counted since it started.
        gaps: likewise, events that a poll found and no webhook brought.
    """

    state: State
    detail: str = ""
    lag: int | None = None
    lag_s: float | None = None
    last_event_at: clocks.Timestamp | None = None
    fetched: int = 0
    duplicates: int = 0
    dead: int = 0
    gaps: int = 0


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be fetched again; what is in the log already is a duplicate and nothing happens.

    Attributes:
        since: everything from this time on.
        ids: these events only, where the source can look them up.
    """

    since: clocks.Timestamp | None = None
    ids: tuple[str, ...] = ()


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay brought; `complete` is False when it will go on arriving by itself."""

    fetched: int = 0
    stored: int = 0
    duplicates: int = 0
    dead: int = 0
    complete: bool = True


class Runner(Protocol):
    """Fetches from one source for as long as it runs."""

    async def run(self) -> None:
        """Fetch and hand in until cancelled. Connects again after errors, with backoff and jitter;
        never ends by itself.
        """
        ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    async def status(self) -> Status: ...

    async def replay(self, what: Replay) -> Replayed:
        """Fetch again, beside what runs.

        Raises:
            InvalidInputError: this source cannot, or not this way; says what it can.
        """
        ...


@runtime_checkable
class Polls(Protocol):
    """A runner that asks for changes, and can be told to do so now."""

    def poll_now(self) -> None:
        """Have `run` ask as soon as may be."""
        ...

    async def poll(self) -> None:
        """Ask once, where `run` does not run. Raises as `replay`."""
        ...


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner is given; `outbound` and vault stand in `source` and `api`."""

    declared: Declared
    source: providers.Source
    gate: Gate
    clock: clocks.Clock
    random: Callable[[], float]
    """Uniform in [0, 1), for jitter."""
    api: providers.Api


Factory: TypeAlias = Callable[[Tools], Awaitable[Runner]]
"""Makes a runner. Raises InvalidInputError for options it does not understand, and StorageError
naming the extra when its SDK is not installed."""
