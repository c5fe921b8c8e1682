"""What the log needs of a storage, and what it offers to everyone else.

`LogStorage` is implemented by `helios.drivers`; `EventLog` (see `log.py`) is built on it and is
what the rest of Helios sees. The split keeps group commit, back-pressure, waiting and checking in
one place for all backends, and leaves a backend the three things that only it can do: commit a
batch atomically and durably, read in order, and hear of commits of other processes.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock, limits


class Idempotency(msgspec.Struct, frozen=True, kw_only=True):
    """The client's name for one command.

    Attributes:
        scope: tenant, principal and route, joined; two scopes never see each other's keys.
        key: what the client sent, at most 255 characters.
        request_hash: digest of the request; the same key with another digest is refused.
        ttl_s: how long it is remembered. Afterwards the same key is a new request.
    """

    scope: str
    key: str
    request_hash: bytes
    ttl_s: int = limits.IDEMPOTENCY_TTL_S

    def expires_at(self, recorded_at: clock.Timestamp) -> clock.Timestamp:
        """The first moment at which it is forgotten, given when it was kept."""
        return clock.Timestamp(recorded_at + self.ttl_s * clock.SECOND_US)


class AppendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One caller's append: all of it or nothing.

    Attributes:
        events: at least one; of two with the same dedup key the second is a duplicate.
        expected: for some aggregates, the sequence their last event must have (0: none yet).
        idempotency: the command's key, if it has one.
    """

    events: Sequence[envelope.NewEvent]
    expected: Mapping[envelope.AggregateKey, int] = {}
    idempotency: Idempotency | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One group commit, as the hash chain sees it.

    Attributes:
        first, last: positions it holds.
        recorded_at: its time of append.
        hash: SHA-256 over the previous batch's hash and the canonical bytes of its events.
    """

    first: envelope.Position
    last: envelope.Position
    recorded_at: clock.Timestamp
    hash: bytes


class LogStorage(Protocol):
    """A durable place for one log. Every method may be called concurrently with any other."""

    @property
    def log_id(self) -> str:
        """Identity of this log's history; a restore to an earlier point gets a new one."""
        ...

    async def open(self) -> None:
        """Create or open. Raises StorageError with the remedy when it cannot."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of everything."""
        ...

    async def commit(
        self, requests: Sequence[AppendRequest], recorded_at: clock.Timestamp
    ) -> list[envelope.Appended | Exception]:
        """Apply all requests in one transaction and return when it is durable.

        One outcome per request, in order: what was appended, or the ConflictError or
        IdempotencyError that refused it; a refused request leaves the others alone. A request
        sees what the requests before it in the batch did.

        Raises:
            StorageError: nothing of the batch was stored; it may be tried again.
            StorageFailedError: it is unknown what was stored; the process must stop.
        """
        ...

    async def read(
        self, after: envelope.Position, limit: int, where: envelope.Filter
    ) -> envelope.Page:
        """Events after a position in order, at most `limit`, from one snapshot."""
        ...

    async def read_at(self, positions: Sequence[envelope.Position]) -> list[envelope.Event]:
        """The events at these positions, in order of position; unknown ones are left out."""
        ...

    async def find(self, tenant: str, source: str, event_id: str) -> envelope.Event | None:
        """The event with this dedup key."""
        ...

    async def head(self) -> envelope.Position:
        """The last position that readers can see; 0 when empty."""
        ...

    async def batches(self, after: envelope.Position, limit: int) -> list[Batch]:
        """Group commits whose last position is after `after`, in order."""
        ...

    async def wait_commit(self, timeout_s: float) -> None:
        """Return after a commit by any process, or at the latest after `timeout_s`.

        A hint, not a promise: may return early; a commit may have been missed, so callers poll.
        """
        ...


class EventLog(Protocol):
    """The log, as the rest of Helios sees it."""

    @property
    def log_id(self) -> str: ...

    async def append(
        self,
        events: Sequence[envelope.NewEvent],
        *,
        expected: Mapping[envelope.AggregateKey, int] | None = None,
        idempotency: Idempotency | None = None,
    ) -> envelope.Appended:
        """Append all events or none; durable when it returns.

        Raises:
            ConflictError: an aggregate's last sequence is not the expected one.
            IdempotencyError: the key was used for another request.
            InvalidInputError: an event breaks a limit.
            OverloadError: too much is waiting; nothing was taken.
            StorageError: the storage cannot take it now.
        """
        ...

    async def read(
        self,
        after: envelope.Position,
        *,
        limit: int = 1000,
        where: envelope.Filter = envelope.ALL,
    ) -> envelope.Page:
        """One page after a position. Raises CursorError when `after` is beyond the head."""
        ...

    def recent(
        self,
        after: envelope.Position,
        *,
        limit: int = 1000,
        where: envelope.Filter = envelope.ALL,
    ) -> envelope.Page | None:
        """The page after a position from memory, or None when it must be read.

        For who follows the log and waits at its head: the head may be older than that of `read`
        by a commit of another process, which `wait` tells of.
        """
        ...

    async def read_at(self, positions: Sequence[envelope.Position]) -> list[envelope.Event]: ...

    async def find(self, tenant: str, source: str, event_id: str) -> envelope.Event | None: ...

    def tail(
        self,
        after: envelope.Position,
        *,
        limit: int = 1000,
        where: envelope.Filter = envelope.ALL,
    ) -> AsyncIterator[envelope.Page]:
        """Pages for ever: first what is there, then what comes; never an empty one at the head."""
        ...

    async def head(self) -> envelope.Position: ...

    async def wait(self, after: envelope.Position, *, timeout_s: float) -> envelope.Position:
        """Return the head as soon as it is beyond `after`, or at the timeout whatever it is."""
        ...

    async def close(self) -> None: ...
