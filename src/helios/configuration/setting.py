"""What a setting may be: its kind, its bounds, and how a value is read. Pure.

A value is kept in the form in which people write it (`30s`, `0.01`, `true`), so that an event says
by itself what was set, and each part that reads it asks for the form that it works with.
"""

import difflib
import math
from collections.abc import Collection
from typing import Any, Literal, TypeAlias

import msgspec

from helios.kernel import durations, errors

Value: TypeAlias = bool | int | float | str
Kind: TypeAlias = Literal["duration", "number", "integer", "ratio", "switch", "choice", "text"]
Scope: TypeAlias = Literal["installation", "client", "contract"]

TEXT_CHARS_MAX = 512
_UNITS: dict[Kind, str] = {"duration": "duration", "ratio": "share"}
_ON = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may change at run time.

    Attributes:
        name: dotted, most significant word first.
        title: for people, a few words.
        description: what it means.
        acts_on: what changes as soon as it is set.
        kind: how a value is read.
        default: in the form that is kept.
        scopes: where it may be set: for the installation, for a client, in a contract.
        unit: of a number, such as `events`; empty for what has none.
        least, most: bounds, in the form that is kept; None: there is none.
        choices: of a choice.
        field: the setting of the process that gives the value at the start, or None.
        lives_in: where its truth is, if not in its own events.
    """

    name: str
    title: str
    description: str
    acts_on: str
    kind: Kind
    default: Value
    scopes: tuple[Scope, ...] = ("installation",)
    unit: str = ""
    least: Value | None = None
    most: Value | None = None
    choices: tuple[str, ...] = ()
    field: str | None = None
    lives_in: Literal["settings", "guards", "contract"] = "settings"

    @property
    def shown_unit(self) -> str:
        return self.unit or _UNITS.get(self.kind, "")

    @property
    def bounds(self) -> str:
        """What a value may be, in words."""
        if self.kind == "switch":
            return "true or false"
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.kind == "text":
            return f"a text of at most {TEXT_CHARS_MAX} characters"
        noun = {
            "duration": "a duration",
            "integer": "a whole number",
            "ratio": "a share, such as 1% or 0.01,",
        }.get(self.kind, "a number")
        if self.least is not None and self.most is not None:
            return f"{noun} from {self.least} to {self.most}"
        return noun if self.least is None else f"{noun} of at least {self.least}"

    def read(self, given: Any, field: str = "value") -> Value:
        """A value in the form that is kept.

        Args:
            given: as JSON has it, or as somebody typed it.
            field: named in errors.

        Raises:
            InvalidInputError: of another kind, or out of bounds; says what is expected.
        """
        found = _READERS[self.kind](self, given)
        if found is None or not self._within(found):
            raise errors.InvalidInputError(
                f"{self.name}: {_told(given)}; expected {self.bounds}", field=field
            )
        return found

    def _within(self, found: Value) -> bool:
        if self.kind == "duration":
            at = micros(found)
            return (self.least is None or at >= micros(self.least)) and (
                self.most is None or at <= micros(self.most)
            )
        if self.kind in ("number", "integer", "ratio"):
            at_number = float(found)
            return (self.least is None or at_number >= float(self.least)) and (
                self.most is None or at_number <= float(self.most)
            )
        return True


def micros(value: Value) -> int:
    """A duration that is kept, in microseconds."""
    return durations.parse(str(value))


def seconds(value: Value) -> float:
    """A duration that is kept, in seconds."""
    return micros(value) / 1_000_000


def duration(seconds_: float) -> str:
    """Seconds in the form that is kept."""
    return durations.to_text(round(seconds_ * 1_000) * 1_000)


def missing(name: str, known: Collection[str]) -> str:
    """What an unknown name is answered with: what it may have meant."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"there is no setting {name[:120]!r}{hint} (`helios config list` shows them all)"


def _duration(_: Setting, given: Any) -> Value | None:
    if isinstance(given, int | float) and not isinstance(given, bool):
        # A number is one of seconds, as everywhere else in Helios.
        if not math.isfinite(given) or not 0 <= given < 1e9:
            return None
        return duration(given)
    if not isinstance(given, str):
        return None
    try:
        return durations.to_text(durations.parse(given))
    except ValueError:
        return _numeric_duration(given)


def _numeric_duration(text: str) -> Value | None:
    found = _float(text)
    return None if found is None or not 0 <= found < 1e9 else duration(found)


def _number(_: Setting, given: Any) -> Value | None:
    return _float(given)


def _integer(_: Setting, given: Any) -> Value | None:
    found = _float(given)
    if found is None or not found.is_integer() or abs(found) > 2**53:
        return None
    return int(found)


def _ratio(_: Setting, given: Any) -> Value | None:
    if isinstance(given, str) and given.strip().endswith("%"):
        found = _float(given.strip()[:-1])
        return None if found is None else round(found / 100, 12)
    return _float(given)


def _float(given: Any) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    if isinstance(given, str) and (len(given) > 40 or "_" in given):
        return None
    try:
        found = float(given)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _switch(_: Setting, given: Any) -> Value | None:
    return given if isinstance(given, bool) else _ON.get(str(given).strip().lower())


def _choice(setting: Setting, given: Any) -> Value | None:
    return given if isinstance(given, str) and given in setting.choices else None


def _text(_: Setting, given: Any) -> Value | None:
    if not isinstance(given, str) or len(given) > TEXT_CHARS_MAX or not given.isprintable():
        return None
    return given


_READERS = {
    "duration": _duration,
    "number": _number,
    "integer": _integer,
    "ratio": _ratio,
    "switch": _switch,
    "choice": _choice,
    "text": _text,
}


def _told(given: Any) -> str:
    text = given if isinstance(given, str) else str(given)
    return f"{text[:60]!r} does not do"
