"""What a pass asks for signs of drift, and what hears of each look."""

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions.predicting import prediction

Name: TypeAlias = tuple[str, str]
"""Client and stack."""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """The signs of one component.

    Attributes:
        settled: it was looked at often enough for the absence of signs to mean something.
    """

    bases: tuple[prediction.Basis, ...] = ()
    settled: bool = False


class Signals(Protocol):
    """Signs of drift, out of memory: asking costs next to nothing and never waits."""

    def is_due(self, name: Name, now: clocks.Timestamp) -> bool:
        """Whether there is a sign of anything in a stack."""
        ...

    def sights(self, name: Name, now: clocks.Timestamp) -> Mapping[str, Sight]:
        """The signs of each component that was looked at here, by address."""
        ...


class Recorder(Protocol):
    """Hears of each look."""

    def looked(
        self,
        stack: composition.Composition,
        declared: composition.Component,
        seen: model.Seen,
        *,
        took_s: float,
        now: clocks.Timestamp,
    ) -> None:
        """A component was looked at afresh: what was seen, and how long that took."""
        ...


class Nothing:
    """`Signals` and `Recorder` where nothing is foreseen."""

    def is_due(self, name: Name, now: clocks.Timestamp) -> bool:
        """Never."""
        del name, now
        return False

    def sights(self, name: Name, now: clocks.Timestamp) -> Mapping[str, Sight]:
        """None."""
        del name, now
        return {}

    def looked(
        self,
        stack: composition.Composition,
        declared: composition.Component,
        seen: model.Seen,
        *,
        took_s: float,
        now: clocks.Timestamp,
    ) -> None:
        """Goes unheard."""


NOTHING = Nothing()
