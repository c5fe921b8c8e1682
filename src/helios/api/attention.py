"""What needs somebody's attention, most urgent first.

Pure: what was read of the system in, items out. Each says what is wrong, since when, how much of it
there is, and where to look.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from helios.api import links, showing
from helios.kernel import clock as clocks
from helios.kernel import limits

Severity: TypeAlias = Literal["critical", "high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")

Kind: TypeAlias = Literal[
    "kill_switch",
    "log_failing",
    "view_failing",
    "drifted",
    "approval_pending",
    "mismatch_rate",
    "breaker_open",
    "fuse_blown",
    "source_failing",
    "dead_letters",
    "view_lagging",
    "builds_failing",
]
_ORDER: Final[tuple[Kind, ...]] = (
    "kill_switch",
    "log_failing",
    "view_failing",
    "approval_pending",
    "drifted",
    "mismatch_rate",
    "fuse_blown",
    "breaker_open",
    "source_failing",
    "dead_letters",
    "view_lagging",
    "builds_failing",
)

MISMATCH_RATE: Final = "attention.mismatch_rate_max"
LAG_EVENTS: Final = "attention.lag_events_max"
DEAD_LETTERS: Final = "attention.dead_letters_per_minute_max"
"""Settings above which something needs attention."""

_NAMED: Final = 3


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that needs attention.

    Attributes:
        kind: a word for programs.
        severity: `critical` first.
        title: one line for people.
        detail: which ones, and what is known of why.
        count: how many there are of it.
        since: RFC 3339, when the oldest of them began; null: not known.
        client_id: whose it is; null: of several, or of the installation.
        link: path of the page that shows it.
    """

    kind: Kind
    severity: Severity
    title: str
    detail: str
    count: int
    since: str | None
    client_id: str | None
    link: str


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One case of a kind, as it was read.

    Attributes:
        name: what a person calls it, such as `acme/shop`.
        detail: why, if that is known.
        since: microseconds; None: not known.
        link: page of this very case.
    """

    kind: Kind
    severity: Severity
    name: str
    link: str
    client_id: str | None = None
    detail: str = ""
    since: clocks.Timestamp | None = None
    count: int = 1


_TITLES: Final[Mapping[Kind, tuple[str, str]]] = {
    "kill_switch": ("All healing is switched off", "Healing is switched off for {n} clients"),
    "log_failing": ("The log cannot be written", "The log cannot be written"),
    "view_failing": ("View {name} does not move", "{n} views do not move"),
    "drifted": ("Stack {name} has drifted", "{n} stacks have drifted"),
    "approval_pending": ("A plan for {name} waits for approval", "{n} plans wait for approval"),
    "mismatch_rate": ("Too much of {name} does not match", "{n} contracts match too little"),
    "breaker_open": ("Breaker {name} is open", "{n} breakers are open"),
    "fuse_blown": ("Healing was stopped: many stacks drifted at once", "{n} fuses have blown"),
    "source_failing": ("Source {name} is failing", "{n} sources are failing"),
    "dead_letters": ("Dead letters are growing", "Dead letters are growing"),
    "view_lagging": ("View {name} lags behind", "{n} views lag behind"),
    "builds_failing": ("Builds of {name} fail", "Builds of {n} sites fail"),
}
_LISTS: Final[Mapping[Kind, str]] = {
    "kill_switch": links.HEALING,
    "log_failing": links.INGEST,
    "view_failing": links.VIEWS,
    "drifted": links.STATE,
    "approval_pending": links.APPROVALS,
    "mismatch_rate": links.STREAMS,
    "breaker_open": links.HEALING,
    "fuse_blown": links.HEALING,
    "source_failing": links.INGEST,
    "dead_letters": links.DEAD_LETTERS,
    "view_lagging": links.VIEWS,
    "builds_failing": links.BUILDS,
}


def ranked(found: Sequence[Trouble]) -> list[Item]:
    """One item for each kind and severity, the most urgent first."""
    groups: dict[tuple[Severity, Kind], list[Trouble]] = {}
    for each in found:
        groups.setdefault((each.severity, each.kind), []).append(each)
    names = sorted(groups, key=lambda key: (SEVERITIES.index(key[0]), _ORDER.index(key[1])))
    return [_item(groups[name]) for name in names[: limits.ATTENTION_MAX]]


def _item(cases: Sequence[Trouble]) -> Item:
    first, kind = cases[0], cases[0].kind
    count = sum(each.count for each in cases)
    one, many = _TITLES[kind]
    is_one = len(cases) == 1
    title = one.format(name=first.name) if is_one else many.format(n=len(cases))
    clients = {each.client_id for each in cases}
    client = clients.pop() if len(clients) == 1 else None
    since = min((each.since for each in cases if each.since), default=None)
    narrowed = f"severity:{first.severity}" if kind == "drifted" else ""
    return Item(
        kind=kind,
        severity=first.severity,
        title=title,
        detail=first.detail if is_one else _names(cases),
        count=count,
        since=showing.at(since),
        client_id=client,
        link=first.link
        if is_one
        else links.listed(_LISTS[kind], filter=narrowed, client_id=client),
    )


def _names(cases: Sequence[Trouble]) -> str:
    shown = ", ".join(each.name for each in cases[:_NAMED])
    more = len(cases) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown
