"""Dead letters as the API shows them, and what it is asked about them."""

from collections.abc import Sequence
from typing import Final

import msgspec

from helios.eventlog import envelope
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
        template: the detail without what differs from letter to letter.
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
    template: str


class LetterList(msgspec.Struct, frozen=True, kw_only=True):
    """One page, newest first; read on with `cursor=next_cursor`."""

    letters: list[LetterView]
    next_cursor: str | None


class Header(msgspec.Struct, frozen=True):
    """A header as it was sent; `***` stands for what proves something."""

    name: str
    value: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a letter.

    Attributes:
        kind: `recorded`, `edited`, `retried` or `discarded`.
        result: of a retry: `stored`, `duplicate` or `dead`; positions: of the events it made.
        reason, detail: why it was dead, or is still.
        note: of who edited or discarded it.
        position: of this event.
    """

    kind: str
    at: str
    actor: str
    position: int
    result: str = ""
    positions: list[int] = []
    reason: str = ""
    detail: str = ""
    note: str = ""


class WholeLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter with all that was kept of it.

    Attributes:
        headers: those that carry meaning; never a secret.
        body: base64 of the bytes that a retry would read.
        text: the same as text, where it is that.
        history: what happened to it, oldest first.
    """

    letter: LetterView
    method: str
    path: str
    headers: list[Header]
    body: str
    text: str | None
    history: list[Said]


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """Letters of one cause, and the newest as a sample.

    Attributes:
        template: the detail that they share, without what differs.
        trend: how many were recorded in each window of the list, oldest first; empty in previews
            by a filter expression.
    """

    client_id: str
    source: str
    reason: str
    event_type: str | None
    template: str
    count: int
    first_at: str
    last_at: str
    sample: LetterView
    trend: list[int]


class GroupList(msgspec.Struct, frozen=True, kw_only=True):
    """What the letters died of, most frequent first.

    Attributes:
        trend_start: where the first window of the trends begins (RFC 3339); null: no groups.
        trend_s: seconds of each window.
    """

    groups: list[GroupView]
    trend_start: str | None = None
    trend_s: float = 0.0


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
    template: str | None = None
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
        template=found.template,
        count=found.count,
        first_at=clocks.to_rfc3339(found.first_at),
        last_at=clocks.to_rfc3339(found.last_at),
        sample=letter(found.sample),
        trend=list(found.trend),
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
        template=row.template,
    )


_KINDS: Final = {
    view.RECORDED: "recorded",
    view.EDITED: "edited",
    view.RETRIED: "retried",
    view.DISCARDED: "discarded",
}


class _Payload(msgspec.Struct):
    result: str = ""
    positions: list[int] = []
    reason: str = ""
    detail: str = ""
    note: str = ""


_payload = msgspec.json.Decoder(_Payload).decode


def history(events: Sequence[envelope.Event]) -> list[Said]:
    """What happened to a letter, from its events."""
    return [_said(each, _payload(each.payload)) for each in events if each.type in _KINDS]


def _said(event: envelope.Event, told: _Payload) -> Said:
    return Said(
        kind=_KINDS[event.type],
        at=clocks.to_rfc3339(event.recorded_at),
        actor=event.actor,
        position=event.position,
        result=told.result,
        positions=told.positions,
        reason=told.reason,
        detail=told.detail,
        note=told.note,
    )


def grouped(found: view.Groups) -> GroupList:
    """Groups as the API shows them."""
    return GroupList(
        groups=[group(one) for one in found.groups],
        trend_start=clocks.to_rfc3339(found.start) if found.groups else None,
        trend_s=found.width / clocks.SECOND_US,
    )
