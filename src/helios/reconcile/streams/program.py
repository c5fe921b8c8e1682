"""A contract made ready to run: expressions bound to the types that the decoder fills.

All legs share one payload type: the merge of what every rule, condition and key reads. One type
means one decoder for a file that mixes the legs, and one binding of every expression.
"""

import operator
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from helios.kernel import limits
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import expressions
from helios.reconcile.streams.cel import compile as cel
from helios.reconcile.streams.cel import shape as shapes

Number = int | Decimal


class BoundRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and the legs it reads, in the order of its parameters."""

    name: str
    compiled: cel.Compiled
    legs: tuple[int, ...]


class BoundLeg(msgspec.Struct, frozen=True, kw_only=True):
    """A leg with its conditions bound.

    Attributes:
        key: attributes from the payload to the key.
        require: condition over an `EventView`, or None.
        within: time it may take after the anchor, in microseconds.
        within_when: (condition over an `EventView`, microseconds).
    """

    index: int
    leg: contracts.Leg
    key: tuple[str, ...]
    require: cel.Compiled | None
    within: int
    within_when: tuple[tuple[cel.Compiled, int], ...]


class Program:
    """A contract ready to run.

    Attributes:
        contract: what was declared.
        version: number of the declaration, from 1.
        legs, rules: bound.
        shape: what is decoded of a payload.
        payload: the Struct type of payloads, keys as texts.
        loose: the same with any key and any scalar, for lines that `payload` refuses.
    """

    def __init__(self, contract: contracts.Contract, *, version: int = 1) -> None:
        self.contract = contract
        self.version = version
        rules = [expressions.analyse_rule(rule.check, contract.legs) for rule in contract.rules]
        requires = [
            expressions.analyse_condition(leg.require) if leg.require is not None else None
            for leg in contract.legs
        ]
        cases = [
            [(expressions.analyse_condition(w.condition), w.duration) for w in leg.within_when]
            for leg in contract.legs
        ]
        conditions = [r for r in requires if r is not None] + [a for c in cases for a, _ in c]
        self.shape = expressions.merge(
            *(expressions.rule_shape(rule, contract.legs) for rule in rules),
            *map(expressions.payload_shape, conditions),
            legs=contract.legs,
        )
        self.shared_key = len({leg.key for leg in contract.legs}) == 1
        self.payload = self._payload_type(loose=False)
        self.loose = self._payload_type(loose=True)
        self.rules = tuple(
            self._bind_rule(rule.name, analysed)
            for rule, analysed in zip(contract.rules, rules, strict=True)
        )
        self.legs = tuple(
            BoundLeg(
                index=i,
                leg=leg,
                key=tuple(expressions.attribute(part) for part in leg.key),
                require=self._bind_condition(requires[i]),
                within=leg.within if leg.within is not None else contract.window.size,
                within_when=tuple((self._must_bind(a), d) for a, d in cases[i]),
            )
            for i, leg in enumerate(contract.legs)
        )
        self._by_type: dict[str, list[BoundLeg]] = {}
        for bound in self.legs:
            self._by_type.setdefault(bound.leg.type, []).append(bound)

    def leg_of(self, source: str, event_type: str) -> BoundLeg | None:
        """The leg that wants events of this source and type."""
        for bound in self._by_type.get(event_type, ()):
            if bound.leg.source is None or bound.leg.source == source:
                return bound
        return None

    @property
    def reads_source(self) -> bool:
        """Whether anything depends on the source of an event."""
        return any(
            bound.leg.source is not None or bound.require is not None or bound.within_when
            for bound in self.legs
        )

    @property
    def types(self) -> frozenset[str]:
        """Event types that some leg wants."""
        return frozenset(self._by_type)

    def _payload_type(self, *, loose: bool) -> type[msgspec.Struct]:
        return struct_type("Payload", self.payload_fields(loose=loose))

    def payload_fields(self, *, loose: bool) -> dict[str, Any]:
        """JSON name to type of the payload's fields; a required one has no default."""
        keys = {leg.key for leg in self.contract.legs}
        return _fields(self.shape, keys, loose=loose, required=self.shared_key)

    def _bind_rule(self, name: str, analysed: cel.Analysed) -> BoundRule:
        compiled = analysed.bind(self._leg_shapes(), attribute=expressions.attribute)
        legs = tuple(self.contract.leg_index(v) for v in compiled.variables)
        return BoundRule(name=name, compiled=compiled, legs=legs)

    def _leg_shapes(self) -> Mapping[str, shapes.Shape]:
        return {
            leg.name: (
                shapes.Shape(shapes.Use.LIST, items=self.shape)
                if leg.cardinality == "many"
                else self.shape
            )
            for leg in self.contract.legs
        }

    def _bind_condition(self, analysed: cel.Analysed | None) -> cel.Compiled | None:
        return self._must_bind(analysed) if analysed is not None else None

    def _must_bind(self, analysed: cel.Analysed) -> cel.Compiled:
        fields = {
            "payload": self.shape,
            "type": shapes.SCALAR,
            "source": shapes.SCALAR,
            "id": shapes.SCALAR,
        }
        event = shapes.Shape(shapes.Use.STRUCT, fields)
        return analysed.bind({"event": event}, attribute=expressions.attribute)


