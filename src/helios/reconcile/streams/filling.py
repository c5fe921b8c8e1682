"""Putting an event into the state of its key."""

from typing import Any

from helios.reconcile.streams import compact, layout, program
from helios.reconcile.streams.layout import State


class Filler:
    """Fills states of one contract, as the generated loop does for the common case.

    Args:
        compiled: the contract.
        forms: what is kept of each leg's payloads.
        live: events carry positions, and these are kept.
    """

    def __init__(self, compiled: program.Program, forms: list[compact.Form], *, live: bool) -> None:
        self._legs = compiled.legs
        self._anchor = compiled.contract.anchor
        self._forms = forms
        self._live = live

    def empty(self) -> State:
        """The state of a key of which nothing has come."""
        required = sum(bound.leg.required for bound in self._legs)
        return layout.empty(len(self._legs), required, live=self._live)

    def add(self, state: State, leg: int, payload: Any, event: Any) -> bool:
        """Put an event into its leg; False when it was there before."""
        at, place = layout.ids(leg), layout.positions(leg, len(self._legs))
        known = state[at]
        if known is None:
            self._add_first(state, leg, payload, event)
            return True
        if event.h_id == known or (isinstance(known, list) and event.h_id in known):
            return False
        state[at] = [*layout.listed(known), event.h_id]
        if self._legs[leg].leg.cardinality == "many":
            state[at + 1].append(payload)
        if self._live:
            state[place] = [*layout.listed(state[place]), event.position]
        return True

    def _add_first(self, state: State, leg: int, payload: Any, event: Any) -> None:
        at, bound = layout.ids(leg), self._legs[leg].leg
        many = bound.cardinality == "many"
        state[at] = [event.h_id] if many else event.h_id
        form = self._forms[leg].attribute
        if form is not None:
            kept = getattr(payload, form) if form else payload
            state[at + 1] = [kept] if many else kept
        if self._live:
            place = layout.positions(leg, len(self._legs))
            state[place] = [event.position] if many else event.position
        if bound.required:
            state[layout.LEFT] -= 1
        if leg == self._anchor:
            state[layout.BASE] = event.h_time
