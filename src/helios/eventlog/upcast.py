"""Upcasters: old event versions lifted to the current one, on reading.

What is stored never changes, so what was signed, archived or hashed stays what it was. An upcaster
is a pure function of one payload, from version n of a type to n + 1; a reader gets the newest
version there is a way to, and code that folds events knows one version of each type only.
"""

import decimal
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import errors

Payload: TypeAlias = dict[str, Any]

Upcaster: TypeAlias = Callable[[Payload], Payload]
"""Pure: takes a payload of version n (its to keep), returns one of version n + 1.

Numbers with a fraction come as `decimal.Decimal`, so that an amount survives unrounded.
"""

_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=decimal.Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class Upcasters:
    """A registry of upcasters; give it to the log before the first read."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, int], Upcaster] = {}
        self._chains: dict[tuple[str, int], tuple[Upcaster, ...]] = {}

    def add(self, event_type: str, version: int, upcaster: Upcaster) -> None:
        """Register the step of a type from `version` to `version + 1`.

        Raises:
            ValueError: the step is there already, or `version` is less than 1.
        """
        if version < 1:
            raise ValueError(f"versions of {event_type} begin at 1, not {version}")
        if (event_type, version) in self._steps:
            raise ValueError(f"two upcasters for {event_type} from version {version}")
        self._steps[event_type, version] = upcaster
        self._chains.clear()

    def lift(self, events: list[envelope.Event]) -> list[envelope.Event]:
        """The events in the newest version there is a way to, in the same order.

        Raises:
            CorruptionError: an upcaster failed; names type, version and position.
        """
        if not self._steps:
            return events
        chain = self._chain
        return [_lift(e, steps) if (steps := chain(e.type, e.version)) else e for e in events]

    def _chain(self, event_type: str, version: int) -> Sequence[Upcaster]:
        key = (event_type, version)
        steps = self._chains.get(key)
        if steps is None:
            found: list[Upcaster] = []
            while (step := self._steps.get((event_type, version + len(found)))) is not None:
                found.append(step)
            steps = self._chains[key] = tuple(found)
        return steps


NONE = Upcasters()
"""No upcasters."""


def _lift(event: envelope.Event, steps: Sequence[Upcaster]) -> envelope.Event:
    try:
        payload = functools.reduce(lambda value, step: step(value), steps, _decode(event))
        encoded = _encoder.encode(payload)
    except Exception as error:
        raise errors.CorruptionError(
            f"{event.type} version {event.version} at position {event.position} cannot be "
            f"lifted to version {event.version + len(steps)} ({type(error).__name__}: {error}): "
            "mend its upcaster"
        ) from error
    return msgspec.structs.replace(event, payload=encoded, version=event.version + len(steps))


def _decode(event: envelope.Event) -> Payload:
    return _decoder.decode(event.payload)
