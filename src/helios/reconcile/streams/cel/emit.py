"""Python code for one expression, for objects of known shapes.

The generated function is native Python: attributes, operators, loops. It is allowed to raise
anything whenever it is not sure of the value, because then the reference in `interpret` decides;
it must never return another value than the reference. Python's operators are laxer than CEL's, so
operands of unknown kind are guarded first, as cheaply as the operator at hand permits:

- `-`, unary minus and `abs` only go wrong for bools; `+` likewise (strings and lists may be added
  in both languages); what is absent or null makes Python raise by itself.
- `*` also goes wrong for strings, lists and durations.
- `<` beside a number, a string or an instant only goes wrong for bools.
- `==` never raises, so absent fields are sought out before it; 1 == True is excluded.

Loops of `sum`, `count` and `size` over `map` and `filter` are fused: no lists are made between.
Evaluation order is free, since every failure ends in the reference.
"""

import decimal
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import msgspec

from helios.reconcile.streams.cel import code, functions, interpret, shape, syntax, values
from helios.reconcile.streams.cel.code import Code
from helios.reconcile.streams.cel.functions import Kind

_BUILTINS: Final = frozenset({bool, int, str, list, dict, decimal.Decimal, type(None)})
_CLASHES: Final = frozenset(
    name for kind in (*_BUILTINS, type(values.UNSET), msgspec.Struct) for name in dir(kind)
)
"""Attributes that a value other than the expected Struct might have too."""

