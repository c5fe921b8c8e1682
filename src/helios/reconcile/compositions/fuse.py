"""The fuse: when many stacks drift at once, it is not they that are broken.

Pure. A bad deployment, an outage, a wrong declaration for all: healing each stack by itself would
do harm at scale. The fuse blows once for all of them, healing stops for that set, and goes on when
somebody has agreed.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

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


def row_of(client_id: str, stack_id: str, drift: model.Drift, provider: str = "") -> Row:
    """A drift as fuses count it; `provider` is `<adapter>@<host>`, as actions name it."""
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
    total: int,
    known: Mapping[str, guards.Fuse],
    now: clocks.Timestamp,
) -> list[guard_events.FuseMoved]:
    """The fuses of a client that blow now, at most one for each stack.

    `rows` are its drifts of the last five minutes, `total` is how many stacks it has, `known` its
    fuses so far: what one of them stands for, blown or reset since, does not blow another one.
    """
    limits = _Limits(scope="client", total=total, share=SHARE, least=LEAST)
    return _check(rows, limits, known.values(), now, lambda each: each.stack)


def check_all(
    rows: Iterable[Row],
    total: int,
    known: Mapping[str, guards.Fuse],
    now: clocks.Timestamp,
) -> list[guard_events.FuseMoved]:
    """The same for all clients together; stacks are named `<client>/<stack>`."""
    limits = _Limits(scope="all", total=total, share=SHARE_OF_ALL, least=LEAST_OF_ALL)
    return _check(rows, limits, known.values(), now, lambda each: f"{each.tenant}/{each.stack}")


class _Limits(msgspec.Struct, frozen=True, kw_only=True):
    scope: str
    total: int
    share: float
    least: int


def _check(
    rows: Iterable[Row],
    limits: _Limits,
    known: Collection[guards.Fuse],
    now: clocks.Timestamp,
    named: Callable[[Row], str],
) -> list[guard_events.FuseMoved]:
    left = [
        each
        for each in rows
        if now - WITHIN_US < each.detected_at <= now
        and not any(_stands_for(fuse, each, named(each)) for fuse in known)
    ]
    blown: list[guard_events.FuseMoved] = []
    while True:
        by, stacks = _largest(left, named)
        if len(stacks) < limits.least or len(stacks) <= limits.share * limits.total:
            return blown
        blown.append(_moved(by, stacks, left, limits))
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
    by: str, stacks: frozenset[str], rows: Sequence[Row], limits: _Limits
) -> guard_events.FuseMoved:
    meant = [each for each in rows if by in each.words]
    first = min((each.detected_at, each.tenant, each.stack) for each in meant)
    part = len(stacks) / limits.total if limits.total else 1.0
    # The same incident has the same name for all that find it.
    incident = hashing.canonical([limits.scope, by, first])
    name = hashlib.blake2b(incident, digest_size=8).hexdigest()
    return guard_events.FuseMoved(
        fuse_id=name,
        by=by,
        stacks=tuple(sorted(stacks)[:STACKS_NAMED]),
        count=len(stacks),
        share=min(part, 1.0),
        reason=f"{len(stacks)} of {limits.total} stacks drifted within five minutes",
    )
