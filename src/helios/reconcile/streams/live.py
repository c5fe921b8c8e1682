"""Events of the log as the engine takes them, and its states as they are kept.

A window's state is kept as the positions of its events: what they say stands in the log already,
and is read again from there, after a restart or when a late event reopens a closed window.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock, errors
from helios.reconcile.streams import codegen, decode, engine, judge, layout, lines, program
from helios.reconcile.streams.layout import State

SKEW_US = 5 * 60 * clock.SECOND_US
"""How far ahead of its append an event time may be; beyond, the sender's clock is wrong, and would
close every window. Such an event counts as of then."""

FLAVOUR = codegen.Flavour(live=True)


class Seen(msgspec.Struct, gc=False):
    """An event that a leg wants, as the engine takes it; times in microseconds."""

    h_id: str
    h_type: str
    h_source: str
    h_time: int
    h_payload: Any
    position: int


class PayloadDecoder:
    """Decodes payloads of the log for one contract."""

    def __init__(self, compiled: program.Program) -> None:
        self._program = compiled
        self._strict = msgspec.json.Decoder(compiled.payload, float_hook=Decimal).decode
        self._loose = msgspec.json.Decoder(compiled.loose, float_hook=Decimal).decode

    def seen(self, event: envelope.Event, bound: program.BoundLeg) -> Seen:
        """The event as the engine takes it.

        Raises:
            InvalidInputError: it has no key, or a field of a wrong type; `field` is a code.
        """
        try:
            payload: Any = self._strict(event.payload)
            if not self._program.shared_key or len(bound.key) > 1:
                decode.set_key(payload, bound)
        except msgspec.ValidationError:
            payload = self._again(event, bound)
        time = min(event.occurred_at, event.recorded_at + SKEW_US)
        return Seen(event.id, event.type, event.source, time, payload, event.position)

    def _again(self, event: envelope.Event, bound: program.BoundLeg) -> Any:
        decode.check_numbers(decode.parse_object(event.payload))
        try:
            payload = self._loose(event.payload)
        except msgspec.ValidationError as error:
            raise errors.InvalidInputError(decode.wrong_type(error), field="wrong_type") from None
        decode.set_key(payload, bound)
        return payload


def key_of(payload: Any, bound: program.BoundLeg) -> str:
    """The key of a decoded payload."""
    for attribute in bound.key:
        payload = getattr(payload, attribute)
    return str(payload)


class Kept(msgspec.Struct, array_like=True, gc=False):
    """A state as it is kept.

    Attributes:
        group: key, or [key, start].
        status, revision, next, within, start, end, last: slots of `layout`.
        positions: per leg, of its events, in the order of the state.
        base: likewise.
    """

    group: str | tuple[str, int]
    status: int
    revision: int
    next: int | None
    within: dict[int, tuple[int, int]] | None
    start: int | None
    end: int | None
    last: tuple[int, tuple[str, ...], int] | None
    positions: list[list[int]]
    base: int | None = None


def keep(state: State, legs: int) -> Kept:
    """What must be kept of a state."""
    return Kept(
        group=state[layout.GROUP],
        status=state[layout.STATUS],
        revision=state[layout.REVISION],
        next=state[layout.NEXT],
        within=state[layout.WITHIN],
        start=state[layout.START],
        end=state[layout.END],
        last=state[layout.LAST],
        positions=[layout.listed(state[layout.positions(leg, legs)]) for leg in range(legs)],
        base=state[layout.BASE],
    )


def restore(kept: Kept, target: engine.Engine, events: Mapping[int, tuple[int, Seen]]) -> State:
    """A state from what was kept and the events at its positions.

    Args:
        kept: the state as it was kept.
        target: the engine it is for; the state is not admitted yet.
        events: position to (leg, event); those that no leg of this version wants or can use are
            left out.
    """
    legs = target.program.legs
    required = sum(bound.leg.required for bound in legs)
    state = layout.empty(len(legs), required, live=True)
    state[layout.GROUP] = kept.group
    state[layout.START] = kept.start
    state[layout.END] = kept.end
    places = [p for each in kept.positions for p in each if p in events]
    if places:
        # Until the anchor comes, time counts from the event that came first.
        state[layout.BASE] = events[min(places)][1].h_time
    for place in places:
        leg, event = events[place]
        target.store(state, leg, event.h_payload, event)
    if kept.next is not None or not places:
        # Of a closed window it follows from the events; a newer version may have another anchor.
        state[layout.BASE] = kept.base
    state[layout.STATUS] = kept.status
    state[layout.REVISION] = kept.revision
    state[layout.NEXT] = kept.next
    state[layout.WITHIN] = kept.within
    state[layout.LAST] = kept.last
    return state


def group_key(group: str | tuple[str, int]) -> str:
    """The key of a group."""
    return group if isinstance(group, str) else group[0]


def reject_of(event: envelope.Event, error: errors.InvalidInputError) -> lines.Reject:
    """A dead letter: an event that a leg wants and cannot use."""
    return lines.reject(
        event.source, event.position, error.field or "invalid", error.message, event.payload
    )


def reasons_of(code: int, missing: Sequence[str], failed: Mapping[str, Any]) -> tuple[str, ...]:
    """The reasons of a stored verdict, as the judge would give them."""
    if code == layout.PARTIAL:
        return tuple(f"missing_{name}" for name in missing)
    return tuple(sorted(failed)) if code == layout.MISMATCHED else ()


STATUS_CODES = {name: code for code, name in judge.NAMES.items()}
