"""The fuse: when many stacks drift at once, it is not they that are broken.

Pure. A bad deployment, an outage, a wrong declaration for all: healing each stack by itself would
do harm at scale. The fuse blows once for all of them, healing stops for that set, and goes on when
somebody has agreed.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import guard_events, guards, hashing, model

SCOPE = "fuse"
"""Aggregate id of the fuses of a client."""

WITHIN_US = 5 * 60 * clocks.SECOND_US
SHARE = 0.2
"""More than this part of a client's stacks, and at least `LEAST`: of two stacks one is half."""
LEAST = 3
SHARE_OF_ALL = 0.1
LEAST_OF_ALL = 10
STACKS_NAMED = 1_000

_KINDS = ("provider", "desired", "path", "cause")
"""What stacks may have in common, the most telling first."""


Said: TypeAlias = tuple[str, str, guard_events.FuseMoved]
"""Type of the event, scope (the aggregate's id), payload."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One drift of one stack, as far as fuses count it.

    Attributes:
        provider: `<adapter>@<host>`; empty: not known.
        desired: what was declared, as a hash; empty: not known.
        detected_at: when it was confirmed.
    """

    tenant: str
    stack: str
    provider: str
    cause: str
    component: str
    path: str
    detected_at: clocks.Timestamp
    desired: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """What it may have in common with others, the most telling first."""
        found = [f"path:{self.component}{self.path}", f"cause:{self.cause}"]
        if self.desired:
            found.insert(0, f"desired:{self.desired}")
        if self.provider:
            found.insert(0, f"provider:{self.provider}")
        return tuple(found)


def row(client_id: str, stack_id: str, drift: model.Drift, provider: str = "") -> Row:
    """A drift as fuses count it."""
    return Row(
        tenant=client_id,
        stack=stack_id,
        provider=provider,
        cause=drift.cause,
        component=drift.component,
        path=drift.path,
        detected_at=drift.confirmed_at or drift.detected_at,
        desired=hashing.digest([drift.component, drift.path, drift.expected])[:16],
    )


def check(
    rows: Iterable[Row],
    totals: Mapping[str, int],
    found: guards.Guards,
    client_id: str,
    now: clocks.Timestamp,
) -> list[Said]:
    """The fuses of one client that blow now, at most one for each stack.

    `rows` are drifts of the last five minutes, `totals` is how many stacks each client has. What a
    fuse of `found` stands for, blown or reset since, does not blow another one.
    """
    mine = [each for each in rows if each.tenant == client_id]
    limits = _Limits(total=totals.get(client_id, 0), share=SHARE, least=LEAST)
    fuses = [each for part in found.both() for each in part.fuses.values()]
    return _check(mine, limits, fuses, now, lambda each: each.stack)


def check_all(
    rows: Iterable[Row],
    totals: Mapping[str, int],
    shared: guards.Guards,
    now: clocks.Timestamp,
) -> list[Said]:
    """The fuses of all clients together that blow now, of `guard_events.SYSTEM_TENANT`.

    Their stacks are named `<client>/<stack>`.
    """
    limits = _Limits(total=sum(totals.values()), share=SHARE_OF_ALL, least=LEAST_OF_ALL)
    fuses = list(shared.fuses.values())
    return _check(rows, limits, fuses, now, lambda each: f"{each.tenant}/{each.stack}")


class _Limits(msgspec.Struct, frozen=True, kw_only=True):
    total: int
    share: float
    least: int


def _check(
    rows: Iterable[Row],
    limits: _Limits,
    known: Sequence[guards.Fuse],
    now: clocks.Timestamp,
    named: Callable[[Row], str],
) -> list[Said]:
    left = [
        each
        for each in rows
        if now - WITHIN_US < each.detected_at <= now
        and not any(_stands_for(fuse, each, named(each)) for fuse in known)
    ]
    said: list[Said] = []
    while True:
        by, stacks = _largest(left, named)
        if len(stacks) < limits.least or len(stacks) <= limits.share * limits.total:
            return said
        said.append((guard_events.FUSE_BLOWN, SCOPE, _moved(by, stacks, left, limits.total)))
        left = [each for each in left if named(each) not in stacks]


def _stands_for(fuse: guards.Fuse, drift: Row, name: str) -> bool:
    """Whether a fuse has told of a drift already."""
    if fuse.reset_at is None:
        return fuse.by in drift.words or name in fuse.stacks
    return fuse.by in drift.words and drift.detected_at <= fuse.reset_at


def _largest(rows: Iterable[Row], named: Callable[[Row], str]) -> tuple[str, frozenset[str]]:
    """What most stacks have in common, and which; of equal sets the most telling word."""
    stacks: dict[str, set[str]] = {}
    for each in rows:
        for word in each.words:
            stacks.setdefault(word, set()).add(named(each))
    if not stacks:
        return "", frozenset()
    by = min(stacks, key=lambda word: (-len(stacks[word]), _telling(word), word))
    return by, frozenset(stacks[by])


def _telling(word: str) -> int:
    return _KINDS.index(word.partition(":")[0])


def _moved(
    by: str, stacks: frozenset[str], rows: Sequence[Row], total: int
) -> guard_events.FuseMoved:
    first = min(each.detected_at for each in rows if by in each.words)
    part = len(stacks) / total if total else 1.0
    name = hashlib.blake2b(hashing.canonical([by, first]), digest_size=8).hexdigest()
    return guard_events.FuseMoved(
        fuse_id=name,
        by=by,
        stacks=tuple(sorted(stacks)[:STACKS_NAMED]),
        count=len(stacks),
        share=min(part, 1.0),
        reason=f"{len(stacks)} of {total} stacks drifted within five minutes",
    )
