"""Pieces of generated Python: an expression with what is known of its value, and statements."""

import contextlib
import decimal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from helios.reconcile.streams.cel import shape
from helios.reconcile.streams.cel.functions import Kind

INDENT: Final = "    "


class GiveUpError(Exception):
    """The generated function is not sure of the value; the reference decides."""


@dataclass(frozen=True, slots=True)
class Code:
    """An expression and what is known of its value.

    Attributes:
        text: the expression; without side effects.
        kind: what the value is; DYN when it is not known.
        shapes: how the places it may stand for are decoded; None when that is not known.
        items: for a list that the expression makes: what is known of an element.
        atom: it is a name or a constant, free to repeat.
        absent: it may be UNSET.
        boolish: it may be a bool where a number is expected.
        beyond_bool: a number that neither True nor False equals.
    """

    text: str
    kind: Kind = Kind.DYN
    shapes: tuple[shape.Shape, ...] | None = None
    items: "Code | None" = None
    atom: bool = False
    absent: bool = False
    boolish: bool = False
    beyond_bool: bool = False

    def is_struct(self) -> bool:
        """Whether an object there is a Struct."""
        return bool(self.shapes) and all(s.use is shape.Use.STRUCT for s in self.shapes or ())

    def is_opaque(self) -> bool:
        """Whether an object there is a dict."""
        return bool(self.shapes) and all(s.use is shape.Use.ANY for s in self.shapes or ())

    def element(self) -> "Code":
        """What is known of an element of the list."""
        if self.items is not None:
            return replace(self.items, atom=False)
        if self.is_opaque():
            return Code("", shapes=(shape.ANY,), boolish=True)
        inner = [s.items for s in self.shapes or ()]
        return Code("", shapes=known(*inner), boolish=True)


def known(*shapes: shape.Shape | None) -> tuple[shape.Shape, ...] | None:
    """The shapes when all are known; without any, nothing is known."""
    present = tuple(s for s in shapes if s is not None)
    return present if present and len(present) == len(shapes) else None


def either(first: Code, *others: Code) -> Code:
    """What is known of a value that is one of several."""
    result = replace(first, text="", atom=False)
    for other in others:
        both = result.shapes + other.shapes if result.shapes and other.shapes else None
        items = either(result.items, other.items) if result.items and other.items else None
        result = Code(
            "",
            result.kind if result.kind is other.kind else Kind.DYN,
            both,
            items,
            absent=result.absent or other.absent,
            boolish=result.boolish or other.boolish or Kind.BOOL in {result.kind, other.kind},
            beyond_bool=result.beyond_bool and other.beyond_bool,
        )
    return result


class Writer:
    """Collects statements, names and constants of one function."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self._depth = 1
        self._loops = 0
        self.nested = False
        self._names = 0

    # Statements

    def line(self, text: str) -> None:
        self.lines.append(INDENT * self._depth + text)

    def indented(self, lines: list[str]) -> None:
        """Write lines below an `if`; those that come from `aside` are indented already."""
        for text in lines:
            inner = text if text.startswith(INDENT) else INDENT * (self._depth + 1) + text
            self.lines.append(inner)

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        """Indent what is written inside."""
        self._depth += 1
        yield
        self._depth -= 1

    @contextlib.contextmanager
    def aside(self) -> Iterator[list[str]]:
        """Collect what is written inside, indented once more, instead of writing it."""
        written, self.lines = self.lines, []
        collected = self.lines
        with self.block():
            yield collected
        self.lines = written

    @contextlib.contextmanager
    def loop(self, source: Code, name: str, *, stages: int = 1) -> Iterator[Code]:
        """A `for` over a list; gives the element. It stands for `stages` loops of the reference."""
        source = self.atom(source)
        if source.items is None:
            self.unless(f"_type({source.text}) is _list")
        self.visit(f"{stages} * _len({source.text})")
        element = self._name(name)
        self.line(f"for {element} in {source.text}:")
        self._loops += 1
        with self.block():
            yield replace(source.element(), text=element, atom=True)
        self._loops -= 1

    def visit(self, elements: str) -> None:
        """Count, inside a loop, at least what the reference counts."""
        if self._loops:
            self.nested = True
            self.line(f"_visited += {elements}")
            self.give_up_if("_visited > _visited_max")

    def give_up_if(self, test: str) -> None:
        self.line(f"if {test}: raise _GiveUp")

    def unless(self, test: str) -> None:
        self.give_up_if(f"not ({test})")

    # Names and constants

    def _name(self, hint: str) -> str:
        self._names += 1
        return f"_{hint.strip('_')}_{self._names}"

    def variable(self, text: str) -> str:
        """A new variable with a first value."""
        name = self._name("v")
        self.line(f"{name} = {text}")
        return name

    def atom(self, code: Code) -> Code:
        """The same value, free to repeat."""
        return code if code.atom else replace(code, text=self.variable(code.text), atom=True)

    def constant(self, value: Any) -> str:
        name = f"__c{len(self.constants)}"
        self.constants[name] = value
        return name

    def literal(self, value: Any) -> Code:
        """A literal of the expression."""
        if value is None or isinstance(value, bool):
            return Code(repr(value), Kind.NULL if value is None else Kind.BOOL, atom=True)
        if isinstance(value, str):
            return Code(repr(value), Kind.STRING, atom=True)
        text = self.constant(value) if isinstance(value, decimal.Decimal) else f"({value!r})"
        return Code(text, Kind.NUMBER, atom=True, beyond_bool=value not in (0, 1))

    # Guards

    def present(self, code: Code) -> Code:
        """The value, surely not absent."""
        if not code.absent:
            return code
        code = self.atom(code)
        self.give_up_if(f"{code.text} is _UNSET")
        return replace(code, absent=False)

    def not_bool(self, code: Code) -> Code:
        """The value, surely not a bool."""
        if not code.boolish and code.kind is not Kind.BOOL:
            return code
        code = self.atom(code)
        self.give_up_if(f"{code.text} is True or {code.text} is False")
        return replace(code, boolish=False)

    def numbers(self, left: Code, right: Code) -> tuple[Code, Code]:
        """Both values, surely numbers."""
        if left.kind is not Kind.NUMBER and right.kind is not Kind.NUMBER:
            return self._two_numbers(self.atom(left), self.atom(right))
        return self._number(left), self._number(right)

    def _number(self, code: Code) -> Code:
        if code.kind is Kind.NUMBER:
            return code
        code = self.atom(code)
        self.unless(f"_type({code.text}) is _Decimal or _type({code.text}) is _int")
        return _as_number(code)

    def _two_numbers(self, left: Code, right: Code) -> tuple[Code, Code]:
        # Beside a Decimal Python itself refuses all but numbers and bools: one look at a type
        # is spared for what is most frequent.
        self.line(f"if _type({left.text}) is _Decimal:")
        self.indented([f"if {right.text} is True or {right.text} is False: raise _GiveUp"])
        self.line("else:")
        with self.block():
            left, right = self._number(left), self._number(right)
        return _as_number(left), _as_number(right)


def _as_number(code: Code) -> Code:
    return replace(code, kind=Kind.NUMBER, boolish=False, absent=False)
