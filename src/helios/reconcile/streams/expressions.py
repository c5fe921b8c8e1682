"""Where a contract's texts become expressions: which names each may use.

Rules see the payloads of the legs by name: one object, or a list for a leg of cardinality many.
Conditions see one `event`: its `payload`, `type`, `source` and `id`.
"""

import contextlib
import zoneinfo
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec

from helios.kernel import errors, yamldoc
from helios.reconcile.streams.cel import compile as cel
from helios.reconcile.streams.cel import shape as shapes

_EVENT = {"event": cel.VarKind.ONE}
_EVENT_FIELDS = frozenset({"payload", "type", "source", "id"})


class _LegLike(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def key(self) -> tuple[str, ...]: ...

    @property
    def cardinality(self) -> str: ...


class EventView(msgspec.Struct, gc=False):
    """What a condition sees as `event`; the attributes are named as `attribute` says."""

    f_payload: Any
    f_type: str
    f_source: str
    f_id: str


def attribute(name: str) -> str:
    """The Struct attribute that holds a JSON field: never a keyword, never a dunder."""
    if name.isidentifier() and name.isascii():
        return f"f_{name}"
    return "x_" + name.encode("utf-8", "surrogatepass").hex()


def analyse_rule(text: str, legs: Sequence[_LegLike]) -> cel.Analysed:
    """Check a rule over the legs; it must be able to give true or false.

    Raises:
        InvalidInputError: with line and column in the text.
    """
    variables = {
        leg.name: cel.VarKind.MANY if leg.cardinality == "many" else cel.VarKind.ONE for leg in legs
    }
    return _boolean(cel.analyse(text, variables), "a rule")


def analyse_condition(text: str) -> cel.Analysed:
    """Check a condition over one event.

    Raises:
        InvalidInputError: with line and column in the text.
    """
    analysed = _boolean(cel.analyse(text, _EVENT), "a condition")
    if "event" in analysed.shape:
        shape = analysed.shape["event"]
        unknown = sorted(set(shape.fields) - _EVENT_FIELDS)
        if shape.use is not shapes.Use.STRUCT or unknown:
            names = ", ".join(sorted(_EVENT_FIELDS))
            raise errors.InvalidInputError(
                f"an event has the fields {names}; found {', '.join(unknown) or 'event alone'}"
            )
    return analysed


def payload_shape(analysed: cel.Analysed) -> shapes.Shape:
    """What a condition reads of the event's payload."""
    event = analysed.shape.get("event")
    return event.fields.get("payload", shapes.PRESENCE) if event is not None else shapes.PRESENCE


def rule_shape(analysed: cel.Analysed, legs: Sequence[_LegLike]) -> shapes.Shape:
    """What a rule reads of the payloads of all its legs, taken as one."""
    many = {leg.name for leg in legs if leg.cardinality == "many"}
    merged = shapes.STRUCT
    for name, shape in analysed.shape.items():
        one = (shape.items or shapes.PRESENCE) if name in many else shape
        merged = shapes.merge(merged, one)
    return merged


def merge(*read: shapes.Shape, legs: Sequence[_LegLike]) -> shapes.Shape:
    """What is decoded of a payload: what the expressions read, and the keys.

    Raises:
        InvalidInputError: what holds a key is read as a whole, or as a single value.
    """
    merged = shapes.STRUCT
    for leg in legs:
        key: shapes.Shape = shapes.SCALAR
        for part in reversed(leg.key):
            key = shapes.Shape(shapes.Use.STRUCT, {part: key})
        merged = shapes.merge(merged, key)
    for shape in read:
        merged = shapes.merge(merged, shape)
    for leg in legs:
        at = merged
        for depth, part in enumerate(leg.key):
            if at.use is not shapes.Use.STRUCT:
                whole = ".".join(("payload", *leg.key[:depth]))
                raise errors.InvalidInputError(
                    f"{whole} holds the key payload.{'.'.join(leg.key)}, so it cannot be read as "
                    "a whole or as a single value; read the fields in it that are meant"
                )
            at = at.fields[part]
    return merged


def _boolean(analysed: cel.Analysed, what: str) -> cel.Analysed:
    if analysed.kind not in {cel.Kind.BOOL, cel.Kind.DYN}:
        raise errors.InvalidInputError(
            f"{what} must give true or false; this one gives {analysed.kind.value}"
        )
    return analysed


@contextlib.contextmanager
def errors_at(node: yamldoc.Node) -> Iterator[None]:
    """Tell an error in an expression at the place of the expression in its document."""
    try:
        yield
    except errors.InvalidInputError as error:
        place = ""
        if error.column is not None:
            line = f"line {error.line}, " if error.line and error.line > 1 else ""
            place = f" ({line}column {error.column} of the expression)"
        raise node.error(error.message + place) from None


def check_timezone(node: yamldoc.Node, name: str) -> None:
    """Refuse a time zone that is not in the IANA database."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise node.error(
            f"{name!r} is not a time zone; write for example Europe/Berlin or UTC"
        ) from None
