"""The reference evaluation: walks the tree with exact CEL semantics and readable errors.

The generated function is only a faster way to the same value; whenever it gives up, this decides
between a value and an `EvalError`. `&&`, `||`, `all` and `exists` absorb an error on one side when
the other side decides, as CEL prescribes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from helios.reconcile.streams.cel import functions, syntax, values
from helios.reconcile.streams.cel.values import EvalError

_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": values.add,
    "-": values.subtract,
    "*": values.multiply,
    "/": values.divide,
    "%": values.remainder,
}
_RELATIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": values.equals,
    "!=": values.not_equals,
    "<": values.less,
    "<=": values.less_equal,
    ">": values.greater,
    ">=": values.greater_equal,
}


@dataclass(frozen=True, slots=True)
class _Bound:
    """A name's value, and for a loop variable where it comes from."""

    value: Any
    source: syntax.Node | None = None
    index: int = 0


_Scope = Mapping[str, _Bound]


def evaluate(node: syntax.Node, objects: Mapping[str, Any], attribute: Callable[[str], str]) -> Any:
    """Evaluate under `values.CONTEXT`, which the caller sets.

    Args:
        node: an analysed expression.
        objects: a value for each variable.
        attribute: from a field's name to the attribute of a Struct.

    Raises:
        EvalError: the expression has no value for these objects.
    """
    scope = {name: _Bound(value) for name, value in objects.items()}
    return _Interpreter(attribute).run(node, scope)


class _Interpreter:
    def __init__(self, attribute: Callable[[str], str]) -> None:
        self._attribute = attribute
        self._loops = 0
        self._visited = 0

    def run(self, node: syntax.Node, scope: _Scope) -> Any:
        handler: Callable[[Any, Any, _Scope], Any] = self._HANDLERS[type(node)]
        return handler(self, node, scope)

    # Leaves and fields

    def _literal(self, node: syntax.Literal, _scope: _Scope) -> Any:
        return node.value

    def _name(self, node: syntax.Name, scope: _Scope) -> Any:
        value = scope[node.name].value
        if value is values.UNSET:
            raise EvalError(f"{_path(node, scope)} is missing")
        return value

    def _select(self, node: syntax.Select, scope: _Scope) -> Any:
        found = self._field(node, scope)
        if found is values.UNSET:
            raise EvalError(f"{_path(node, scope)} is missing")
        return found

    def _has(self, node: syntax.Has, scope: _Scope) -> bool:
        return self._field(node, scope) is not values.UNSET

    def _field(self, node: syntax.Select | syntax.Has, scope: _Scope) -> Any:
        owner = self.run(node.operand, scope)
        try:
            return values.read(owner, self._attribute(node.field), node.field)
        except EvalError:
            owned = f"{_path(node.operand, scope)} is {values.article(owner)}"
            raise EvalError(f"{owned} and has no field '{node.field}'") from None

    def _index(self, node: syntax.Index, scope: _Scope) -> Any:
        container = self.run(node.operand, scope)
        return _at(node, values.item, container, self.run(node.index, scope))

    def _list(self, node: syntax.ListLiteral, scope: _Scope) -> list[Any]:
        return [self.run(item, scope) for item in node.items]

    def _map(self, node: syntax.MapLiteral, scope: _Scope) -> dict[str, Any]:
        pairs = [(self.run(key, scope), self.run(value, scope)) for key, value in node.entries]
        made: dict[str, Any] = _at(node, values.mapping, *pairs)
        return made

    # Operators

    def _not(self, node: syntax.Not, scope: _Scope) -> bool:
        return not self._truth(node.operand, scope)

    def _negate(self, node: syntax.Negate, scope: _Scope) -> Any:
        return _at(node, values.negate, self.run(node.operand, scope))

    def _arithmetic(self, node: syntax.Arithmetic, scope: _Scope) -> Any:
        left = self.run(node.left, scope)
        return _at(node, _ARITHMETIC[node.operator], left, self.run(node.right, scope))

    def _comparison(self, node: syntax.Comparison, scope: _Scope) -> Any:
        left = self.run(node.left, scope)
        return _at(node, _RELATIONS[node.relation], left, self.run(node.right, scope))

    def _membership(self, node: syntax.Membership, scope: _Scope) -> Any:
        item, container = self.run(node.item, scope), self.run(node.container, scope)
        if type(container) is list:
            self._visit(len(container), node)
        return _at(node, values.contains, item, container)

    def _truth(self, node: syntax.Node, scope: _Scope) -> bool:
        value = self.run(node, scope)
        if type(value) is not bool:
            raise EvalError(f"expected a bool; found {values.kind(value)} at {node.at}")
        return value

    def _logic(self, node: syntax.Logic, scope: _Scope) -> bool:
        attempts = (lambda side=side: self._truth(side, scope) for side in (node.left, node.right))
        return _absorbing(attempts, decisive=node.operator == "||")

    def _condition(self, node: syntax.Condition, scope: _Scope) -> Any:
        return self.run(node.then if self._truth(node.test, scope) else node.otherwise, scope)

    def _call(self, node: syntax.Call, scope: _Scope) -> Any:
        arguments = [self.run(argument, scope) for argument in node.arguments]
        return _at(node, functions.FUNCTIONS[node.function].call, *arguments)

    # Macros

    def _macro(self, node: syntax.Macro, scope: _Scope) -> Any:
        found = _at(node, values.elements, self.run(node.source, scope), node.macro)
        self._visit(len(found), node)
        inner = (
            {**scope, node.variable: _Bound(element, node.source, index)}
            for index, element in enumerate(found)
        )
        self._loops += 1
        try:
            return self._loop(node, inner)
        finally:
            self._loops -= 1

    def _visit(self, elements: int, node: syntax.Node) -> None:
        """Count what loops within loops visit."""
        self._visited += elements if self._loops else 0
        if self._visited > values.NESTED_ELEMENTS_MAX:
            limit = f"{values.NESTED_ELEMENTS_MAX:,}"
            raise EvalError(f"nested loops visit more than {limit} elements at {node.at}")

    def _loop(self, node: syntax.Macro, inner: Iterable[_Scope]) -> Any:
        match node.macro:
            case "all" | "exists":
                attempts = (lambda one=one: self._truth(node.body, one) for one in inner)
                return _absorbing(attempts, decisive=node.macro == "exists")
            case "exists_one":
                return sum(self._truth(node.body, one) for one in inner) == 1
            case "filter":
                kept = (one for one in inner if self._truth(node.body, one))
                return [one[node.variable].value for one in kept]
            case _:
                return [self.run(node.body, one) for one in inner if self._kept(node, one)]

    def _kept(self, node: syntax.Macro, scope: _Scope) -> bool:
        return node.condition is None or self._truth(node.condition, scope)

    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any, _Scope], Any]]] = {
        syntax.Literal: _literal,
        syntax.Name: _name,
        syntax.Select: _select,
        syntax.Has: _has,
        syntax.Index: _index,
        syntax.ListLiteral: _list,
        syntax.MapLiteral: _map,
        syntax.Not: _not,
        syntax.Negate: _negate,
        syntax.Arithmetic: _arithmetic,
        syntax.Comparison: _comparison,
        syntax.Membership: _membership,
        syntax.Logic: _logic,
        syntax.Condition: _condition,
        syntax.Call: _call,
        syntax.Macro: _macro,
    }


