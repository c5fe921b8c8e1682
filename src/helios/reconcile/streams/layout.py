"""Where things stand in the state of one key.

The state is a plain list: it is made, copied and read some millions of times a second, and a list
is the cheapest object there is for that. What the loop touches for every event stands at the
front, next to each other; what only slow paths read is counted from the end.
"""

from typing import Any, Final, TypeAlias

State: TypeAlias = list[Any]

GROUP: Final = 0
"""Under what the state is kept: the key, or (key, start of the window)."""
LEFT: Final = 1
"""Number of required legs of which nothing has come."""
STATUS: Final = 2
"""One of the codes below."""
BASE: Final = -1
"""Event time from which `within` counts: the anchor's, or the first event's, as events have it."""
NEXT: Final = 3
"""Second at which the state is looked at again; None when it is closed."""
LAST: Final = -2
"""What the last verdict said, to tell whether a new one would say anything new."""
REVISION: Final = -3
"""Number of verdicts so far."""
WITHIN: Final = -4
"""None, or {leg: (case, microseconds)} where a condition has changed a leg's time."""
START: Final = -5
"""Start of an aligned window or a session in microseconds; None: the window starts at BASE."""
END: Final = -6
"""Last event of a session in microseconds; unused otherwise."""
FIRST: Final = 4
"""The first leg's slots: ids and payloads; after those of all legs, positions in the log."""

_REST: Final = 6

UNDECIDED: Final = 0
MATCHED: Final = 1
MISMATCHED: Final = 2
PARTIAL: Final = 3
INTRICATE: Final = -2
"""Undecided, and not for the loop to decide: a leg may have one event too many."""
MUTED: Final = -1
"""Undecided, and its verdicts are not to be told: another pass tells them."""


def ids(leg: int) -> int:
    """Slot of a leg's event ids: None, one id, or a list (cardinality many, or one too many)."""
    return FIRST + 2 * leg


def payloads(leg: int) -> int:
    """Slot of a leg's payloads: None, one, or a list for cardinality many."""
    return FIRST + 2 * leg + 1


def positions(leg: int, legs: int) -> int:
    """Slot of a leg's positions in the log, in the form of its ids; only where events have one."""
    return FIRST + 2 * legs + leg


def listed(value: Any) -> list[Any]:
    """A slot of one, several or none as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def has_positions(state: State, legs: int) -> bool:
    """Whether a state has slots for positions: of events of the log, not of files."""
    return len(state) == FIRST + 3 * legs + _REST


def empty(legs: int, required: int, *, live: bool) -> State:
    """The state of a key of which nothing has come."""
    state: State = [None] * (FIRST + (3 if live else 2) * legs + _REST)
    state[LEFT] = required
    state[STATUS] = UNDECIDED
    state[REVISION] = 0
    return state


def doubt(state: State) -> None:
    """Leave what is undecided to the judge."""
    if state[STATUS] == UNDECIDED:
        state[STATUS] = INTRICATE