_HELPERS: Final[dict[str, Any]] = {
    "__builtins__": {},
    "_abs": abs,
    "_builtin": _BUILTINS,
    "_contains": values.contains,
    "_Decimal": decimal.Decimal,
    "_dict": dict,
    "_divide": values.divide,
    "_equals": values.equals,
    "_int": int,
    "_item": values.item,
    "_less": values.less,
    "_less_equal": values.less_equal,
    "_list": list,
    "_len": len,
    "_mapping": values.mapping,
    "_plain": frozenset({bool, int, str, decimal.Decimal}),
    "_GiveUp": code.GiveUpError,
    "_greater": values.greater,
    "_greater_equal": values.greater_equal,
    "_read": values.read,
    "_remainder": values.remainder,
    "_str": str,
    "_type": type,
    "_UNSET": values.UNSET,
    "_visited_max": values.NESTED_ELEMENTS_MAX,
    **{f"_f_{name}": function.call for name, function in functions.FUNCTIONS.items()},
}
_ORDER: Final = {"<": "_less", "<=": "_less_equal", ">": "_greater", ">=": "_greater_equal"}
_NATIVE: Final = frozenset({Kind.NUMBER, Kind.STRING, Kind.TIMESTAMP, Kind.DURATION})
_SET_FROM: Final = 9
"""Members from which a set is faster than a tuple."""


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated function and its source."""

    function: Callable[..., Any]
    source: str


_Scope = Mapping[str, Code]


def generate(
    node: syntax.Node,
    variables: Sequence[str],
    shapes: Mapping[str, shape.Shape],
    attribute: Callable[[str], str],
) -> Generated:
    """Generate the function for objects decoded by the shapes.

    An expression that Python cannot compile, such as loops nested more than twenty deep, is
    evaluated by the reference alone.
    """
    emitter = _Emitter(attribute)
    scope = {
        name: Code(_parameter(name), atom=True, shapes=code.known(shapes.get(name)), boolish=True)
        for name in variables
    }
    out = emitter.out
    result = out.present(emitter.emit(node, {n: replace(c, absent=True) for n, c in scope.items()}))
    out.line(f"return {result.text}")
    parameters = ", ".join(c.text for c in scope.values())
    first = [f"{code.INDENT}_visited = 0"] if out.nested else []
    source = "\n".join([f"def rule({parameters}):", *first, *out.lines, ""])
    made: dict[str, Any] = {**_HELPERS, **out.constants}
    try:
        exec(compile(source, "<rule>", "exec"), made)  # noqa: S102 - text from `out` alone
    except (SyntaxError, RecursionError, MemoryError):
        return Generated(_reference(node, variables, attribute), "")
    function: Callable[..., Any] = made["rule"]
    return Generated(function, source)


def _parameter(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or name.startswith("_") else name


def _reference(
    node: syntax.Node, variables: Sequence[str], attribute: Callable[[str], str]
) -> Callable[..., Any]:
    def rule(*objects: Any) -> Any:
        return interpret.evaluate(node, dict(zip(variables, objects, strict=True)), attribute)

    return rule


class _Emitter:
    """Walks the tree; each method writes the statements it needs and gives an expression."""

    def __init__(self, attribute: Callable[[str], str]) -> None:
        self.out = code.Writer()
        self._attribute = attribute

    def emit(self, node: syntax.Node, scope: _Scope) -> Code:
        method: Callable[[Any, _Scope], Code] = getattr(self, f"_{type(node).__name__.lower()}")
        return method(node, scope)

    def _whole(self, node: syntax.Node, scope: _Scope) -> Code:
        """An expression whose value is surely there."""
        return self.out.present(self.emit(node, scope))

    # Leaves and fields

    def _literal(self, node: syntax.Literal, _scope: _Scope) -> Code:
        return self.out.literal(node.value)

    def _name(self, node: syntax.Name, scope: _Scope) -> Code:
        return scope[node.name]

    def _select(self, node: syntax.Select, scope: _Scope) -> Code:
        owner = self.emit(node.operand, scope)
        below = tuple(s.fields[node.field] for s in owner.shapes or () if node.field in s.fields)
        shapes = code.known(*below)
        if owner.is_opaque():
            text = f"{owner.text}[{node.field!r}]"
            return Code(text, shapes=(shape.ANY,), boolish=True)
        attribute = self._attribute(node.field)
        text = f"_read({owner.text}, {attribute!r}, {node.field!r})"
        if owner.is_struct() and self._is_direct(attribute):
            owner = self._struct(owner, attribute)
            text = f"{owner.text}.{attribute}"
        return Code(text, shapes=shapes, absent=True, boolish=True)

    def _has(self, node: syntax.Has, scope: _Scope) -> Code:
        owner = self.emit(node.operand, scope)
        if owner.is_opaque():
            owner = self.out.atom(owner)
            self.out.unless(f"_type({owner.text}) is _dict")
            return Code(f"({node.field!r} in {owner.text})", Kind.BOOL)
        found = self._select(syntax.Select(node.at, node.operand, node.field), scope)
        return Code(f"({found.text} is not _UNSET)", Kind.BOOL)

    def _is_direct(self, attribute: str) -> bool:
        plain = attribute.isidentifier() and not keyword.iskeyword(attribute)
        return plain and not attribute.startswith("__")

    def _struct(self, owner: Code, attribute: str) -> Code:
        """The owner, sure not to have the attribute by being something else than a Struct."""
        if attribute not in _CLASHES:
            return owner
        owner = self.out.atom(owner)
        self.out.give_up_if(f"_type({owner.text}) in _builtin")
        return owner

    def _index(self, node: syntax.Index, scope: _Scope) -> Code:
        owner, index = self.emit(node.operand, scope), self.emit(node.index, scope)
        element = owner.element()
        return replace(element, text=f"_item({owner.text}, {index.text})", atom=False)

    def _listliteral(self, node: syntax.ListLiteral, scope: _Scope) -> Code:
        items = [self._whole(item, scope) for item in node.items]
        element = code.either(*items) if items else Code("")
        return Code(f"[{', '.join(i.text for i in items)}]", Kind.LIST, items=element)

    def _mapliteral(self, node: syntax.MapLiteral, scope: _Scope) -> Code:
        pairs = [(self._whole(k, scope), self._whole(v, scope)) for k, v in node.entries]
        text = ", ".join(f"({key.text}, {value.text})" for key, value in pairs)
        return Code(f"_mapping({text})", Kind.MAP, shapes=(shape.ANY,))

    # Operators

    def _truth(self, node: syntax.Node, scope: _Scope) -> Code:
        value = self.emit(node, scope)
        if value.kind is Kind.BOOL:
            return value
        value = self.out.atom(value)
        self.out.unless(f"{value.text} is True or {value.text} is False")
        return replace(value, kind=Kind.BOOL, absent=False)

    def _not(self, node: syntax.Not, scope: _Scope) -> Code:
        return Code(f"(not {self._truth(node.operand, scope).text})", Kind.BOOL)

    def _negate(self, node: syntax.Negate, scope: _Scope) -> Code:
        value = self.out.not_bool(self.emit(node.operand, scope))
        return Code(f"(-{value.text})", value.kind)

    def _arithmetic(self, node: syntax.Arithmetic, scope: _Scope) -> Code:
        left, right = self.emit(node.left, scope), self.emit(node.right, scope)
        if node.operator in {"/", "%"}:
            helper = "_divide" if node.operator == "/" else "_remainder"
            return Code(f"{helper}({left.text}, {right.text})", Kind.NUMBER)
        if node.operator == "*":
            left, right = self.out.numbers(left, right)
        else:
            left, right = self.out.not_bool(left), self.out.not_bool(right)
        text = f"({left.text} {node.operator} {right.text})"
        kinds = {left.kind, right.kind}
        if node.operator == "*" or Kind.NUMBER in kinds:
            return Code(text, Kind.NUMBER)
        if node.operator == "+" and Kind.STRING in kinds:
            return Code(text, Kind.STRING)
        if node.operator == "+" and not kinds & {Kind.TIMESTAMP, Kind.DURATION}:
            return replace(code.either(left, right), text=text, absent=False)
        return Code(text)

    def _comparison(self, node: syntax.Comparison, scope: _Scope) -> Code:
        left, right = self.emit(node.left, scope), self.emit(node.right, scope)
        if node.relation in {"==", "!="}:
            equal = self._equal(left, right)
            return Code(f"(not {equal})" if node.relation == "!=" else equal, Kind.BOOL)
        for known, other in ((left, right), (right, left)):
            if known.kind is Kind.NUMBER and other.boolish:
                left, right = self.out.not_bool(left), self.out.not_bool(right)
            if known.kind in _NATIVE:
                return Code(f"({left.text} {node.relation} {right.text})", Kind.BOOL)
        left, right = self.out.atom(left), self.out.atom(right)
        quick = f"_type({left.text}) is _type({right.text}) in _plain"
        native = f"{left.text} {node.relation} {right.text}"
        helper = f"{_ORDER[node.relation]}({left.text}, {right.text})"
        return Code(f"({native} if {quick} else {helper})", Kind.BOOL)

    def _equal(self, left: Code, right: Code) -> str:
        left, right = self.out.present(left), self.out.present(right)
        if left.kind is not right.kind and Kind.DYN not in {left.kind, right.kind}:
            return f"_equals({left.text}, {right.text})"
        for known, other in ((left, right), (right, left)):
            if known.kind is Kind.NULL or known.kind is Kind.BOOL:
                return f"({other.text} is {known.text})"
            if known.kind is Kind.NUMBER and other.boolish and not known.beyond_bool:
                other = self.out.atom(other)  # noqa: PLW2901 - the same value, named
                is_bool = f"{other.text} is True or {other.text} is False"
                return f"({known.text} == {other.text} and not ({is_bool}))"
            if known.kind in _NATIVE:
                return f"({left.text} == {right.text})"
        left, right = self.out.atom(left), self.out.atom(right)
        quick = f"_type({left.text}) is _type({right.text}) in _plain"
        native = f"{left.text} == {right.text}"
        return f"({native} if {quick} else _equals({left.text}, {right.text}))"

    def _membership(self, node: syntax.Membership, scope: _Scope) -> Code:
        item = self._whole(node.item, scope)
        strings = _strings(node.container)
        if strings is not None:
            constant = self.out.constant(strings)
            return Code(f"({item.text} in {constant})", Kind.BOOL)
        container = self.out.atom(self._whole(node.container, scope))
        self.out.visit(f"_len({container.text})")
        return Code(f"_contains({item.text}, {container.text})", Kind.BOOL)

    def _logic(self, node: syntax.Logic, scope: _Scope) -> Code:
        left = self._truth(node.left, scope)
        with self.out.aside() as lines:
            right = self._truth(node.right, scope)
        if not lines:
            word = "and" if node.operator == "&&" else "or"
            return Code(f"({left.text} {word} {right.text})", Kind.BOOL)
        result = self.out.variable(left.text)
        self.out.line(f"if {result}:" if node.operator == "&&" else f"if not {result}:")
        self.out.indented([*lines, f"{result} = {right.text}"])
        return Code(result, Kind.BOOL, atom=True)

    def _condition(self, node: syntax.Condition, scope: _Scope) -> Code:
        test = self._truth(node.test, scope)
        with self.out.aside() as then_lines:
            then = self._whole(node.then, scope)
        with self.out.aside() as other_lines:
            other = self._whole(node.otherwise, scope)
        both = code.either(then, other)
        if not then_lines and not other_lines:
            return replace(both, text=f"({then.text} if {test.text} else {other.text})", atom=False)
        result = self.out.variable("None")
        self.out.line(f"if {test.text}:")
        self.out.indented([*then_lines, f"{result} = {then.text}"])
        self.out.line("else:")
        self.out.indented([*other_lines, f"{result} = {other.text}"])
        return replace(both, text=result, atom=True)

    # Calls

    def _call(self, node: syntax.Call, scope: _Scope) -> Code:
        special = self._SPECIAL.get(node.function)
        made = special(self, node, scope) if special is not None else None
        if made is not None:
            return made
        function = functions.FUNCTIONS[node.function]
        value = functions.constant(node)
        if value is not values.UNSET:
            return Code(self.out.constant(value), function.result, atom=True)
        arguments = [self._whole(argument, scope) for argument in node.arguments]
        if function.call is functions.identity:
            return arguments[0]
        text = f"_f_{node.function}({', '.join(a.text for a in arguments)})"
        return Code(text, function.result, boolish=function.result is Kind.DYN)

    def _sum(self, node: syntax.Call, scope: _Scope) -> Code:
        total = self.out.variable("0")

        def add(element: Code) -> None:
            self.out.line(f"{total} += {self.out.not_bool(element).text}")

        self._loop(node.arguments[0], scope, add)
        return Code(total, Kind.NUMBER, atom=True)

    def _count(self, node: syntax.Call, scope: _Scope) -> Code | None:
        if not isinstance(node.arguments[0], syntax.Macro):
            return None
        total = self.out.variable("0")

        def add(element: Code) -> None:
            self.out.atom(self.out.present(element))
            self.out.line(f"{total} += 1")

        self._loop(node.arguments[0], scope, add)
        return Code(total, Kind.NUMBER, atom=True)

    def _abs(self, node: syntax.Call, scope: _Scope) -> Code:
        value = self.out.not_bool(self.emit(node.arguments[0], scope))
        return Code(f"_abs({value.text})", value.kind)

    def _affix(self, node: syntax.Call, scope: _Scope) -> Code:
        text, affix = (self.emit(argument, scope) for argument in node.arguments)
        return Code(f"{text.text}.{node.function.lower()}({affix.text})", Kind.BOOL)

    def _contains(self, node: syntax.Call, scope: _Scope) -> Code:
        text, part = (self.out.atom(self.emit(argument, scope)) for argument in node.arguments)
        self.out.unless(f"_type({text.text}) is _str")
        return Code(f"({part.text} in {text.text})", Kind.BOOL)

    def _matches(self, node: syntax.Call, scope: _Scope) -> Code | None:
        text, pattern = node.arguments
        if not (isinstance(pattern, syntax.Literal) and isinstance(pattern.value, str)):
            return None
        value = self.out.atom(self.emit(text, scope))
        self.out.unless(f"_type({value.text}) is _str")
        search = self.out.constant(functions.regex(pattern.value).search)
        return Code(f"({search}({value.text}) is not None)", Kind.BOOL)

    _SPECIAL: ClassVar[dict[str, Callable[[Any, syntax.Call, _Scope], Code | None]]] = {
        "abs": _abs,
        "contains": _contains,
        "count": _count,
        "endsWith": _affix,
        "matches": _matches,
        "size": _count,
        "startsWith": _affix,
        "sum": _sum,
    }

    # Macros

    def _macro(self, node: syntax.Macro, scope: _Scope) -> Code:
        if node.macro in {"map", "filter"}:
            return self._collect(node, scope)
        if node.macro == "exists_one":
            return self._exactly_one(node, scope)
        found = node.macro == "exists"
        result = self.out.variable(str(not found))
        # The source is made in full first: an error in its last element is an error, whereas
        # an error in a predicate yields to a later element that decides.
        with self.out.loop(self.emit(node.source, scope), node.variable) as element:
            test = self._truth(node.body, {**scope, node.variable: element})
            self.out.line(f"if {test.text}:" if found else f"if not {test.text}:")
            self.out.indented([f"{result} = {found}", "break"])
        return Code(result, Kind.BOOL, atom=True)

    def _collect(self, node: syntax.Macro, scope: _Scope) -> Code:
        result = self.out.variable("[]")
        elements: list[Code] = []

        def append(element: Code) -> None:
            present = self.out.present(element)
            elements.append(present)
            self.out.line(f"{result}.append({present.text})")

        self._loop(node, scope, append)
        return Code(result, Kind.LIST, items=elements[0], atom=True)

    def _exactly_one(self, node: syntax.Macro, scope: _Scope) -> Code:
        total = self.out.variable("0")
        with self.out.loop(self.emit(node.source, scope), node.variable) as element:
            test = self._truth(node.body, {**scope, node.variable: element})
            self.out.line(f"if {test.text}:")
            self.out.indented([f"{total} += 1"])
        return Code(f"({total} == 1)", Kind.BOOL)

    def _loop(
        self,
        node: syntax.Node,
        scope: _Scope,
        each: Callable[[Code], None],
        stages: int = 1,
    ) -> None:
        """Write a loop over what a list expression gives, without making the list if possible."""
        if not (isinstance(node, syntax.Macro) and node.macro in {"map", "filter"}):
            with self.out.loop(self.emit(node, scope), "each", stages=stages) as element:
                each(element)
            return

        def through(element: Code) -> None:
            inner = {**scope, node.variable: element}
            test = node.condition if node.macro == "map" else node.body
            if test is None:
                each(self.emit(node.body, inner))
                return
            self.out.line(f"if {self._truth(test, inner).text}:")
            with self.out.block():
                each(self.emit(node.body, inner) if node.macro == "map" else element)

        self._loop(node.source, scope, lambda element: through(self.out.atom(element)), stages + 1)


def _strings(node: syntax.Node) -> tuple[str, ...] | frozenset[str] | None:
    """The members of a literal list of strings."""
    if not isinstance(node, syntax.ListLiteral):
        return None
    found = [i.value for i in node.items if isinstance(i, syntax.Literal)]
    strings = tuple(value for value in found if isinstance(value, str))
    if len(strings) != len(node.items):
        return None
    return strings if len(strings) < _SET_FROM else frozenset(strings)