REQUIRED = object()
"""Marks a field without a default in `struct_type`."""


def struct_type(
    name: str, fields: Mapping[str, tuple[Any, Any]], *, header: Mapping[str, Any] | None = None
) -> type[msgspec.Struct]:
    """A Struct with JSON names mapped to safe attributes.

    Args:
        name: of the type.
        fields: JSON name to (type, default).
        header: attribute to (JSON name or None, type, default): an event's own fields, under fixed
            attributes whatever they are called in the file; None: never read from the file. A
            payload field of the same JSON name reads the attribute.
    """
    listed: list[Any] = []
    rename: dict[str, str] = {}
    namespace: dict[str, Any] = {}
    taken: dict[str, str] = {}
    for attr, (json_name, kind, default) in (header or {}).items():
        rename[attr] = json_name if json_name is not None else f"\ue000{attr}"
        taken[rename[attr]] = attr
        listed.append((attr, kind, default))
    for json_name, (kind, default) in fields.items():
        attr = expressions.attribute(json_name)
        if json_name in taken:
            namespace[attr] = _alias(taken[json_name])
        else:
            rename[attr] = json_name
            listed.append((attr, kind, default))
    listed.sort(key=lambda field: field[2] is not REQUIRED)
    made: type[msgspec.Struct] = msgspec.defstruct(
        name,
        [field[:2] if field[2] is REQUIRED else field for field in listed],
        rename=rename,
        gc=False,
        namespace=namespace,
    )
    return made


def _alias(attr: str) -> property:
    """Another name for an attribute, to read and to set."""

    def set_(owner: Any, value: Any) -> None:
        setattr(owner, attr, value)

    return property(operator.attrgetter(attr), set_)


Key = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ID_CHARS_MAX)]


def _fields(
    shape: shapes.Shape, keys: set[tuple[str, ...]], *, loose: bool, required: bool
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, field in shape.fields.items():
        below = {path[1:] for path in keys if path[0] == name}
        if () in below:
            must = required and not loose
            kind = Any if loose else Key if must else Key | msgspec.UnsetType
            fields[name] = (kind, REQUIRED if must else msgspec.UNSET)
        else:
            kind = _type(field, below, loose=loose, required=required)
            must = bool(below) and required and not loose
            fields[name] = (kind, REQUIRED) if must else (kind | msgspec.UnsetType, msgspec.UNSET)
    return fields


def _type(shape: shapes.Shape, keys: set[tuple[str, ...]], *, loose: bool, required: bool) -> Any:
    match shape.use:
        case shapes.Use.STRUCT:
            made = struct_type("Part", _fields(shape, keys, loose=loose, required=required))
            return made if keys and required and not loose else made | None
        case shapes.Use.LIST:
            items = shape.items if shape.items is not None else shapes.ANY
            element = _type(items, set(), loose=loose, required=False)
            return list[element] | None  # type: ignore[valid-type]
        case shapes.Use.SCALAR if shape.numeric:
            return Number | None
        case _:
            return Any
