"""One message to one channel, made of the notices of a while. Pure.

A message says of each thing how it stands at the end: what came and went within the while is told
once, as gone. Who was never told of a thing is not told that it is over.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from helios.heal.notices import notice
from helios.kernel import jsonio
from helios.reconcile.compositions import model

LINES_MAX: Final = 20
"""Things told in one message. Above: "and N more"."""
SUBJECTS_MAX: Final = 20
"""Stacks told of in a summary. Above: "and N more"."""

Status: TypeAlias = Literal["firing", "resolved", "info"]
"""`firing`: something needs attention; `resolved`: nothing of this incident does any more; `info`:
for the record."""

_CLOSING: Final = frozenset(("close", "end"))
_OPENING: Final = frozenset(("open", "once"))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that waits to be told on a channel; `at` is when it was recorded."""

    position: int
    at: int
    notice: notice.Notice


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent.

    Attributes:
        key: of this message: the same when it is sent again.
        incident: what opens and is resolved as one, where a channel has such a thing.
        severity: the gravest of what is told.
        lines: what is told, the gravest first; `more`: how many others there are.
    """

    key: str
    incident: str
    status: Status
    client_id: str
    stack_id: str = ""
    severity: model.Severity
    title: str
    at: str
    lines: tuple[notice.Notice, ...]
    more: int = 0
    summary: tuple[str, ...] = ()

    @property
    def links(self) -> tuple[notice.Link, ...]:
        """What can be done next, each command once."""
        found = {link.command: link for each in self.lines for link in each.links}
        return tuple(list(found.values())[:LINKS_MAX])


LINKS_MAX: Final = 6


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of rows.

    Attributes:
        message: None: there is nothing to tell.
        opened: items that the channel knows to be open afterwards, by subject.
        closed: items it was told of that are not open any more.
        forgot: items it is never told of, because an incident stands for them.
        pages: it opens an incident, adds to one, or ends one that was opened.
    """

    message: Message | None
    opened: Mapping[str, tuple[str, ...]] = {}
    closed: tuple[str, ...] = ()
    forgot: tuple[str, ...] = ()
    pages: bool = False


def compose(
    rows: Sequence[Row],
    told: Collection[str],
    is_replaced: "Replaces",
    *,
    name: str,
) -> Composed:
    """Make one message of the rows of one subject.

    Args:
        rows: in order of position, at least one.
        told: items of the subject that the channel knows to be open.
        is_replaced: whether an incident stands for a notice of drift.
        name: of the channel, part of the message's key.
    """
    settled = _settle(rows, told, is_replaced)
    if not settled.lines:
        return Composed(message=None, closed=settled.closed, forgot=settled.forgot)
    last = rows[-1].notice
    status = _status(settled, told)
    message = Message(
        key=key(name, rows),
        incident=incident(last.client_id, last.subject),
        status=status,
        client_id=last.client_id,
        stack_id=last.stack_id,
        severity=_gravest(settled.lines),
        title=_title(settled.lines, settled.left),
        at=last.at,
        lines=tuple(settled.lines[:LINES_MAX]),
        more=max(0, len(settled.lines) - LINES_MAX),
    )
    return Composed(
        message=message,
        opened={last.subject: settled.opened} if settled.opened else {},
        closed=settled.closed,
        forgot=settled.forgot,
        pages=status == "firing" or (status == "resolved" and bool(told)),
    )


