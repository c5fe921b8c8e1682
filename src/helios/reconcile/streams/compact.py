"""Less to hold: of a payload only what the rules read.

Memory, not computation, is what a large run waits for: each object kept per event costs as much as
all the work on it. Where a leg has one event, and the rules read one plain field of it, only that
value is kept, and the rule is rewritten to take the value instead of the object. The rewriting is
done on the syntax tree of the generated function, so it computes the same.
"""

import ast
from collections.abc import Callable
from typing import Any

import msgspec

from helios.reconcile.streams import expressions, program
from helios.reconcile.streams.cel import shape as shapes

WHOLE = ""
"""The payload itself is kept."""


class Form(msgspec.Struct, frozen=True):
    """What is kept of the payloads of one leg.

    Attributes:
        attribute: the payload's attribute whose value is kept; `WHOLE`: the payload; None: nothing.
        wrap: makes an object with that attribute of a value, for those who want an object.
    """

    attribute: str | None
    wrap: Callable[[Any], Any] | None = None


def whole(compiled: program.Program) -> list[Form]:
    """Keep every payload."""
    return [Form(WHOLE) for _ in compiled.legs]


def forms(compiled: program.Program) -> list[Form]:
    """The least to keep of each leg's payloads."""
    if not all(rule.compiled.source for rule in compiled.rules):
        return whole(compiled)
    return [_form(compiled, leg) for leg in compiled.legs]


def _form(compiled: program.Program, leg: program.BoundLeg) -> Form:
    if leg.leg.cardinality == "many":
        return Form(WHOLE)
    read: dict[str, shapes.Shape] = {}
    for rule in compiled.rules:
        shape = rule.compiled.shape.get(leg.leg.name)
        if shape is None:
            continue
        if shape.use is not shapes.Use.STRUCT:
            return Form(WHOLE)
        read = shapes.merge_all(read, shape.fields)
    if not read:
        return Form(None)
    if len(read) > 1:
        return Form(WHOLE)
    ((name, shape),) = read.items()
    if shape.use is not shapes.Use.SCALAR:
        return Form(WHOLE)
    attribute = expressions.attribute(name)
    view: Any = msgspec.defstruct("View", [(attribute, Any)], gc=False)
    return Form(attribute, view)


def rule(bound: program.BoundRule, kept: list[Form]) -> Callable[..., Any]:
    """The function of a rule, over what is kept of its legs."""
    scalars = {
        name: kept[leg].attribute
        for name, leg in zip(bound.compiled.variables, bound.legs, strict=True)
        if kept[leg].attribute not in {WHOLE, None}
    }
    original: Any = bound.compiled.function
    if not scalars:
        return original  # type: ignore[no-any-return]
    tree = _Narrow(scalars).visit(ast.parse(bound.compiled.source))
    namespace: dict[str, Any] = {}
    code = compile(ast.fix_missing_locations(tree), f"<rule {bound.name}>", "exec")
    exec(code, original.__globals__, namespace)  # noqa: S102 - our own text
    made: Callable[..., Any] = namespace[tree.body[0].name]
    return made


class _Narrow(ast.NodeTransformer):
    """Turns `order.f_amount` into `order`, where `order` is to be the amount itself."""

    def __init__(self, scalars: dict[str, str | None]) -> None:
        self._scalars = scalars

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if (
                self._scalars.get(name) == attr
            ):
                return ast.copy_location(ast.Name(id=name, ctx=ast.Load()), node)
        return self.generic_visit(node)
