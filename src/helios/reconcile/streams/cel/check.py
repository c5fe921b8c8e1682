"""Static knowledge of an expression: its names resolve, its functions exist, and what it reads.

The walk gives each node a `Fact`: its kind, and the places of the input it may stand for. Uses
are noted at the places; a macro variable stands for the elements of its list, and the result of
`map` or `filter` is a list of its own whose elements lead back to the input. Only what is wrong
for every input is refused here; the rest is decided by the values at run time.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from helios.reconcile.streams.cel import functions, lexer, shape, syntax
from helios.reconcile.streams.cel.functions import Kind, Want


class VarKind(enum.Enum):
    """What a variable holds."""

    ONE = "one object"
    MANY = "a list of objects"


class _PlaceNode:
    """One place of the input, growing as uses of it are met."""

    def __init__(self, known: shape.Shape = shape.PRESENCE) -> None:
        self.known = known
        self.fields: dict[str, _PlaceNode] = {}
        self.items: _PlaceNode | None = None

    def mark(self, use: shape.Shape) -> None:
        self.known = shape.merge(self.known, use)

    def field(self, name: str) -> "_PlaceNode":
        self.mark(shape.STRUCT)
        return self.fields.setdefault(name, _PlaceNode())

    def element(self) -> "_PlaceNode":
        self.mark(shape.LIST)
        if self.items is None:
            self.items = _PlaceNode()
        return self.items

    def shape(self) -> shape.Shape:
        numeric = self.known.numeric
        if self.known.use is shape.Use.STRUCT:
            fields = {name: place.shape() for name, place in sorted(self.fields.items())}
            return shape.Shape(shape.Use.STRUCT, fields, None, numeric)
        if self.known.use is shape.Use.LIST:
            items = self.items.shape() if self.items is not None else shape.PRESENCE
            return shape.Shape(shape.Use.LIST, {}, items, numeric)
        return self.known


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of a node's value.

    `places` are the places of the input that it may be; `items` is known when it is a list that
    the expression makes; `inner` is the kind of the elements of a list of the input.
    """

    kind: Kind = Kind.DYN
    places: tuple[_PlaceNode, ...] = ()
    items: "Fact | None" = None
    inner: Kind = Kind.DYN

    def mark(self, use: shape.Shape) -> None:
        """Note a use; of a made list, a use as a whole is one of its elements too."""
        for place in self.places:
            place.mark(use)
        if self.items is not None and use in (shape.VALUE, shape.ANY):
            self.items.mark(use)

    def element(self) -> "Fact":
        inner = tuple(place.element() for place in self.places)
        if self.items is None:
            return Fact(self.inner, inner)
        return _either(self.items, Fact(places=inner)) if inner else self.items


