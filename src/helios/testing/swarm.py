"""Which faults a world has, drawn per seed.

Each fault is on or off, and its rate is drawn: a world with all faults at once mostly spins, and
bugs that need one fault alone would never show. Rates reach those of the simulators that found
the most (messages lost up to 30 %, doubled up to 50 %).
"""

import random
from collections.abc import Iterator

import msgspec

from helios.testing import simdisk, simports


class Swarm(msgspec.Struct, frozen=True, kw_only=True):
    """The faults of one world; 0 or False is off.

    Attributes:
        slow: port calls take time.
        crash: chance to die at each port call or disk operation.
        drop, duplicate: shares of messages.
        reorder: messages take time, so they overtake each other.
        sync_fails: share of flushes that fail.
        full: share of disk writes that find no space.
        torn: a power cut may cut a write.
        kills: share of crashes that end the process only; the others cut the power.
        clock_steps: seconds by which the wall clock jumps now and then.
        small_queue: the log takes few events at a time, so that it refuses some.
        prewarm: the log grows its WAL when it opens.
    """

    slow: bool = False
    crash: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: bool = False
    sync_fails: float = 0.0
    full: float = 0.0
    torn: bool = False
    kills: float = 0.0
    clock_steps: float = 0.0
    small_queue: bool = False
    prewarm: bool = False

    @classmethod
    def draw(cls, rng: random.Random) -> "Swarm":
        """The faults of a seed."""

        def rate(low: float, high: float) -> float:
            return rng.uniform(low, high) if rng.random() < 1 / 2 else 0.0

        return cls(
            slow=rng.random() < 0.9,
            crash=rng.choice((0.0, 0.0, 0.003, 0.006, 0.012, 0.025)),
            drop=rate(0.02, 0.3),
            duplicate=rate(0.02, 0.5),
            reorder=rng.random() < 0.7,
            sync_fails=rate(0.005, 0.05),
            full=rate(0.002, 0.02),
            torn=rng.random() < 0.7,
            kills=rng.choice((0.0, 1 / 3, 2 / 3)),
            clock_steps=rate(1, 3600),
            small_queue=rng.random() < 0.2,
            prewarm=rng.random() < 0.2,
        )

    def on(self) -> list[str]:
        """Names of the faults that are on."""
        return [name for name in self.__struct_fields__ if getattr(self, name)]

    def without(self, name: str) -> "Swarm":
        """The same with one fault off."""
        off = type(self)()
        return msgspec.structs.replace(self, **{name: getattr(off, name)})

    def shrunk(self) -> Iterator["Swarm"]:
        """Each swarm with one fault less."""
        for name in self.on():
            yield self.without(name)

    def net(self) -> simports.NetFaults:
        return simports.NetFaults(drop=self.drop, duplicate=self.duplicate, slow=self.reorder)

    def disk(self) -> simdisk.DiskFaults:
        return simdisk.DiskFaults(
            sync_fails=self.sync_fails, full=self.full, torn=self.torn, kills=self.kills
        )


QUIET = Swarm(slow=True, torn=True)
"""No faults but those of physics."""