def summarise(
    groups: Sequence[Sequence[Row]],
    told: Mapping[str, Collection[str]],
    is_replaced: "Replaces",
    *,
    name: str,
) -> Composed:
    """Make one message of many groups, because there would be too many.

    `told` are the items that the channel knows to be open, by subject.
    """
    by_subject: dict[str, list[Row]] = {}
    for each in groups:
        by_subject.setdefault(each[0].notice.subject, []).extend(each)
    found = [
        (rows[-1].notice, _settle(rows, told.get(subject, ()), is_replaced))
        for subject, rows in by_subject.items()
    ]
    speaking = [(last, each) for last, each in found if each.lines]
    opened = {last.subject: each.opened for last, each in found if each.opened}
    closed = tuple(item for _, each in found for item in each.closed)
    forgot = tuple(item for _, each in found for item in each.forgot)
    if not speaking:
        return Composed(message=None, opened=opened, closed=closed, forgot=forgot)
    rows = [row for group in groups for row in group]
    speaking.sort(key=lambda pair: -notice.rank(_gravest(pair[1].lines)))
    shown = [_short(last, each) for last, each in speaking[:SUBJECTS_MAX]]
    more = len(speaking) - len(shown)
    last = max(rows, key=lambda row: row.position).notice
    gravest = _gravest([line for _, each in speaking for line in each.lines])
    message = Message(
        key=key(name, rows),
        incident=incident(last.client_id, "many"),
        status="firing" if opened else "info",
        client_id=last.client_id,
        severity=gravest,
        title=notice.line(f"[{gravest}] {last.client_id}: news of {len(speaking)} at once"),
        at=last.at,
        lines=tuple(line for _, each in speaking[:SUBJECTS_MAX] for line in each.lines[:1]),
        more=more,
        summary=(*shown, f"and {more} more") if more else tuple(shown),
    )
    return Composed(message=message, opened=opened, closed=closed, forgot=forgot)


class Replaces(msgspec.Struct, frozen=True):
    """Whether an incident that the channel knows of stands for a notice.

    Attributes:
        fuses: words and stacks of each, and the time in which drifts belong to it.
    """

    fuses: tuple["Fuse", ...] = ()

    def __call__(self, row: Row) -> bool:
        """Whether this is a drift of such an incident."""
        found = row.notice
        return (
            found.drift is not None
            and found.does in _OPENING
            and found.kind != "drift_escalated"
            and any(fuse.stands_for(row) for fuse in self.fuses)
        )


class Fuse(msgspec.Struct, frozen=True, kw_only=True):
    """An incident of many stacks; times as of the log, `until` None: it goes on."""

    by: str
    stacks: tuple[str, ...]
    since: int
    until: int | None = None

    def stands_for(self, row: Row) -> bool:
        """Whether a drift is one of those that it was blown for."""
        if row.at < self.since or (self.until is not None and row.at > self.until):
            return False
        found = row.notice
        if self.by in found.words:
            return True
        # Which provider a drift is at, no event tells: of the stacks that are named all count.
        names = (found.stack_id, f"{found.client_id}/{found.stack_id}")
        return self.by.startswith("provider:") and any(name in self.stacks for name in names)


def key(name: str, rows: Sequence[Row]) -> str:
    """The key of the message that tells these rows on a channel."""
    ends = [name, *sorted({row.position for row in rows})]
    return f"ntc_{hashlib.blake2b(jsonio.encode(ends), digest_size=12).hexdigest()}"


def incident(client_id: str, subject: str) -> str:
    """What channels with incidents know a subject by; at most 255 characters."""
    found = f"helios/{client_id}/{subject}"
    if len(found) <= 255:
        return found
    return f"helios/{hashlib.blake2b(found.encode(), digest_size=16).hexdigest()}"


