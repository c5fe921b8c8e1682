"""Dead letters as the API shows them, and what it is asked about them."""

import msgspec

from helios.kernel import clock as clocks
from helios.projections.views import dead_letters as view

PER_S = 100.0
"""Letters a second that are worked on, unless the request says otherwise."""


class LetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter without its body.

    Attributes:
        reason, detail: why it could not be taken, at the last try.
        index: which event of its delivery, when only that one is dead.
        cut: not its whole body was kept.
        attempts: how often it was tried again.
    """

    id: str
    client_id: str
    position: int
    source: str
    via: str
    reason: str
    detail: str
    origin: str
    event_type: str | None
    event_id: str | None
    bytes: int
    cut: bool
    index: int | None
    status: str
    recorded_at: str
    updated_at: str
    attempts: int
    edited: bool


class LetterList(msgspec.Struct, frozen=True, kw_only=True):
    """One page, newest first; read on with `cursor=next_cursor`."""

    letters: list[LetterView]
    next_cursor: str | None


class Header(msgspec.Struct, frozen=True):
    """A header as it was sent; `***` stands for what proves something."""

    name: str
    value: str


class WholeLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter with all that was kept of it.

    Attributes:
        headers: those that carry meaning; never a secret.
        body: base64 of the bytes that a retry would read.
        text: the same as text, where it is that.
    """

    letter: LetterView
    method: str
    path: str
    headers: list[Header]
    body: str
    text: str | None


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """Letters of one cause, and the newest as a sample."""

    client_id: str
    source: str
    reason: str
    event_type: str | None
    count: int
    first_at: str
    last_at: str
    sample: LetterView


class GroupList(msgspec.Struct, frozen=True, kw_only=True):
    """What the letters died of, most frequent first."""

    groups: list[GroupView]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open letters to work on together; what is left out is not looked at.

    Attributes:
        since, until: RFC 3339; when they were recorded (`until` exclusive).
        filter: expression over source, reason, type, client, status, via and attempts.
        per_s: letters a second.
        dry_run: say how many there are and of which groups, and do nothing.
        note: why; kept with a discard.
        background: do it as a job that goes on by itself; the answer is the job.
        stop_after: failures after which it stops; null: it does not.
    """

    client_id: str | None = None
    source: str | None = None
    reason: str | None = None
    type: str | None = None
    since: str | None = None
    until: str | None = None
    filter: str = ""
    per_s: float = PER_S
    dry_run: bool = False
    note: str = ""
    background: bool = False
    stop_after: int | None = None


class LettersProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A line of work on many letters; the last has another `phase` than `working`.

    Attributes:
        phase: `working`, `preview`, `done`, `stopped` (too many failed) or `failed`.
        done, total: letters.
        stored, duplicates, dead, discarded, skipped: what became of those that are done; skipped
            ones cannot be tried as things are.
        groups: of a preview; sample: some of the letters, the oldest first, at most 10.
        problem: of a failure; what is done stays done.
    """

    phase: str
    done: int = 0
    total: int = 0
    stored: int = 0
    duplicates: int = 0
    dead: int = 0
    discarded: int = 0
    skipped: int = 0
    groups: list[GroupView] = []
    sample: list[LetterView] = []
    problem: msgspec.Raw | None = None


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one retry.

    Attributes:
        result: `stored`, `duplicate` (it is there already), or `dead` still.
        positions: of its events.
        position: to wait for, to see the letter so.
    """

    id: str
    client_id: str
    result: str
    positions: list[int]
    reason: str
    detail: str
    position: int


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """An edit or a discard, and the position to wait for to see it."""

    id: str
    client_id: str
    position: int


def group(found: view.Group) -> GroupView:
    """A group as the API shows it."""
    return GroupView(
        client_id=found.client_id,
        source=found.source,
        reason=found.reason,
        event_type=found.event_type,
        count=found.count,
        first_at=clocks.to_rfc3339(found.first_at),
        last_at=clocks.to_rfc3339(found.last_at),
        sample=letter(found.sample),
    )


def letter(row: view.Letter) -> LetterView:
    """A letter as the API shows it."""
    return LetterView(
        id=row.id,
        client_id=row.client_id,
        position=row.position,
        source=row.source,
        via=row.via,
        reason=row.reason,
        detail=row.detail,
        origin=row.origin,
        event_type=row.event_type,
        event_id=row.event_id,
        bytes=row.bytes,
        cut=row.cut,
        index=row.index,
        status=row.status,
        recorded_at=clocks.to_rfc3339(row.recorded_at),
        updated_at=clocks.to_rfc3339(row.updated_at),
        attempts=row.attempts,
        edited=row.edited_position is not None,
    )
