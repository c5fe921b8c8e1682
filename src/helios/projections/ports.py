"""What projections need of a storage for views.

A view is a set of tables plus a function from events to writes. The function is pure: the writes
it returns and the view's checkpoint are committed together, so a crash leaves both or neither.
One dialect serves both backends: `?` placeholders, INTEGER (64 bit), TEXT, BLOB, `ON CONFLICT`.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports

Row: TypeAlias = tuple[Any, ...]


class Write(msgspec.Struct, frozen=True):
    """One statement and the rows to run it with.

    `sql` may name the view's tables as `{t}` followed by the table's short name, such as
    `INSERT INTO {t}events VALUES (?, ?)`: the store puts in the prefix of the version it serves
    or builds.
    """

    sql: str
    rows: Sequence[Row]


class View(Protocol):
    """A projection: code that folds events, and the tables it keeps."""

    @property
    def name(self) -> str:
        """Stable, lower case, underscores: part of its table names and of metrics."""
        ...

    @property
    def version(self) -> int:
        """Raised when tables or meaning change; a new version is built beside the old one."""
        ...

    @property
    def tables(self) -> Sequence[str]:
        """Short names of its tables."""
        ...

    @property
    def schema(self) -> Sequence[str]:
        """DDL with `{t}` as the table prefix; indexes that only readers need go to `indexes`."""
        ...

    @property
    def indexes(self) -> Sequence[str]:
        """DDL of indexes that `apply` does not need, made at the end of a rebuild."""
        ...

    @property
    def where(self) -> envelope.Filter:
        """Which events it folds."""
        ...

    def apply(self, events: Sequence[envelope.Event]) -> Iterator[Write] | Sequence[Write]:
        """Fold events into writes: pure, idempotent together with the checkpoint."""
        ...


class Fold(Protocol):
    """The folding of one copy of a view, with a memory of its own between pages."""

    async def apply(
        self, events: Sequence[envelope.Event], upto: envelope.Position
    ) -> Sequence[Write]:
        """Fold the next events, which are all up to `upto`; the writes come with that checkpoint.

        Raises anything for what cannot be applied; the fold is then thrown away.
        """
        ...

    def committed(self) -> None:
        """All writes given out so far are in the tables."""
        ...


@runtime_checkable
class RememberingView(Protocol):
    """A view whose folding keeps something between pages, or reads what it wrote.

    Its `apply` is not used. Pages are folded one after another, each after the commit of those
    before. `volatile` names the tables that hold what is remembered: how they look depends on when
    they were written, so verification leaves them out.
    """

    @property
    def volatile(self) -> Sequence[str]: ...

    async def begin(self, slot: "Slot", log: log_ports.EventLog, store: "ViewStore") -> Fold:
        """Go on from a copy's checkpoint: find again, or compute again, what is remembered."""
        ...


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a view stands.

    Attributes:
        position: every event up to here is in the tables.
        epoch: raised when another owner takes the view over; an old owner's commit then fails.
        state: what else the projection must find again after a restart, as bytes.
    """

    position: envelope.Position
    epoch: int = 0
    state: bytes = b""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One built copy of a view: `prefix` names its tables, `live` says whether readers see it."""

    view: str
    version: int
    prefix: str
    live: bool
    checkpoint: Checkpoint


class ViewStore(Protocol):
    """Tables of views, with checkpoints. Every method may be called concurrently."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def declare(self, views: Sequence[View]) -> None:
        """Say whose data these views' tables hold, which is kept out of other scopes.

        Under a restricted `tenancy.current()`, `query` and `reading` see only rows of its tenants;
        a view that was neither declared nor created here cannot be read then.

        Raises:
            InvalidInputError: what a view says does not fit its tables; see `scoping`.
        """
        ...

    async def slots(self, view: str) -> list[Slot]:
        """All copies of a view: at most one is live."""
        ...

    async def create(self, view: View, *, live: bool, with_indexes: bool = True) -> Slot:
        """Make empty tables under a fresh prefix at position 0."""
        ...

    async def claim(self, slot: Slot) -> Slot:
        """Become the owner: raise the epoch, so that a former owner's commits fail.

        Returns the copy as it stands now. Raises ConflictError when it was dropped.
        """
        ...

    async def commit(self, slot: Slot, writes: Sequence[Write], checkpoint: Checkpoint) -> Slot:
        """Run the writes and store the checkpoint in one transaction.

        Raises:
            ConflictError: the slot's epoch is not ours any more, or its position moved.
        """
        ...

    async def finish(self, view: View, slot: Slot) -> None:
        """Make the indexes that were left out at creation."""
        ...

    async def swap(self, slot: Slot) -> None:
        """Make this copy the live one and drop the former, in one transaction.

        Raises:
            ConflictError: the copy is not ours any more, or stands behind the live one: what
                readers were told is visible would vanish.
        """
        ...

    async def drop(self, slot: Slot) -> None: ...

    async def query(self, view: str, sql: str, params: Row = ()) -> list[Row]:
        """Read from the live copy; `{t}` is its prefix.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: a table of it cannot be read in the scope that is set.
        """
        ...

    async def query_slot(self, slot: Slot, sql: str, params: Row = ()) -> list[Row]:
        """Read from one copy, whatever the scope: for who keeps the views."""
        ...

    def reading(self, view: str) -> AbstractAsyncContextManager["Snapshot"]:
        """Several reads of the live copy in one snapshot."""
        ...


class Snapshot(Protocol):
    """Reads of one view at one moment."""

    @property
    def checkpoint(self) -> Checkpoint: ...

    async def query(self, sql: str, params: Row = ()) -> list[Row]: ...
