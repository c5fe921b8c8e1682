"""From the text of an expression to a function, in two steps.

`analyse` parses, checks, and tells what the expression reads; the shapes of all expressions over
the same objects are merged into what the decoder gives; `bind` then generates code for exactly
those objects. `compile` does both for one expression alone.

A compiled expression has two lives: a generated function of native Python, and the reference in
`interpret`. The function either gives the value the reference would give, or raises; then the
reference decides between a value and an `EvalError`.
"""

import decimal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from helios.reconcile.streams.cel import (
    check,
    emit,
    interpret,
    lexer,
    parse,
    shape,
    syntax,
    values,
)
from helios.reconcile.streams.cel.check import VarKind
from helios.reconcile.streams.cel.functions import Kind
from helios.reconcile.streams.cel.values import EvalError

__all__ = ["Analysed", "Compiled", "EvalError", "Kind", "VarKind", "analyse", "compile"]

Shapes = Mapping[str, shape.Shape]


def same(name: str) -> str:
    """The attribute of a field when nothing else is said: its own name."""
    return name


@dataclass(frozen=True, slots=True)
class Analysed:
    """An expression that is right for its variables, and what it reads.

    Attributes:
        text: as written.
        node: its tree.
        variables: the names used, in the order in which the variables were declared.
        kind: what the result is, as far as known; a rule should be BOOL or DYN.
        shape: per variable used, what is read of it.
    """

    text: str
    node: syntax.Node
    variables: tuple[str, ...]
    kind: Kind
    shape: Shapes
    declared: Mapping[str, VarKind] = field(repr=False)

    def bind(
        self,
        shapes: Shapes | None = None,
        *,
        attribute: Callable[[str], str] = same,
    ) -> "Compiled":
        """Generate the function.

        Args:
            shapes: per variable, how the objects are decoded: this shape merged with others.
                Without it: this expression's own.
            attribute: from a field's name to the attribute of the Struct that holds it.
        """
        shapes = self.shape if shapes is None else shapes
        sides = _sides(self.node)
        operands = None
        if sides is not None:
            left, right = (_analysed(self.text, side, self.declared) for side in sides)
            operands = left.bare(shapes, attribute), right.bare(shapes, attribute)
        return self.bare(shapes, attribute, operands)

    def bare(
        self,
        shapes: Shapes,
        attribute: Callable[[str], str],
        operands: "tuple[Compiled, Compiled] | None" = None,
    ) -> "Compiled":
        """Generate this expression alone; the sides of its comparison are given."""
        generated = emit.generate(self.node, self.variables, shapes, attribute)
        return Compiled(self, generated, attribute, operands)


class Compiled:
    """An expression ready to be evaluated.

    Attributes:
        text: as written.
        variables: the names used, in declared order.
        shape: per variable used, what this expression reads of it.
        kind: what the result is, as far as known.
        function: takes one object per variable. It gives the value, or raises anything at all:
            only `evaluate` knows whether there is a value then. It needs `values.CONTEXT` as the
            thread's decimal context.
        source: the Python source of `function`.
        operands: for `L == R` and other relations, and for `abs(L - R) <= tolerance`: L and R.
    """

    __slots__ = (
        "_attribute",
        "_node",
        "function",
        "kind",
        "operands",
        "shape",
        "source",
        "text",
        "variables",
    )

    def __init__(
        self,
        analysed: Analysed,
        generated: emit.Generated,
        attribute: Callable[[str], str],
        operands: "tuple[Compiled, Compiled] | None",
    ) -> None:
        self.text = analysed.text
        self.variables = analysed.variables
        self.shape = analysed.shape
        self.kind = analysed.kind
        self.function = generated.function
        self.source = generated.source
        self.operands = operands
        self._node = analysed.node
        self._attribute = attribute

    def evaluate(self, *objects: Any) -> Any:
        """Evaluate over one object per name in `variables`, in that order.

        Right under any decimal context; fastest where `values.CONTEXT` is the thread's own.

        Raises:
            EvalError: there is no value; the reason names what is missing or does not fit.
        """
        before = decimal.getcontext()
        if before is values.CONTEXT:
            try:
                return self.function(*objects)
            except Exception:  # noqa: BLE001 - the reference decides what it means
                return self._refer(objects)
        decimal.setcontext(values.CONTEXT)
        try:
            return self.evaluate(*objects)
        finally:
            decimal.setcontext(before)

    def _refer(self, objects: Sequence[Any]) -> Any:
        named = dict(zip(self.variables, objects, strict=True))
        try:
            return interpret.evaluate(self._node, named, self._attribute)
        except (ArithmeticError, ValueError, RecursionError) as error:
            raise EvalError(f"the expression cannot be evaluated: {error}") from error

    def __repr__(self) -> str:
        return f"<Compiled {self.text!r}>"


def analyse(text: str, variables: Mapping[str, VarKind]) -> Analysed:
    """Parse and check an expression.

    Args:
        text: the expression.
        variables: the names it may use, in the order in which objects will be passed.

    Raises:
        InvalidInputError: with line and column in the text, and what was expected.
    """
    for name in variables:
        if not syntax.is_identifier(name) or name in lexer.RESERVED:
            raise lexer.error(f"'{name}' cannot name a variable", syntax.Place(1, 1))
    return _analysed(text, parse.parse(text), variables)


def _analysed(text: str, node: syntax.Node, variables: Mapping[str, VarKind]) -> Analysed:
    checked = check.check(node, variables)
    used = tuple(name for name in variables if name in checked.shapes)
    return Analysed(text, node, used, checked.kind, checked.shapes, variables)


def _sides(node: syntax.Node) -> tuple[syntax.Node, syntax.Node] | None:
    """What a check compares: both sides of a relation, or of a difference within a tolerance."""
    match node:
        case syntax.Comparison(
            relation="<" | "<=", left=syntax.Call(function="abs", arguments=(difference,))
        ):
            pass
        case syntax.Comparison(
            relation=">" | ">=", right=syntax.Call(function="abs", arguments=(difference,))
        ):
            pass
        case syntax.Comparison():
            return node.left, node.right
        case _:
            return None
    match difference:
        case syntax.Arithmetic(operator="-"):
            return difference.left, difference.right
        case _:
            return node.left, node.right


def compile(  # noqa: A001 - the word of the field; always used as compile.compile
    text: str,
    variables: Mapping[str, VarKind],
    *,
    shapes: Shapes | None = None,
    attribute: Callable[[str], str] = same,
) -> Compiled:
    """Analyse and bind in one step.

    Raises:
        InvalidInputError: with line and column in the text, and what was expected.
    """
    return analyse(text, variables).bind(shapes, attribute=attribute)