def _either(a: Fact, b: Fact) -> Fact:
    items = _either(a.items, b.items) if a.items and b.items else a.items or b.items
    return Fact(a.kind if a.kind is b.kind else Kind.DYN, a.places + b.places, items)


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: the kind of the result and the shape per variable used."""

    kind: Kind
    shapes: Mapping[str, shape.Shape] = field(default_factory=dict)


def check(node: syntax.Node, variables: Mapping[str, VarKind]) -> Checked:
    """Check an expression against the variables that there are.

    Raises:
        InvalidInputError: with line and column; an unknown name or function, a wrong number of
            arguments, or an operation that fails for every input.
    """
    checker = _Checker(variables)
    fact = checker.visit(node, checker.roots)
    fact.mark(shape.ANY)
    used = syntax.names(node)
    return Checked(
        fact.kind,
        {name: root.places[0].shape() for name, root in checker.roots.items() if name in used},
    )


_Scope = Mapping[str, Fact]
_NUMBER: Final = Fact(Kind.NUMBER)
_BOOL: Final = Fact(Kind.BOOL)
_LITERALS: Final[dict[type, Kind]] = {bool: Kind.BOOL, str: Kind.STRING, type(None): Kind.NULL}
_NUMERIC: Final = frozenset({Kind.NUMBER, Kind.DYN})
_TIMES: Final = frozenset({Kind.TIMESTAMP, Kind.DURATION})
_ADDABLE: Final = _NUMERIC | _TIMES | {Kind.STRING, Kind.LIST}
_SENTENCES: Final = {
    "+": "add {right} to {left}",
    "-": "subtract {right} from {left}",
    "*": "multiply {left} by {right}",
    "/": "divide {left} by {right}",
    "%": "take the remainder of {left} by {right}",
}


class _Checker:
    def __init__(self, variables: Mapping[str, VarKind]) -> None:
        self._variables = variables
        self.roots: dict[str, Fact] = {}
        for name, holds in variables.items():
            many = holds is VarKind.MANY
            place = _PlaceNode(shape.LIST if many else shape.STRUCT)
            if many:
                place.element().mark(shape.STRUCT)
            kind = Kind.LIST if many else Kind.MAP
            self.roots[name] = Fact(kind, (place,), inner=Kind.MAP if many else Kind.DYN)

    def visit(self, node: syntax.Node, scope: _Scope) -> Fact:  # noqa: C901, PLR0911, PLR0912
        match node:
            case syntax.Literal(value=value):
                return Fact(_LITERALS.get(type(value), Kind.NUMBER))
            case syntax.Name():
                return self._name(node, scope)
            case syntax.Select() | syntax.Has():
                return self._field(node, scope)
            case syntax.Index():
                return self._index(node, scope)
            case syntax.ListLiteral():
                facts = [self.visit(item, scope) for item in node.items]
                return Fact(Kind.LIST, items=_any_of(facts))
            case syntax.MapLiteral():
                return self._map(node, scope)
            case syntax.Not():
                self._truth(node.operand, scope)
                return _BOOL
            case syntax.Negate():
                return self._negate(node, scope)
            case syntax.Arithmetic():
                return self._arithmetic(node, scope)
            case syntax.Comparison():
                return self._comparison(node, scope)
            case syntax.Membership():
                return self._membership(node, scope)
            case syntax.Logic():
                self._truth(node.left, scope)
                self._truth(node.right, scope)
                return _BOOL
            case syntax.Condition():
                self._truth(node.test, scope)
                return _either(self.visit(node.then, scope), self.visit(node.otherwise, scope))
            case syntax.Call():
                return self._call(node, scope)
            case syntax.Macro():
                return self._macro(node, scope)
            case _:  # pragma: no cover
                assert_never(node)

    # Names and fields

    def _name(self, node: syntax.Name, scope: _Scope) -> Fact:
        fact = scope.get(node.name)
        if fact is None:
            hint = functions.suggest(node.name, list(scope))
            raise lexer.error(f"unknown name '{node.name}'; {hint}", node.at)
        return fact

    def _field(self, node: syntax.Select | syntax.Has, scope: _Scope) -> Fact:
        owner = self.visit(node.operand, scope)
        if owner.kind not in {Kind.DYN, Kind.MAP}:
            raise lexer.error(self._no_field(node, owner), node.at)
        places = tuple(place.field(node.field) for place in owner.places)
        if isinstance(node, syntax.Has):
            return _BOOL
        return Fact(places=places)

    def _no_field(self, node: syntax.Select | syntax.Has, owner: Fact) -> str:
        message = f"{_named(node.operand)} is {_a(owner.kind)} and has no field '{node.field}'"
        if owner.kind is not Kind.LIST or not isinstance(node.operand, syntax.Name):
            return message
        name = node.operand.name
        return f"{message}; take each element: {name}.map(x, x.{node.field})"

    def _index(self, node: syntax.Index, scope: _Scope) -> Fact:
        owner = self.visit(node.operand, scope)
        index = self.visit(node.index, scope)
        index.mark(shape.SCALAR)
        if owner.kind not in {Kind.DYN, Kind.LIST, Kind.MAP}:
            message = f"{_named(node.operand)} is {_a(owner.kind)} and has no elements"
            raise lexer.error(message, node.at)
        if index.kind is Kind.NUMBER:
            return owner.element()
        owner.mark(shape.ANY)
        return Fact()

    def _map(self, node: syntax.MapLiteral, scope: _Scope) -> Fact:
        seen: set[object] = set()
        for key, value in node.entries:
            if self.visit(key, scope).kind not in {Kind.DYN, Kind.STRING}:
                raise lexer.error("the key of a map must be a string", key.at)
            if isinstance(key, syntax.Literal):
                if key.value in seen:
                    raise lexer.error(f"the key {key.value!r} stands twice", key.at)
                seen.add(key.value)
            self.visit(value, scope).mark(shape.ANY)
        return Fact(Kind.MAP)

    # Operators

    def _truth(self, node: syntax.Node, scope: _Scope) -> None:
        fact = self.visit(node, scope)
        fact.mark(shape.SCALAR)
        if fact.kind not in {Kind.DYN, Kind.BOOL}:
            raise lexer.error(f"expected a bool; found {_a(fact.kind)}", node.at)

    def _negate(self, node: syntax.Negate, scope: _Scope) -> Fact:
        fact = self.visit(node.operand, scope)
        if fact.kind not in _NUMERIC | {Kind.DURATION}:
            raise lexer.error(f"cannot negate {_a(fact.kind)}", node.at)
        fact.mark(shape.NUMBER)
        return Fact(fact.kind)

    def _arithmetic(self, node: syntax.Arithmetic, scope: _Scope) -> Fact:
        left, right = self.visit(node.left, scope), self.visit(node.right, scope)
        kind = _arithmetic_kind(node.operator, left.kind, right.kind)
        if kind is None:
            sentence = _SENTENCES[node.operator].format(left=_a(left.kind), right=_a(right.kind))
            raise lexer.error(f"cannot {sentence}", node.at)
        for one, other in ((left, right), (right, left)):
            one.mark(_operand_use(node.operator, other.kind))
        if kind is Kind.LIST:
            return Fact(kind, items=_any_of([left.element(), right.element()]))
        return Fact(kind)

    def _comparison(self, node: syntax.Comparison, scope: _Scope) -> Fact:
        left, right = self.visit(node.left, scope), self.visit(node.right, scope)
        ordered = node.relation not in {"==", "!="}
        kinds = {left.kind, right.kind} - {Kind.DYN}
        if ordered and (len(kinds) > 1 or kinds & {Kind.LIST, Kind.MAP, Kind.NULL}):
            message = f"cannot compare {_a(left.kind)} with {_a(right.kind)}"
            raise lexer.error(message, node.at)
        for one, other in ((left, right), (right, left)):
            one.mark(_compared_use(other.kind, ordered=ordered))
        return _BOOL

    def _membership(self, node: syntax.Membership, scope: _Scope) -> Fact:
        item, container = self.visit(node.item, scope), self.visit(node.container, scope)
        if container.kind not in {Kind.DYN, Kind.LIST, Kind.MAP}:
            message = f"'in' needs a list or an object; found {_a(container.kind)}"
            raise lexer.error(message, node.at)
        inner = container.items.kind if container.items is not None else Kind.DYN
        item.mark(_compared_use(inner, ordered=False))
        container.mark(shape.VALUE)
        return _BOOL

    # Calls

    def _call(self, node: syntax.Call, scope: _Scope) -> Fact:
        function = functions.FUNCTIONS.get(node.function)
        style = functions.Style.METHOD if node.method else functions.Style.PLAIN
        if function is None:
            hint = functions.suggest(node.function, [*functions.FUNCTIONS, "has"])
            raise lexer.error(f"unknown function '{node.function}'; {hint}", node.at)
        if style not in function.style:
            right = f"{node.function}(...)" if node.method else f"x.{node.function}(...)"
            raise lexer.error(f"'{node.function}' is written {right}", node.at)
        wanted, given = len(function.wants), len(node.arguments)
        if given < wanted or (given > wanted and not function.variadic):
            takes = f"{wanted - node.method} argument{'s' * (wanted - node.method != 1)}"
            more = " or more" if function.variadic else ""
            message = f"{node.function} takes {takes}{more}; found {given - node.method}"
            raise lexer.error(message, node.at)
        facts = [self.visit(argument, scope) for argument in node.arguments]
        for position, fact in enumerate(facts):
            want = function.wants[min(position, wanted - 1)]
            if want is Want.SCALARS and given > 1:
                want = Want.SCALAR
            self._argument(node, node.arguments[position], fact, want)
        self._check_literals(node)
        return facts[0] if node.function == "dyn" else Fact(_result(function, facts))

    def _check_literals(self, node: syntax.Call) -> None:
        last = node.arguments[-1]
        try:
            functions.constant(node)
            if node.function == "matches" and isinstance(last, syntax.Literal):
                functions.regex(str(last.value))
        except functions.EvalError as error:
            raise lexer.error(error.reason, last.at) from None

    def _argument(self, call: syntax.Call, node: syntax.Node, fact: Fact, want: Want) -> None:
        if fact.kind not in _ACCEPTED[want]:
            message = f"{call.function} needs {want.value}; found {_a(fact.kind)}"
            raise lexer.error(message, node.at)
        if want in {Want.NUMBERS, Want.LIST, Want.SCALARS}:
            items = fact.element()
            if want is Want.NUMBERS and items.kind not in _NUMERIC:
                raise lexer.error(f"sum needs numbers; found {_a(items.kind)}", node.at)
        if want is Want.NUMBERS:
            items.mark(shape.NUMBER)
        elif want is Want.SCALARS:
            items.mark(shape.SCALAR)
        elif want is not Want.LIST:
            fact.mark(_WANTED[want])

    def _macro(self, node: syntax.Macro, scope: _Scope) -> Fact:
        source = self.visit(node.source, scope)
        if source.kind not in {Kind.DYN, Kind.LIST}:
            message = f"{node.macro} needs a list; {_named(node.source)} is {_a(source.kind)}"
            raise lexer.error(message, node.at)
        element = source.element()
        inner = {**scope, node.variable: element}
        if node.condition is not None:
            self._truth(node.condition, inner)
        if node.macro == "map":
            return Fact(Kind.LIST, items=self.visit(node.body, inner))
        self._truth(node.body, inner)
        return Fact(Kind.LIST, items=element) if node.macro == "filter" else _BOOL


def _any_of(facts: list[Fact]) -> Fact:
    result = facts[0] if facts else Fact()
    for fact in facts[1:]:
        result = _either(result, fact)
    return result


def _named(node: syntax.Node) -> str:
    return node.name if isinstance(node, syntax.Name) else "this value"


def _a(kind: Kind) -> str:
    name: str = kind.value
    if kind in {Kind.DYN, Kind.NULL}:
        return name
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


_ACCEPTED: Final[dict[Want, frozenset[Kind]]] = {
    Want.NUMBER: _NUMERIC | {Kind.DURATION},
    Want.NUMBERS: frozenset({Kind.LIST, Kind.DYN}),
    Want.LIST: frozenset({Kind.LIST, Kind.DYN}),
    Want.SCALARS: frozenset({Kind.LIST, Kind.DYN}),
    Want.SCALAR: frozenset(Kind) - {Kind.LIST, Kind.MAP, Kind.NULL},
    Want.SIZED: frozenset({Kind.STRING, Kind.LIST, Kind.MAP, Kind.DYN}),
    Want.STRING: frozenset({Kind.STRING, Kind.DYN}),
    Want.VALUE: frozenset(Kind),
}
_WANTED: Final = {
    Want.NUMBER: shape.NUMBER,
    Want.SCALAR: shape.SCALAR,
    Want.SIZED: shape.SIZED,
    Want.STRING: shape.SCALAR,
    Want.VALUE: shape.PRESENCE,
}


def _result(function: functions.Function, facts: list[Fact]) -> Kind:
    if function.call is functions.absolute:
        return facts[0].kind
    return function.result


def _arithmetic_kind(operator: str, left: Kind, right: Kind) -> Kind | None:  # noqa: PLR0911
    """The kind of the result, or None where no values of these kinds have one."""
    if operator in {"*", "/", "%"}:
        return Kind.NUMBER if {left, right} <= _NUMERIC else None
    if not {left, right} <= _ADDABLE:
        return None
    if {left, right} & _TIMES:
        return _time_kind(operator, left, right)
    if operator == "-":
        if not {left, right} <= _NUMERIC:
            return None
        return Kind.NUMBER if Kind.NUMBER in (left, right) else Kind.DYN
    if Kind.DYN in (left, right):
        return right if left is Kind.DYN else left
    return left if left is right else None


def _time_kind(operator: str, left: Kind, right: Kind) -> Kind | None:
    if not {left, right} <= _TIMES | {Kind.DYN}:
        return None
    if Kind.DYN in (left, right):
        return Kind.DYN
    if operator == "-":
        if left is right:
            return Kind.DURATION
        return Kind.TIMESTAMP if left is Kind.TIMESTAMP else None
    if left is right:
        return Kind.DURATION if left is Kind.DURATION else None
    return Kind.TIMESTAMP


def _operand_use(operator: str, other: Kind) -> shape.Shape:
    """How a place is used that stands beside an operand of a kind."""
    if operator != "+":
        return shape.NUMBER
    if other is Kind.LIST:
        return shape.ANY
    if other is Kind.DYN:
        return shape.VALUE
    return shape.NUMBER if other is Kind.NUMBER else shape.SCALAR


def _compared_use(other: Kind, *, ordered: bool) -> shape.Shape:
    if other is Kind.NUMBER:
        return shape.NUMBER
    if other is Kind.NULL:
        return shape.PRESENCE
    if ordered or other not in {Kind.DYN, Kind.LIST, Kind.MAP}:
        return shape.SCALAR
    return shape.VALUE
