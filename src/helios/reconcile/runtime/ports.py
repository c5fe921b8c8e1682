"""What a reconciler is, and what it says to the runtime."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from helios.eventlog import envelope
from helios.kernel import errors
from helios.reconcile.runtime import keys


class TerminalError(Exception):
    """The key cannot be reconciled however often it is tried.

    It is looked at again when something outside wakes it: an event, an approval, a person; not for
    a retry, nor for a resync.
    """


class Fence(Protocol):
    """The proof that this process is the one that may write for a key."""

    def expected(self) -> Mapping[envelope.AggregateKey, int]:
        """What every append of a pass must expect besides its own aggregates.

        The log then refuses a process that was paused while another took over (ConflictError).
        """
        ...

    def refused(self, error: errors.ConflictError) -> bool:
        """Whether it was for this that an append was refused."""
        ...


class NoFence:
    """The fence of a process that shares its log with nobody."""

    def expected(self) -> Mapping[envelope.AggregateKey, int]:
        return {}

    def refused(self, error: errors.ConflictError) -> bool:
        del error
        return False


class Owner(Protocol):
    """Says which keys of a family are looked at by this process."""

    def fence(self, key: keys.Key) -> Fence | None:
        """Its fence; None: another process looks at the key."""
        ...

    def refused(self, key: keys.Key, fence: Fence) -> None:
        """Hear that the log refused a fence: the key is another process's by now."""
        ...


class Everything:
    """The owner of all keys."""

    def __init__(self) -> None:
        self._fence = NoFence()

    def fence(self, key: keys.Key) -> Fence | None:
        del key
        return self._fence

    def refused(self, key: keys.Key, fence: Fence) -> None:
        """Never happens."""


class Again(Protocol):
    """Asks the queue about a key under way."""

    def __call__(self, key: keys.Key, /) -> keys.Priority | None: ...


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a pass is made.

    Attributes:
        priority: of the most urgent wake-up.
        wakes: how many it answers.
        waited_s: since the first of them, or since it was due.
        failures: passes over this key that failed in a row before this one.
        fence: what every append of this pass must expect.
        again: see `woken`.
    """

    priority: keys.Priority
    wakes: int = 1
    waited_s: float = 0.0
    failures: int = 0
    fence: Fence = NoFence()
    again: Again = lambda _: None

    def woken(self, key: keys.Key) -> keys.Priority | None:
        """Priority of what came in since the pass began, if anything did.

        For long operations: between two actions is the place to stop for something newer. The key
        has its next pass in any case.
        """
        return self.again(key)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a key after a pass that did not fail.

    Attributes:
        requeue_after_s: when to look again even if nothing wakes it; None: only then.
        priority: of that look; None: that of this pass.
    """

    requeue_after_s: float | None = None
    priority: keys.Priority | None = None


NOTHING = Result()


class Reconciler(Protocol):
    """Compares what is desired with what is observed for one key, again and again."""

    async def reconcile(self, key: keys.Key, why: Reason, /) -> Result:
        """Make one pass: read whole state, never the wake-up; safe to run twice, late or again.

        Raises:
            TerminalError: trying again will not help; see there.
            StorageFailedError: the process must stop.
            Exception: it is tried again, later each time; an attribute `retry_after_s` of the
                error says when at the earliest.
        """
        ...
