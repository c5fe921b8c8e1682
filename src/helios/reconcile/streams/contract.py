"""Contracts: which events must come together, by which key, in what time, and what must agree.

A contract is a YAML document. `parse` reads it into a `Contract`, refuses what it does not
understand with line and column, and checks every rule and condition, so that what is stored can
be run. Nothing here or in the engine knows of orders or payments.
"""

from typing import Literal, TypeAlias

import msgspec

from helios.kernel import durations, errors, yamldoc
from helios.reconcile.streams import expressions
from helios.reconcile.streams.cel import shape as shapes

API_VERSION = "helios.io/v1"
KIND = "StreamContract"
LEGS_MAX = 16
RULES_MAX = 64
WINDOWS_PER_EVENT_MAX = 128

Cardinality: TypeAlias = Literal["one", "many", "optional"]
WindowType: TypeAlias = Literal["per_key", "tumbling", "sliding", "session"]
MissingAction: TypeAlias = Literal["replay_from_source", "alert", "none"]
Finally: TypeAlias = Literal["alert", "none"]

_WINDOW_TYPES: tuple[WindowType, ...] = ("per_key", "tumbling", "sliding", "session")
_CARDINALITIES: tuple[Cardinality, ...] = ("one", "many", "optional")
_ACTIONS: tuple[MissingAction, ...] = ("replay_from_source", "alert", "none")
_FINALLY: tuple[Finally, ...] = ("alert", "none")

DEFAULT_GRACE = durations.parse("5s")
DEFAULT_IDLE = durations.parse("30s")

_NAME = "lower case letters, digits and dashes, starting with a letter, at most 63"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """How events of a key are grouped in event time.

    Attributes:
        type: `per_key` opens with a key's first event; `tumbling` and `sliding` are aligned to the
            epoch; `session` grows while events are less than `size` apart.
        size: length, or for `session` the gap, in microseconds.
        every: distance between starts of sliding windows, in microseconds.
        grace: how far the watermark stays behind the newest event of a source: the disorder that
            is put in order, in microseconds.
        idle_timeout: a source silent for this long does not hold the others up, in microseconds.
    """

    type: WindowType = "per_key"
    size: int
    every: int
    grace: int = DEFAULT_GRACE
    idle_timeout: int = DEFAULT_IDLE


class Within(msgspec.Struct, frozen=True, kw_only=True):
    """Another time for a leg, where a condition on what has arrived holds."""

    condition: str
    duration: int


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of event that a key waits for.

    Attributes:
        name: how rules call it.
        source, type: which events belong to it; source None: any, and then the ids of its events
            must differ across their sources.
        key: path of the key in the payload, such as `("orderId",)`.
        cardinality: one: exactly one; many: one or more; optional: none or one.
        require: condition that an event must meet to count, or None.
        within: how long after the anchor it may come, in microseconds; None: the window's size.
        within_when: conditions that change `within`; the first that holds counts.
    """

    name: str
    source: str | None
    type: str
    key: tuple[str, ...]
    cardinality: Cardinality = "one"
    require: str | None = None
    within: int | None = None
    within_when: tuple[Within, ...] = ()

    @property
    def required(self) -> bool:
        return self.cardinality != "optional"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What must agree: a CEL expression over the legs."""

    name: str
    check: str