class _Settled:
    """How each thing stands after rows, and what is said of it."""

    def __init__(self, told: Collection[str], is_replaced: "Replaces") -> None:
        self._told = told
        self._is_replaced = is_replaced
        self._opened: dict[str, None] = {}
        self._closed: dict[str, None] = {}
        self._forgot: dict[str, None] = {}
        self._said: dict[str, notice.Notice] = {}

    @property
    def lines(self) -> list[notice.Notice]:
        return sorted(self._said.values(), key=_weight)

    @property
    def opened(self) -> tuple[str, ...]:
        return tuple(item for item in self._opened if item not in self._told)

    @property
    def closed(self) -> tuple[str, ...]:
        return tuple(item for item in self._closed if item in self._told)

    @property
    def forgot(self) -> tuple[str, ...]:
        return tuple(self._forgot)

    @property
    def left(self) -> frozenset[str]:
        """What is open in the end."""
        return (frozenset(self._told) | frozenset(self._opened)) - frozenset(self._closed)

    def take(self, row: Row) -> None:
        """One more row."""
        found = row.notice
        is_open = found.item in self.left
        if found.does in _OPENING:
            if self._is_replaced(row) and not is_open:
                self._forgot[found.item] = None
            elif found.does == "open" or not is_open:
                self._open(found)
        elif found.does == "tell":
            if found.item not in self._forgot:
                self._said[found.item] = _later(self._said.get(found.item), found)
        elif found.does == "end":
            self._end(found)
        elif is_open:
            self._close(found)
        elif found.item in self._closed and found.item in self._said:
            self._said[found.item] = _both(self._said[found.item], found)

    def _open(self, found: notice.Notice) -> None:
        self._opened[found.item] = None
        self._closed.pop(found.item, None)
        self._forgot.pop(found.item, None)
        self._said[found.item] = found

    def _close(self, found: notice.Notice) -> None:
        self._opened.pop(found.item, None)
        self._closed[found.item] = None
        self._said[found.item] = found

    def _end(self, found: notice.Notice) -> None:
        left = sorted(self.left)
        if left:
            self._closed.update(dict.fromkeys(left))
            self._opened.clear()
            for item in left:
                self._said.pop(item, None)
            self._said[found.item] = found


def _settle(rows: Sequence[Row], told: Collection[str], is_replaced: "Replaces") -> _Settled:
    settled = _Settled(told, is_replaced)
    for row in rows:
        settled.take(row)
    return settled


def _later(before: notice.Notice | None, now: notice.Notice) -> notice.Notice:
    """What is said of a thing that was told of a moment ago: the later word, with what it is."""
    if before is None:
        return now
    return msgspec.structs.replace(
        now,
        drift=now.drift or before.drift,
        detail="\n".join(each for each in (before.headline, before.detail, now.detail) if each),
        severity=max(before.severity, now.severity, key=notice.rank),
    )


def _both(before: notice.Notice, now: notice.Notice) -> notice.Notice:
    """How something was closed, told by two: what was done, and that the drift is gone."""
    if before.kind == "auto_heal_success" and before.headline.startswith("healed by"):
        return msgspec.structs.replace(before, drift=now.drift or before.drift)
    return now


def _weight(said: notice.Notice) -> tuple[bool, int]:
    return (said.does in _CLOSING, -notice.rank(said.severity))


def _gravest(lines: Sequence[notice.Notice]) -> model.Severity:
    return max((each.severity for each in lines), key=notice.rank)


def _status(settled: _Settled, told: Collection[str]) -> Status:
    closes = all(each.does in _CLOSING for each in settled.lines)
    if not settled.left:
        return "resolved" if told or closes else "info"
    return "info" if closes else "firing"


_COUNTED: Final[Mapping[str, str]] = {
    "drift_detected": "drift",
    "drift_changed": "drift changed",
    "drift_escalated": "left to people",
    "drift_resolved": "over",
    "auto_heal_success": "healed",
    "auto_heal_failed": "heal failed",
    "heal_blocked": "healing held up",
    "approval_requested": "waits for approval",
    "approval_expired": "approval expired",
    "plan_ended": "plan over",
    "condition_set": "condition",
    "condition_cleared": "condition cleared",
}


def _title(lines: Sequence[notice.Notice], left: Collection[str]) -> str:
    first = lines[0]
    where = f"{first.client_id}/{first.stack_id}" if first.stack_id else first.client_id
    if len(lines) == 1:
        text = first.headline
    elif not left and all(each.does in _CLOSING for each in lines):
        text = f"all well again: {_counts(lines)}"
    else:
        text = _counts(lines)
    return notice.line(f"[{_gravest(lines)}] {where}: {text}", 250)


def _counts(lines: Sequence[notice.Notice]) -> str:
    found: dict[str, int] = {}
    for each in lines:
        word = _COUNTED.get(each.kind, each.kind)
        found[word] = found.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in found.items())


def _short(last: notice.Notice, settled: _Settled) -> str:
    name = last.stack_id or last.subject
    return notice.line(f"{name}: {_counts(settled.lines)}", 200)
