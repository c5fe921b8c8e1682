"""Finds drifts that come back as often as they are healed: somebody else writes there too.

Pure. Healing goes on being right each time and yet is of no use, so it is people who have to
decide who owns the field.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import model, stack

HEALS_MAX = 3
WITHIN_US = 3600 * clocks.SECOND_US


class Fight(msgspec.Struct, frozen=True, kw_only=True):
    """A drift that was healed again and again.

    Attributes:
        heals: how often within the hour.
        until: when enough of them are an hour ago.
        writer: who brought it about most often; None: the log does not tell.
    """

    drift_id: str
    heals: int
    until: clocks.Timestamp
    writer: str | None = None

    @property
    def detail(self) -> str:
        """One sentence for people."""
        whom = self.writer or "somebody unknown"
        return (
            f"healed {self.heals} times within an hour and drifted again; {whom} writes there too"
        )


def contested(
    state: stack.Stack,
    drift_id: str,
    now: clocks.Timestamp,
    origins: Iterable[model.Origin] = (),
) -> Fight | None:
    """Whether a drift is fought over; None: it is not.

    `origins` are those of its earlier occurrences, where the caller has read them; the stack knows
    that of the present one.
    """
    known = state.past.get(drift_id)
    if known is None:
        return None
    recent = [at for at in known.healed if at > now - WITHIN_US]
    if len(recent) < HEALS_MAX:
        return None
    drift = state.drifts.get(drift_id)
    here = () if drift is None else (drift.origin,)
    return Fight(
        drift_id=drift_id,
        heals=len(recent),
        until=clocks.Timestamp(sorted(recent)[-HEALS_MAX] + WITHIN_US),
        writer=top_writer((*origins, *here)),
    )


def top_writer(origins: Iterable[model.Origin]) -> str | None:
    """Who is named most often; of several the first by name, and ourselves never."""
    counts = Counter(each.actor for each in origins if each.actor and each.channel != "heal")
    if not counts:
        return None
    most = max(counts.values())
    return min(actor for actor, count in counts.items() if count == most)
