"""The syntax tree of a CEL expression.

Macros (`all`, `exists`, `map`, ...) and `has` are nodes of their own, so that everything after
the parser deals with one meaning per node. `x["name"]` and `x.name` are the same node: a field
whose name is known. Places do not take part in comparisons of nodes.
"""

import dataclasses
import decimal
from dataclasses import dataclass
from typing import Literal as OneOf


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node begins in the text; line and column count from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        if self.line == 1:
            return f"column {self.column}"
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Base:
    """What all nodes share: the place of the token that the node is known by."""

    at: Place = dataclasses.field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Literal(Base):
    value: str | int | decimal.Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Name(Base):
    name: str


@dataclass(frozen=True, slots=True)
class Select(Base):
    operand: "Node"
    field: str


@dataclass(frozen=True, slots=True)
class Has(Base):
    operand: "Node"
    field: str


@dataclass(frozen=True, slots=True)
class Index(Base):
    operand: "Node"
    index: "Node"


@dataclass(frozen=True, slots=True)
class ListLiteral(Base):
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class MapLiteral(Base):
    entries: tuple[tuple["Node", "Node"], ...]


@dataclass(frozen=True, slots=True)
class Not(Base):
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Negate(Base):
    operand: "Node"


Operator = OneOf["+", "-", "*", "/", "%"]
Relation = OneOf["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Arithmetic(Base):
    operator: Operator
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Comparison(Base):
    relation: Relation
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Membership(Base):
    item: "Node"
    container: "Node"


@dataclass(frozen=True, slots=True)
class Logic(Base):
    operator: OneOf["&&", "||"]
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Condition(Base):
    test: "Node"
    then: "Node"
    otherwise: "Node"


@dataclass(frozen=True, slots=True)
class Call(Base):
    """A function; a receiver (`x.size()`) stands first among the arguments."""

    function: str
    arguments: tuple["Node", ...]
    method: bool


MacroName = OneOf["all", "exists", "exists_one", "map", "filter"]


@dataclass(frozen=True, slots=True)
class Macro(Base):
    """A loop over a list. `condition` is only there for `map` with three arguments."""

    macro: MacroName
    source: "Node"
    variable: str
    condition: "Node | None"
    body: "Node"


Node = (
    Literal
    | Name
    | Select
    | Has
    | Index
    | ListLiteral
    | MapLiteral
    | Not
    | Negate
    | Arithmetic
    | Comparison
    | Membership
    | Logic
    | Condition
    | Call
    | Macro
)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    found: list[Node] = []
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            found.extend(n for n in (one if isinstance(one, tuple) else (one,)) if _is_node(n))
    return tuple(found)


def _is_node(value: object) -> bool:
    return isinstance(value, Base)


def names(node: Node) -> frozenset[str]:
    """The names that the expression takes from outside (loop variables are not among them)."""
    if isinstance(node, Name):
        return frozenset((node.name,))
    if isinstance(node, Macro):
        inner = names(node.body)
        if node.condition is not None:
            inner |= names(node.condition)
        return names(node.source) | (inner - {node.variable})
    return frozenset().union(*(names(child) for child in children(node)))


def is_identifier(name: str) -> bool:
    """Whether a field of this name can be written after a dot."""
    return name.isascii() and name.isidentifier() and name not in {"true", "false", "null", "in"}


def step(path: str, field: str) -> str:
    """The path of a field below a path, as one would write it in CEL."""
    return f"{path}.{field}" if is_identifier(field) else f"{path}[{field!r}]"
