"""What a contract says, in words: what it waits for and how long, what decides when, what it reads.

A contract that can be run may still not mean what its author meant. What is legal and seldom meant
is told as a warning.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from helios.kernel import durations
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import expressions
from helios.reconcile.streams.cel import compile as cel
from helios.reconcile.streams.cel import shape as shapes
from helios.reconcile.streams.cel import syntax

_CARDINALITIES = {"one": "exactly one", "many": "one or more", "optional": "none or one"}
_MONEY = ("amount", "total", "price", "sum", "value", "cost", "paid", "due", "cents")


_DIVIDES = (
    "whole numbers are divided without a rest (7 / 2 is 3); write a decimal, such as / 2.0, if the "
    "rest counts"
)
_EXACTLY = (
    "compares exactly; if amounts are rounded where they come from, state a tolerance: "
    "abs(a - b) <= 0.01"
)
_AS_TEXTS = (
    "compares texts as texts, and 12.5 is not 12.50 there; for numbers from CSV write "
    "abs(a - b) <= 0.01"
)


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """A leg in words.

    Attributes:
        leg: its name.
        events: which events belong to it.
        key: path of the key in the payload.
        cardinality: how many are meant.
        within: how long it may take, conditions included; of the anchor: what it is.
        reads: fields that its conditions read.
    """

    leg: str
    events: str
    key: str
    cardinality: str
    within: str
    reads: list[str]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule in words: what it reads, and when its failure is told."""

    rule: str
    reads: list[str]
    told: str


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A contract in words.

    Attributes:
        name, client_id: of the contract.
        window: how events of a key are grouped, and how long a window stays open.
        time: how the watermark follows the events.
        legs, rules: one entry each.
        warnings: what is legal and seldom meant.
    """

    name: str
    client_id: str
    window: str
    time: str
    legs: list[Leg]
    rules: list[Rule]
    warnings: list[str]


def explain(contract: contracts.Contract) -> Explained:
    """Say in words what a contract says."""
    analysed = {
        rule.name: expressions.analyse_rule(rule.check, contract.legs) for rule in contract.rules
    }
    window = contract.window
    return Explained(
        name=contract.name,
        client_id=contract.tenant,
        window=_window(contract),
        time=(
            f"the newest event of the slowest source, less {_text(window.grace)}; a source more "
            f"than {_text(window.idle_timeout)} behind does not hold the others up"
        ),
        legs=[_leg(contract, leg) for leg in contract.legs],
        rules=[
            Rule(rule=name, reads=sorted(_reads(each, contract)), told=_told(each, contract))
            for name, each in analysed.items()
        ],
        warnings=[*_window_warnings(contract), *_leg_warnings(contract, analysed)]
        + [text for name, each in analysed.items() for text in _rule_warnings(name, each)],
    )


def open_us(contract: contracts.Contract) -> int:
    """How long a window waits at most after the anchor, without grace, in microseconds."""
    waits = [contract.window.size]
    for leg in contract.legs:
        waits += [leg.within or 0, *(case.duration for case in leg.within_when)]
    return max(waits)


def _text(us: int) -> str:
    return durations.to_text(us)


def _window(contract: contracts.Contract) -> str:
    window = contract.window
    size = _text(window.size)
    match window.type:
        case "per_key":
            anchor = contract.legs[contract.anchor].name
            return (
                f"one per key, open for {_text(open_us(contract))} from {anchor}, or from the "
                f"first event until {anchor} has come"
            )
        case "tumbling":
            return f"{size} long, one after the other, aligned to midnight UTC"
        case "sliding":
            return f"{size} long, a new one every {_text(window.every)}: an event is in several"
        case "session":
            return f"while events of the key are less than {size} apart"


def _leg(contract: contracts.Contract, leg: contracts.Leg) -> Leg:
    reads: set[str] = set()
    for text in (leg.require, *(case.condition for case in leg.within_when)):
        event = expressions.analyse_condition(text).shape.get("event") if text else None
        reads.update(_paths(event, "event") if event is not None else ())
    events = f"{leg.type} from {leg.source or 'any source'}"
    if leg.require is not None:
        events += f" where {leg.require}"
    return Leg(
        leg=leg.name,
        events=events,
        key=".".join(("payload", *leg.key)),
        cardinality=_CARDINALITIES[leg.cardinality],
        within=_within(contract, leg),
        reads=sorted(reads),
    )


def _within(contract: contracts.Contract, leg: contracts.Leg) -> str:
    if leg is contract.legs[contract.anchor]:
        return "the anchor: time counts from it"
    wait = "until the window ends"
    if leg.within is not None or contract.window.type == "per_key":
        wait = _text(leg.within if leg.within is not None else contract.window.size)
    cases = [f"{_text(case.duration)} if {case.condition}" for case in leg.within_when]
    return "; ".join([f"within {wait}" if wait[0].isdigit() else wait, *cases])


def _told(analysed: cel.Analysed, contract: contracts.Contract) -> str:
    legs = {leg.name: leg for leg in contract.legs}
    read = [legs[name] for name in analysed.variables]
    when = "as soon as all required legs are there"
    if any(leg.cardinality == "many" for leg in read):
        when = "when the window ends, for more may come; once the key was decided, at once"
    optional = [leg.name for leg in read if leg.cardinality == "optional"]
    return f"{when}; not without {', '.join(optional)}" if optional else when


def _reads(analysed: cel.Analysed, contract: contracts.Contract) -> Iterator[str]:
    many = {leg.name for leg in contract.legs if leg.cardinality == "many"}
    for name, shape in analysed.shape.items():
        if name in many:
            yield from _paths(shape.items or shapes.PRESENCE, f"{name}[]")
        else:
            yield from _paths(shape, name)


def _paths(shape: shapes.Shape, at: str) -> Iterator[str]:
    """The fields that are read, as one would write them."""
    if shape.use is shapes.Use.STRUCT and shape.fields:
        for name, field in shape.fields.items():
            yield from _paths(field, syntax.step(at, name))
    elif shape.use is shapes.Use.LIST and shape.items is not None:
        yield from _paths(shape.items, f"{at}[]")
    else:
        yield at


# -- what is seldom meant ----------------------------------------------------------------------


def _window_warnings(contract: contracts.Contract) -> Iterator[str]:
    window = contract.window
    longer = [
        leg.name
        for leg in contract.legs
        if max(leg.within or 0, *(case.duration for case in leg.within_when), 0) > window.size
    ]
    if longer and window.type == "per_key":
        yield (
            f"window.size {_text(window.size)} is shorter than within of {', '.join(longer)}: "
            f"a window stays open for {_text(open_us(contract))}"
        )
    elif longer:
        yield (
            f"within of {', '.join(longer)} is longer than the window: an event that comes so "
            "late belongs to another window, and this one waits for it in vain"
        )
    if window.grace == 0:
        yield "window.grace is 0s: an event a moment out of order is late"


def _leg_warnings(
    contract: contracts.Contract, analysed: Mapping[str, cel.Analysed]
) -> Iterator[str]:
    if len(contract.legs) > 1 and not analysed:
        yield "there are no rules: keys match as soon as all legs are there"
    if contract.legs[contract.anchor].cardinality == "optional":
        yield (
            f"the anchor {contract.legs[contract.anchor].name} is optional: without it, time "
            "counts from the first event of the key"
        )


def _rule_warnings(name: str, analysed: cel.Analysed) -> Iterator[str]:
    for node in _walk(analysed.node):
        if isinstance(node, syntax.Arithmetic) and node.operator == "/":
            if not (_is_decimal(node.left) or _is_decimal(node.right)):
                yield f"rule {name}: {_DIVIDES}"
        elif isinstance(node, syntax.Comparison) and node.relation in {"==", "!="}:
            sides = (node.left, node.right)
            if any(map(_is_computed, sides)) and not any(map(_is_count, sides)):
                yield f"rule {name}: {node.relation} {_EXACTLY}"
            elif all(isinstance(side, syntax.Select) and _is_money(side) for side in sides):
                yield f"rule {name}: {node.relation} {_AS_TEXTS}"
    if not analysed.variables:
        yield f"rule {name} reads nothing: it always says the same"


def _walk(node: syntax.Node) -> Iterator[syntax.Node]:
    yield node
    for child in syntax.children(node):
        yield from _walk(child)


def _is_decimal(node: syntax.Node) -> bool:
    return isinstance(node, syntax.Literal) and not isinstance(node.value, int | str | None)


def _is_computed(node: syntax.Node) -> bool:
    """Whether a side is a sum or another result of reckoning with what may be money."""
    return any(
        isinstance(each, syntax.Arithmetic)
        or (isinstance(each, syntax.Call) and each.function in {"sum", "abs"})
        for each in _walk(node)
    )


def _is_count(node: syntax.Node) -> bool:
    """Whether a side counts things rather than money: by what it is called."""
    names = [each.field for each in _walk(node) if isinstance(each, syntax.Select)]
    return bool(names) and not any(map(_names_money, names))


def _is_money(node: syntax.Select) -> bool:
    return _names_money(node.field)


def _names_money(name: str) -> bool:
    return any(word in name.lower() for word in _MONEY)


def lines(explained: Explained) -> Sequence[str]:
    """The explanation for people, one line of text each."""
    out = [f"{explained.name} (client {explained.client_id})"]
    out.append(f"  window  {explained.window}")
    out.append(f"  time    {explained.time}")
    for leg in explained.legs:
        out.append(f"  leg {leg.leg}: {leg.cardinality} of {leg.events}, by {leg.key}")
        out.append(f"    {leg.within}")
    for rule in explained.rules:
        out.append(f"  rule {rule.rule}: reads {', '.join(rule.reads) or 'nothing'}")
        out.append(f"    a failure is told {rule.told}")
    out += [f"  warning: {text}" for text in explained.warnings]
    return out
