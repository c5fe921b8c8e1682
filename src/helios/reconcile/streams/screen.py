"""Which keys come back after their window has closed, in little memory.

Only closed keys matter, there may be any number of them, and few come back. A filter of one bit a
key says which of the new ones may be among them: mostly none, sometimes falsely. The hash of every
closed key is noted besides, eight bytes each, so that at the end the false ones can be told from
those that really came back.
"""

import array
from collections.abc import Hashable
from typing import Final

BITS: Final = 1 << 27
"""Bits of the filter: 16 MiB, touched as used."""

MASK: Final = BITS // 8 - 1
"""Takes from a hash the byte of the filter in which its bit stands."""

ONE: Final = tuple(1 << n for n in range(8))
"""The bit there, by the three uppermost bits of the hash; it is signed, and so is an index."""


class Screen:
    """What is known of closed keys.

    Attributes:
        bits: the filter; the bit of a hash is `ONE[hash >> 61]` in byte `hash & MASK`.
        suspects: new keys that may have been closed before, to the number of the event that came.
        reopened: keys that had been let go of, to the number of the event that came after all.
        tallies: hash of a key to how many duplicates and late events were counted for it.
        closings: hashes of closed keys.
    """

    def __init__(self) -> None:
        self.bits = bytearray(BITS // 8)
        self.suspects: dict[Hashable, int] = {}
        self.reopened: dict[Hashable, int] = {}
        self.tallies: dict[int, list[int]] = {}
        self.closings = array.array("q")

    def close(self, key: Hashable) -> None:
        """Note that a key was closed."""
        h = hash(key)
        self.closings.append(h)
        self.bits[h & MASK] |= ONE[h >> 61]

    def may_be_closed(self, key: Hashable) -> bool:
        """Whether a key was perhaps closed; False is certain."""
        h = hash(key)
        return bool(self.bits[h & MASK] & ONE[h >> 61])

    def tally(self, key: Hashable, *, duplicates: int = 0, late: int = 0) -> None:
        """Note what was counted for a key."""
        counted = self.tallies.setdefault(hash(key), [0, 0])
        counted[0] += duplicates
        counted[1] += late

    def returned(self) -> dict[Hashable, int]:
        """The keys that came back, to the number of the event from which they must be judged anew.

        A suspect that was closed before stands twice among the closings. Another key of the same
        64-bit hash makes one look returned; it is then judged again, with the same result.
        """
        suspects: dict[int, list[Hashable]] = {}
        for key in self.suspects:
            suspects.setdefault(hash(key), []).append(key)
        counted = dict.fromkeys(suspects, 0)
        for h in self.closings if suspects else ():
            if h in counted:
                counted[h] += 1
        came_back = {
            key: self.suspects[key]
            for h, keys in suspects.items()
            if counted[h] > 1
            for key in keys
        }
        for key, number in self.reopened.items():
            came_back[key] = min(number, came_back.get(key, number))
        return came_back
