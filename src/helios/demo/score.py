"""Whether what Helios says is what the shop knows to be true. Pure.

Each order is compared when its verdict must have been given. What is not right yet gets some
patience, since the machine may be slow; at the end of it the order counts as it stands.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from helios.demo import shop
from helios.kernel import clock as clocks

PATIENCE_US = 10 * clocks.SECOND_US
"""How long after its time a verdict is still waited for."""

_NUMBER = int | float | Decimal

WRONG_KEPT = 20
"""Orders that are named when they were judged wrongly; the others are only counted."""


class Seen(Protocol):
    """The fields of a verdict that are compared; those that the API shows have them."""

    @property
    def status(self) -> str:
        """matched, mismatched or partial."""
        ...

    @property
    def missing_events(self) -> list[str]:
        """Names of legs."""
        ...

    @property
    def validation_errors(self) -> Mapping[str, Mapping[str, Any]]:
        """Failing rules, with what they expected and found."""
        ...


class Count(msgspec.Struct):
    """Orders whose time has come, and those of them that were judged rightly."""

    total: int = 0
    right: int = 0


class Score:
    """What has been found so far, of what was injected.

    Attributes:
        faults: orders with a fault, by fault; right: it was found, with its reason.
        sound: orders without a fault; right: matched.
        unjudged: orders of which Helios said nothing at all.
        wrong: some of the orders that were judged wrongly, and why.
        open: orders whose time has not come, by key.
    """

    def __init__(self) -> None:
        self.faults: dict[shop.Fault, Count] = {fault: Count() for fault in shop.FAULTS}
        self.sound = Count()
        self.unjudged = 0
        self.wrong: list[str] = []
        self.open: dict[str, shop.Order] = {}

    def placed(self, order: shop.Order) -> None:
        """An order is on its way."""
        self.open[order.key] = order

    def due(self, now: clocks.Timestamp) -> list[shop.Order]:
        """Orders that must have been judged by now, and were not compared."""
        return [order for order in self.open.values() if order.settled_at <= now]

    def judged(self, order: shop.Order, history: Sequence[Seen], now: clocks.Timestamp) -> bool:
        """Compare an order with its verdicts, oldest first; False: it is worth waiting."""
        reason = difference(order.truth, history)
        if reason is not None and now < order.settled_at + PATIENCE_US:
            return False
        del self.open[order.key]
        count = self.sound if order.fault is None else self.faults[order.fault]
        count.total += 1
        if reason is None:
            count.right += 1
            return True
        self.unjudged += not history
        if len(self.wrong) < WRONG_KEPT:
            self.wrong.append(f"{order.key} ({order.fault or 'no fault'}): {reason}")
        return True

    @property
    def injected(self) -> int:
        """Orders with a fault, whose time has come."""
        return sum(count.total for count in self.faults.values())

    @property
    def found(self) -> int:
        """Those of them that Helios told rightly."""
        return sum(count.right for count in self.faults.values())

    @property
    def checked(self) -> int:
        """Orders that were compared."""
        return self.injected + self.sound.total

    @property
    def false_alarms(self) -> int:
        """Orders without a fault that were not told as matched."""
        return self.sound.total - self.sound.right

    @property
    def is_perfect(self) -> bool:
        """Every fault was found, and nothing else."""
        return self.found == self.injected and not self.false_alarms


def difference(truth: shop.Truth, history: Sequence[Seen]) -> str | None:
    """What is wrong with the verdicts of an order, oldest first; None when nothing is.

    The last one must say what is true. Of those before only a payment that came late asks
    something: that the order was told as partial until then.
    """
    if not history:
        return f"no verdict, must be {truth.status}"
    last = history[-1]
    if last.status != truth.status:
        return f"{last.status}, must be {truth.status}"
    if tuple(last.missing_events) != truth.missing:
        return f"missing {last.missing_events}, must be {list(truth.missing)}"
    sides = {rule: _sides(found) for rule, found in last.validation_errors.items()}
    if sides != truth.errors:
        return f"says {sides}, must say {truth.errors}"
    if truth.healed and not any(seen.status == "partial" for seen in history[:-1]):
        return "never told as partial, although its payment came too late"
    return None


def _sides(found: Mapping[str, Any]) -> tuple[Decimal, Decimal] | None:
    """What a rule expected and found, as exact numbers; None when it says neither."""
    expected, actual = found.get("expected"), found.get("actual")
    if not isinstance(expected, _NUMBER) or not isinstance(actual, _NUMBER):
        return None
    # JSON numbers arrive as floats; their shortest text is what was sent.
    return Decimal(str(expected)), Decimal(str(actual))
