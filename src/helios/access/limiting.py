"""How often it may be tried to sign in.

After a few failures each further one doubles the wait, by name and by address. What is counted are
the events of failures, so that all processes count alike; tries that are under way count as failed
until they ended, so that many at once are no way around.
"""

import collections
import contextlib
import ipaddress
from collections.abc import Iterator

import msgspec

from helios.access import events
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors

NAME_FREE = 5
"""Failures of one name before it has to wait."""

ADDRESS_FREE = 20
"""Failures from one address before it has to wait: many people may share one."""

WAIT_S_MAX = 300.0
"""The longest wait: long enough that guessing is hopeless, and its owner can wait for it."""

FORGET_S = 3600.0
"""A name or address whose last failure is older begins anew."""

TRACKED_MAX = 20_000
"""Names and addresses that are counted. Above: the one that failed longest ago is forgotten."""

_V6 = 6
_NETWORK_BITS = 64

_failed = msgspec.json.Decoder(events.Failed)
_opened = msgspec.json.Decoder(events.Session)


class _Count(msgspec.Struct):
    failures: int
    last: int


class Limits:
    """Counts failures, and says who has to wait.

    Args:
        clock: for the age of failures.
    """

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._counts: collections.OrderedDict[str, _Count] = collections.OrderedDict()
        self._under_way: collections.Counter[str] = collections.Counter()

    def saw(self, event: envelope.Event) -> None:
        """Take in an event of access; one that a newer Helios wrote otherwise is left out."""
        with contextlib.suppress(msgspec.DecodeError):
            self._saw(event)

    def _saw(self, event: envelope.Event) -> None:
        if event.type == events.SIGN_IN_FAILED:
            failed = _failed.decode(event.payload)
            self._failed(_name(failed.who), event.recorded_at)
            if failed.address:
                self._failed(_address(failed.address), event.recorded_at)
        elif event.type == events.SESSION_OPENED:
            self._counts.pop(_name(_opened.decode(event.payload).user_id), None)

    @contextlib.contextmanager
    def trying(self, who: str, address: str) -> Iterator[None]:
        """A try for the time of the block.

        Raises:
            LimitedError: it comes too soon after those that failed; says when to come again.
        """
        keys = [(_name(who), NAME_FREE)]
        if address:
            keys.append((_address(address), ADDRESS_FREE))
        wait_s = max(self._wait_s(key, free) for key, free in keys)
        if wait_s > 0:
            raise errors.LimitedError(
                f"too many tries to sign in failed; try again in {max(1, round(wait_s))} s",
                retry_after_s=wait_s,
            )
        for key, _ in keys:
            self._under_way[key] += 1
        try:
            yield
        finally:
            for key, _ in keys:
                self._under_way[key] -= 1
                if self._under_way[key] <= 0:
                    del self._under_way[key]

    def _wait_s(self, key: str, free: int) -> float:
        found = self._counts.get(key)
        failures = 0
        passed_s = FORGET_S
        if found is not None:
            passed_s = (self._clock.now() - found.last) / clocks.SECOND_US
            failures = found.failures if passed_s < FORGET_S else 0
        left_s = 0.0
        if failures >= free:
            left_s = float(min(WAIT_S_MAX, 2.0 ** min(failures - free, 20))) - passed_s
        # While others are tried nobody knows how they end. After its wait a name has one try.
        if left_s <= 0 and self._under_way.get(key, 0) >= max(1, free - failures):
            return 1.0
        return left_s

    def _failed(self, key: str, at: clocks.Timestamp) -> None:
        found = self._counts.get(key)
        if found is None or (at - found.last) / clocks.SECOND_US >= FORGET_S:
            found = self._counts[key] = _Count(0, at)
        found.failures += 1
        found.last = max(found.last, at)
        self._counts.move_to_end(key)
        while len(self._counts) > TRACKED_MAX:
            self._counts.popitem(last=False)


def _name(who: str) -> str:
    return f"n {who}"


def _address(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"a {address}"
    # Whoever has one address of version 6 has the other 2**64 of its network as well.
    if found.version == _V6:
        return f"a {ipaddress.ip_network((found, _NETWORK_BITS), strict=False)}"
    return f"a {found}"
