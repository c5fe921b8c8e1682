"""What was put into the world, and what Helios says of it. Pure.

A fault is found when a drift of its component and field is confirmed. What has to be healed is
healed when that drift is closed as such, and verified when the action says that it was seen to have
helped. A drift that nobody put in is a false alarm.
"""

from collections.abc import Iterable, Sequence

import msgspec

from helios.demo.world import faults

PATIENCE_S = 60.0
"""How long after a fault its end is waited for, at the end of the demo."""

SLACK_S = 1.5
"""A drift may be told as seen so long before its fault was written down."""

QUIET = frozenset(("suspected", "ignored"))
_GONE = frozenset(("healed", "resolved_externally"))
_WRONG_MAX = 20


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """A drift as Helios tells it.

    Attributes:
        at_s: when it was seen first, in seconds since the beginning.
        is_old: it was there before; the data are those of an earlier demo.
    """

    drift_id: str
    occurrence: int
    stack: str
    component: str
    path: str
    cause: str
    state: str
    at_s: float
    is_confirmed: bool
    is_old: bool = False


class Heal(msgspec.Struct, frozen=True, kw_only=True):
    """An action as Helios tells it."""

    stack: str
    status: str
    drift_ids: tuple[str, ...]
    at_s: float


class Entry(msgspec.Struct, kw_only=True):
    """One fault and what has become of it."""

    fault: faults.Fault
    at_s: float
    drift: tuple[str, int] | None = None
    found: bool = False
    ended: bool = False
    verified: bool = False
    waiting: bool = False
    is_mended: bool = False

    @property
    def is_settled(self) -> bool:
        """Nothing more has to come of it, unless somebody answers."""
        if self.fault.ends == "healed":
            return self.verified and self.ended
        if self.fault.ends == "approved":
            return self.waiting or (self.verified and self.ended)
        return self.found and self.ended


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Faults of one kind."""

    kind: str
    put_in: int
    found: int
    healed: int
    verified: int
    waiting: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands.

    Attributes:
        rows: by kind, those that there were.
        stacks: that there are.
        open: faults that have not come to their end yet.
        missed: of those that are over, faults that were not told, healed or asked about rightly.
        alarms: drifts that nobody put in.
        noise: changes that rules leave out, and rightly were.
        wrong: some of what is not right, in words.
    """

    rows: tuple[Row, ...] = ()
    stacks: int = 0
    open: int = 0
    missed: int = 0
    alarms: int = 0
    noise: int = 0
    wrong: tuple[str, ...] = ()

    def total(self, column: str) -> int:
        """The sum of a column of the rows."""
        return sum(getattr(row, column) for row in self.rows)

    @property
    def is_perfect(self) -> bool:
        """Everything was found and ended as it must, and nothing else was told."""
        return not self.missed and not self.alarms


class Ledger:
    """Keeps what was put in, and compares."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.noise = 0
        self._alarms: dict[tuple[str, str, int], str] = {}

    def put_in(self, fault: faults.Fault, at_s: float) -> Entry:
        """A fault happens now."""
        entry = Entry(fault=fault, at_s=at_s)
        self.entries.append(entry)
        return entry

    def compare(self, drifts: Iterable[Drift], heals: Sequence[Heal]) -> None:
        """Take note of what Helios says now."""
        for drift in sorted(drifts, key=lambda each: each.at_s):
            entry = self._entry_of(drift)
            if entry is not None:
                _note(entry, drift, heals)
            elif _is_alarm(drift) and not self._is_excused(drift):
                name = (drift.stack, drift.drift_id, drift.occurrence)
                said = f"{drift.stack} {drift.component}{drift.path}: {drift.cause}, {drift.state}"
                self._alarms[name] = said

    def _entry_of(self, drift: Drift) -> Entry | None:
        name = (drift.drift_id, drift.occurrence)
        of_it = [e for e in self.entries if e.fault.drift == _place(drift)]
        for entry in of_it:
            if entry.drift == name:
                return entry
        # A fault that comes again before the drift of the one before is closed is one drift.
        fits = [
            e
            for e in of_it
            if e.drift is None
            and drift.cause == e.fault.cause
            and (drift.at_s >= e.at_s - SLACK_S or (drift.is_old and drift.state not in _GONE))
        ]
        if not fits:
            return None
        fits[0].drift = name
        return fits[0]

    def _is_excused(self, drift: Drift) -> bool:
        """Whether it suffers from something else that was put in."""
        return any(
            e.fault.stack == drift.stack
            and drift.component in e.fault.beside
            and drift.at_s >= e.at_s - SLACK_S
            for e in self.entries
        )

    def waiting(self) -> bool:
        """Whether somebody is being asked, or will be of what was put in."""
        return any(e.fault.ends == "approved" and not e.ended for e in self.entries)

    def open_stacks(self) -> list[str]:
        """Stacks in which something has to be healed yet."""
        return [e.fault.stack for e in self.entries if not e.is_settled]

    def unsettled(self, now_s: float) -> list[Entry]:
        """What is worth waiting for."""
        return [e for e in self.entries if not e.is_settled and now_s < e.at_s + PATIENCE_S]

    def standing(self, now_s: float) -> Standing:
        """How it stands now."""
        over = [e for e in self.entries if not e.is_settled and now_s >= e.at_s + PATIENCE_S]
        wrong = [f"{_said(e)}: {_lacks(e)}" for e in over]
        wrong += [f"false alarm: {said}" for said in self._alarms.values()]
        return Standing(
            rows=tuple(row for kind in faults.KINDS if (row := self._row(kind)).put_in),
            stacks=len(faults.STACKS),
            open=len(self.unsettled(now_s)),
            missed=len(over),
            alarms=len(self._alarms),
            noise=self.noise,
            wrong=tuple(wrong[:_WRONG_MAX]),
        )

    def _row(self, kind: faults.Kind) -> Row:
        of_it = [e for e in self.entries if e.fault.kind == kind]
        return Row(
            kind=kind,
            put_in=len(of_it),
            found=sum(e.found for e in of_it),
            healed=sum(e.ended and e.fault.ends != "itself" for e in of_it),
            verified=sum(e.verified for e in of_it),
            waiting=sum(e.waiting for e in of_it),
        )


def _is_alarm(drift: Drift) -> bool:
    return drift.is_confirmed and drift.state not in QUIET and not drift.is_old


def _note(entry: Entry, drift: Drift, heals: Sequence[Heal]) -> None:
    entry.found = entry.found or drift.is_confirmed
    entry.waiting = drift.state == "awaiting_approval"
    entry.ended = drift.state in _GONE
    entry.verified = entry.verified or any(
        heal.status == "succeeded"
        and heal.stack == drift.stack
        and drift.drift_id in heal.drift_ids
        and heal.at_s >= entry.at_s - SLACK_S
        for heal in heals
    )


def _place(drift: Drift) -> tuple[str, str, str]:
    return (drift.stack, drift.component, drift.path)


def _said(entry: Entry) -> str:
    stack, component, path = entry.fault.drift
    return f"{entry.fault.kind} ({stack} {component}{path}) after {entry.at_s:.0f} s"


def _lacks(entry: Entry) -> str:
    if not entry.found:
        return "was not told"
    if entry.fault.ends == "itself":
        return "was told, and is told still"
    return "was told and not " + ("healed" if not entry.ended else "verified")
