"""How long to wait after a failure.

Full jitter: any time up to the bound, evenly. Of many that failed at the same moment (a provider
went away) each comes back at another one. How often it failed before is given from outside,
so that whoever keeps it in the log goes on where it was after a restart.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

BASE_S = 0.5
CAP_S = 300.0
LATER_SHARE = 0.1
"""Up to so much later than asked one comes back, where a time was asked for."""

_DOUBLINGS_MAX = 60

Random = Callable[[], float]
"""Uniform in [0, 1)."""


class Backoff(Protocol):
    """How long to wait after a failure."""

    def delay_s(self, failures: int, random: Random) -> float:
        """Seconds until the next attempt.

        Args:
            failures: in a row before this one; 0: it is the first.
            random: for the jitter.
        """
        ...


class Exponential(msgspec.Struct, frozen=True, kw_only=True):
    """Up to twice as long each time.

    Attributes:
        base_s: bound of the first wait.
        cap_s: bound of all.
    """

    base_s: float = BASE_S
    cap_s: float = CAP_S

    def delay_s(self, failures: int, random: Random) -> float:
        return random() * min(self.cap_s, self.base_s * 2.0 ** min(failures, _DOUBLINGS_MAX))


class Linear(msgspec.Struct, frozen=True, kw_only=True):
    """Longer by the same each time; see `Exponential`."""

    base_s: float = BASE_S
    cap_s: float = CAP_S

    def delay_s(self, failures: int, random: Random) -> float:
        return random() * min(self.cap_s, self.base_s * (failures + 1))


def asked_s(retry_after_s: float, random: Random) -> float:
    """The wait when the other side said when to come back: never earlier, a little later."""
    return max(0.0, retry_after_s) * (1.0 + LATER_SHARE * random())