class OnMissing(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a key that is not matched."""

    after: int = durations.parse("60s")
    action: MissingAction = "alert"
    max_attempts: int = 3
    then: Finally = "alert"


class FieldMap(msgspec.Struct, frozen=True, kw_only=True):
    """How the fields of a flat record make an event; None: found by its usual names.

    Attributes:
        id, source, type, time: top-level field names.
        payload: top-level field that holds the payload; `.`: the record itself.
        source_value, type_value: constants instead of fields.
        timezone: IANA name for times without a zone; None: such times are refused.
        time_format: `strptime` format of the time; None: ISO 8601 or epoch seconds or milliseconds.
    """

    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None
    payload: str | None = None
    source_value: str | None = None
    type_value: str | None = None
    timezone: str | None = None
    time_format: str | None = None


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """The mapping section: for all records, and for those of one leg."""

    default: FieldMap = FieldMap()
    legs: dict[str, FieldMap] = {}

    def of(self, leg: str | None) -> FieldMap:
        """The mapping of a file bound to a leg; a leg's own fields go before the default."""
        own = self.legs.get(leg) if leg is not None else None
        if own is None:
            return self.default
        given = {f: v for f in own.__struct_fields__ if (v := getattr(own, f)) is not None}
        return msgspec.structs.replace(self.default, **given)


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """A checked contract. `text` is the document it was read from."""

    name: str
    tenant: str
    description: str
    window: Window
    legs: tuple[Leg, ...]
    anchor: int
    rules: tuple[Rule, ...]
    on_missing: OnMissing | None
    mismatch_rate_max: float | None
    mapping: Mapping
    text: str

    def leg_index(self, name: str) -> int:
        """Place of a leg. Raises InvalidInputError naming the legs there are."""
        for i, leg in enumerate(self.legs):
            if leg.name == name:
                return i
        names = ", ".join(leg.name for leg in self.legs)
        raise errors.InvalidInputError(f"contract {self.name!r} has no leg {name!r} (has {names})")


def shape(contract: Contract) -> tuple[object, ...]:
    """All that is not a time, a threshold or a policy: what tells one contract from another."""
    legs = tuple(
        (
            leg.name,
            leg.source,
            leg.type,
            leg.key,
            leg.cardinality,
            leg.require,
            tuple(each.condition for each in leg.within_when),
        )
        for leg in contract.legs
    )
    return (
        contract.name,
        contract.tenant,
        contract.window.type,
        legs,
        contract.anchor,
        contract.rules,
        contract.mapping,
    )


def carries(before: Contract, after: Contract) -> bool:
    """Whether windows that are open may go on under the next version.

    They may where the versions differ in times alone and the windows are the same ones: an aligned
    window of another size is another window, and so is a session with another gap.
    """
    mine, other = before.window, after.window
    same = mine.type == "per_key" or (mine.size, mine.every) == (other.size, other.every)
    # What a condition has changed already is kept with the window, and is not computed again.
    cases = [[leg.within_when for leg in each.legs] for each in (before, after)]
    return same and shape(before) == shape(after) and cases[0] == cases[1]


def parse(text: str, *, source: str | None = None) -> Contract:
    """Read and check a contract.

    Args:
        text: the YAML (or JSON) document.
        source: its file name, for error messages.

    Raises:
        InvalidInputError: with line, column, field and what was expected.
    """
    root = yamldoc.parse(text, source=source)
    top = root.fields(
        ("apiVersion", "kind", "metadata", "spec"), ("apiVersion", "kind", "metadata", "spec")
    )
    top["apiVersion"].choice((API_VERSION,))
    top["kind"].choice((KIND,))
    meta = top["metadata"].fields(("name", "client_id", "description", "labels"), ("name",))
    spec = top["spec"].fields(
        ("key", "anchor", "window", "legs", "rules", "on_missing", "objectives", "mapping"),
        ("legs",),
    )
    window = _window(spec.get("window"))
    legs = _legs(spec["legs"], spec.get("key"))
    names = [leg.name for leg in legs]
    anchor = names.index(spec["anchor"].choice(names)) if "anchor" in spec else 0
    contract = Contract(
        name=_name(meta["name"]),
        tenant=_tenant(meta.get("client_id")),
        description=meta["description"].scalar() if "description" in meta else "",
        window=window,
        legs=legs,
        anchor=anchor,
        rules=_rules(spec.get("rules")),
        on_missing=_on_missing(spec.get("on_missing")),
        mismatch_rate_max=_objectives(spec.get("objectives")),
        mapping=_mapping(spec.get("mapping"), names),
        text=text,
    )
    _check_expressions(contract, spec)
    return contract


def _name(node: yamldoc.Node) -> str:
    value = node.string(chars_max=63)
    if not (value[0].isalpha() and value.replace("-", "").isalnum() and value == value.lower()):
        raise node.error(f"expected {_NAME}; found {value!r}")
    if not value.isascii():
        raise node.error(f"expected {_NAME}; found {value!r}")
    return value


def _tenant(node: yamldoc.Node | None) -> str:
    return "default" if node is None else node.string(chars_max=128)


def _window(node: yamldoc.Node | None) -> Window:
    if node is None:
        return Window(size=durations.parse("30s"), every=durations.parse("30s"))
    fields = node.fields(("type", "size", "every", "gap", "grace", "idle_timeout"))
    kind: WindowType = "per_key"
    if "type" in fields:
        kind = fields["type"].choice(_WINDOW_TYPES)
    length = "gap" if kind == "session" else "size"
    for name, owner in (("gap", "session"), ("every", "sliding")):
        if name in fields and kind != owner:
            raise fields[name].error(f"only a window of type {owner} has it; this one is {kind}")
    if kind == "session" and "size" in fields:
        raise fields["size"].error("a window of type session has a gap, not a size")
    if length not in fields:
        raise node.error(f"field {length!r} is missing for a window of type {kind}")
    size = fields[length].positive_duration()
    every = size
    if kind == "sliding":
        if "every" not in fields:
            raise node.error("field 'every' is missing for a window of type sliding")
        every = fields["every"].positive_duration()
        if every > size or size // every > WINDOWS_PER_EVENT_MAX:
            raise fields["every"].error(
                f"expected at most the size, and at least 1/{WINDOWS_PER_EVENT_MAX} of it"
            )
    return Window(
        type=kind,
        size=size,
        every=every,
        grace=fields["grace"].duration() if "grace" in fields else DEFAULT_GRACE,
        idle_timeout=(
            fields["idle_timeout"].positive_duration() if "idle_timeout" in fields else DEFAULT_IDLE
        ),
    )


def _key(node: yamldoc.Node) -> tuple[str, ...]:
    parts = node.string().split(".")
    if parts[0] != "payload" or len(parts) < 2 or not all(parts):
        raise node.error("expected a path in the payload, such as payload.orderId")
    return tuple(parts[1:])


def _legs(node: yamldoc.Node, key_node: yamldoc.Node | None) -> tuple[Leg, ...]:
    key = _key(key_node) if key_node is not None else None
    legs = [_leg(name, item, key) for name, item in node.items()]
    if not 1 <= len(legs) <= LEGS_MAX:
        raise node.error(f"expected 1 to {LEGS_MAX} legs, found {len(legs)}")
    seen: dict[tuple[str | None, str], str] = {}
    for leg in legs:
        for (other_source, other_type), other in seen.items():
            if leg.type == other_type and (
                None in (leg.source, other_source) or leg.source == other_source
            ):
                raise node.error(f"legs {other!r} and {leg.name!r} want the same events")
        seen[leg.source, leg.type] = leg.name
    if not any(leg.required for leg in legs):
        raise node.error("at least one leg must be required (cardinality one or many)")
    return tuple(legs)


def _leg(name: str, node: yamldoc.Node, key: tuple[str, ...] | None) -> Leg:
    if not (name.isidentifier() and name.isascii()) or name == "event":
        raise node.error("a leg's name is letters, digits and underscores, and not 'event'")
    fields = node.fields(("source", "type", "key", "cardinality", "require", "within"), ("type",))
    own_key = _key(fields["key"]) if "key" in fields else key
    if own_key is None:
        raise node.error("field 'key' is missing, here or in spec")
    cardinality: Cardinality = "one"
    if "cardinality" in fields:
        cardinality = fields["cardinality"].choice(_CARDINALITIES)
    within, when = _within(fields.get("within"))
    return Leg(
        name=name,
        source=fields["source"].string() if "source" in fields else None,
        type=fields["type"].string(),
        key=own_key,
        cardinality=cardinality,
        require=fields["require"].string(chars_max=4096) if "require" in fields else None,
        within=within,
        within_when=when,
    )


def _within(node: yamldoc.Node | None) -> tuple[int | None, tuple[Within, ...]]:
    if node is None:
        return None, ()
    if not node.is_mapping:
        return node.positive_duration(), ()
    fields = node.fields(("default", "when"), ("default",))
    cases = []
    for case in fields["when"].elements() if "when" in fields else ():
        parts = case.fields(("if", "then"), ("if", "then"))
        cases.append(
            Within(
                condition=parts["if"].string(chars_max=4096),
                duration=parts["then"].positive_duration(),
            )
        )
    return fields["default"].positive_duration(), tuple(cases)


def _rules(node: yamldoc.Node | None) -> tuple[Rule, ...]:
    if node is None:
        return ()
    rules: list[Rule] = []
    for item in node.elements():
        fields = item.fields(("name", "check"), ("name", "check"))
        name = fields["name"].string(chars_max=63)
        if not (name.isidentifier() and name.isascii()):
            raise fields["name"].error("a rule's name is letters, digits and underscores")
        if any(rule.name == name for rule in rules):
            raise fields["name"].error("another rule has this name")
        rules.append(Rule(name=name, check=fields["check"].string(chars_max=4096)))
    if len(rules) > RULES_MAX:
        raise node.error(f"at most {RULES_MAX} rules, found {len(rules)}")
    return tuple(rules)


def _on_missing(node: yamldoc.Node | None) -> OnMissing | None:
    if node is None:
        return None
    fields = node.fields(("after", "action", "max_attempts", "then"))
    default = OnMissing()
    return OnMissing(
        after=fields["after"].duration() if "after" in fields else default.after,
        action=(fields["action"].choice(_ACTIONS) if "action" in fields else default.action),
        max_attempts=(
            fields["max_attempts"].integer(1, 100)
            if "max_attempts" in fields
            else default.max_attempts
        ),
        then=fields["then"].choice(_FINALLY) if "then" in fields else "alert",
    )


def _objectives(node: yamldoc.Node | None) -> float | None:
    if node is None:
        return None
    fields = node.fields(("mismatch_rate",))
    if "mismatch_rate" not in fields:
        return None
    rate = fields["mismatch_rate"]
    text = rate.scalar().strip()
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise rate.error(f"expected a share such as 1% or 0.01, found {text!r}")
    return value


_MAP_FIELDS = ("id", "source", "type", "time", "payload", "timezone", "time_format")


def _mapping(node: yamldoc.Node | None, legs: list[str]) -> Mapping:
    if node is None:
        return Mapping()
    fields = node.fields((*_MAP_FIELDS, "legs"))
    own = {}
    if "legs" in fields:
        for name, item in fields["legs"].items():
            if name not in legs:
                raise item.error(f"there is no leg {name!r} (there are {', '.join(legs)})")
            own[name] = _field_map(item.fields(_MAP_FIELDS))
    return Mapping(default=_field_map(fields), legs=own)


def _field_map(fields: dict[str, yamldoc.Node]) -> FieldMap:
    values: dict[str, str] = {}
    for name in _MAP_FIELDS:
        node = fields.get(name)
        if node is None:
            continue
        if node.is_mapping and name in ("source", "type"):
            values[f"{name}_value"] = node.fields(("value",), ("value",))["value"].string()
        else:
            values[name] = node.string()
    if "timezone" in values:
        expressions.check_timezone(fields["timezone"], values["timezone"])
    return FieldMap(**values)


def _check_expressions(contract: Contract, spec: dict[str, yamldoc.Node]) -> None:
    """Compile everything once, so that an error is told at its place in the document."""
    leg_nodes = dict(spec["legs"].items())
    merged = _check_keys(contract, spec)
    for leg in contract.legs:
        fields = dict(leg_nodes[leg.name].items())
        conditions = []
        if leg.require is not None:
            conditions.append((leg.require, fields["require"]))
        for i, case in enumerate(leg.within_when):
            node = dict(fields["within"].items())["when"].elements()[i]
            conditions.append((case.condition, dict(node.items())["if"]))
        for text, node in conditions:
            with expressions.errors_at(node):
                read = expressions.payload_shape(expressions.analyse_condition(text))
                merged = expressions.merge(merged, read, legs=contract.legs)
    for i, rule in enumerate(contract.rules):
        with expressions.errors_at(dict(spec["rules"].elements()[i].items())["check"]):
            analysed = expressions.analyse_rule(rule.check, contract.legs)
            read = expressions.rule_shape(analysed, contract.legs)
            merged = expressions.merge(merged, read, legs=contract.legs)


def _check_keys(contract: Contract, spec: dict[str, yamldoc.Node]) -> shapes.Shape:
    """A payload has one shape: the key of one leg may not stand in that of another."""
    with expressions.errors_at(spec.get("key", spec["legs"])):
        return expressions.merge(legs=contract.legs)