def _absorbing(attempts: Iterable[Callable[[], bool]], *, decisive: bool) -> bool:
    """Fold with && or ||: a decisive value wins over errors, an error over the neutral value."""
    failed: EvalError | None = None
    for attempt in attempts:
        try:
            if attempt() is decisive:
                return decisive
        except EvalError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return not decisive


def _at(node: syntax.Node, operation: Callable[..., Any], *operands: Any) -> Any:
    """Apply an operation; its error gets the place of the node."""
    try:
        return operation(*operands)
    except EvalError as error:
        raise EvalError(f"{error.reason} at {node.at}") from None


def _path(node: syntax.Node, scope: _Scope) -> str:
    """The way to a value as a person would write it, such as `order.items[2].price`."""
    match node:
        case syntax.Name():
            bound = scope.get(node.name)
            if bound is None or bound.source is None:
                return node.name
            source = _path(bound.source, {k: v for k, v in scope.items() if v is not bound})
            return f"{source}[{bound.index}]" if _is_plain(bound.source) else node.name
        case syntax.Select():
            owner = _path(node.operand, scope)
            return f"'{node.field}' of {owner}" if " " in owner else syntax.step(owner, node.field)
        case syntax.Index(index=syntax.Literal(value=value)):
            return f"{_path(node.operand, scope)}[{value}]"
        case _:
            return f"the value at {node.at}"


def _is_plain(node: syntax.Node) -> bool:
    """Whether the node is a bare chain of fields, whose elements keep their places."""
    while isinstance(node, syntax.Select):
        node = node.operand
    return isinstance(node, syntax.Name)
