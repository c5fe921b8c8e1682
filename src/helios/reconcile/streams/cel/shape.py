"""What an expression reads from an object: the tree that a typed decoder is made of.

An analysis marks each place that it meets with how the place is used. Marks of one place join in
a lattice, so the shape of a contract is the join of the shapes of its expressions, in any order:

    presence < sized < value < scalar      presence < sized < list      presence < struct
                       value  with list or struct: any          everything else: any

The first three say little (only `has` or a comparison with null; only `size`; only equality as a
whole) and are decoded like `ANY`, unless another expression says more.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


class Use(enum.Enum):
    """How a value is decoded."""

    STRUCT = "struct"
    """A Struct with the fields that are read. Any other JSON value may stand there at run time."""

    LIST = "list"
    """A list whose elements have the shape `items`."""

    SCALAR = "scalar"
    """A string, number, bool or null."""

    ANY = "any"
    """Plain JSON values: dict, list, str, int, Decimal, bool, None."""


class Weak(enum.Enum):
    """Why a shape is ANY though nothing forces it to be; yields to stronger uses.

    A weak shape is never numeric.
    """

    PRESENCE = "presence"
    SIZED = "sized"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Shape:
    """The use of one place and of the places below it.

    `fields` is filled for STRUCT only, `items` for LIST only. `numeric` says that the place is
    used in arithmetic or compared with a number.
    """

    use: Use = Use.ANY
    fields: Mapping[str, "Shape"] = field(default_factory=dict)
    items: "Shape | None" = None
    numeric: bool = False
    weak: Weak | None = None


PRESENCE: Final = Shape(weak=Weak.PRESENCE)
SIZED: Final = Shape(weak=Weak.SIZED)
VALUE: Final = Shape(weak=Weak.VALUE)
SCALAR: Final = Shape(use=Use.SCALAR)
NUMBER: Final = Shape(use=Use.SCALAR, numeric=True)
ANY: Final = Shape()
STRUCT: Final = Shape(use=Use.STRUCT)
LIST: Final = Shape(use=Use.LIST, items=PRESENCE)

_STRENGTH: Final = {Weak.PRESENCE: 0, Weak.SIZED: 1, Weak.VALUE: 2, None: 3}


def merge(a: Shape, b: Shape) -> Shape:
    """The shape that serves both: commutative, associative, idempotent."""
    weaker, stronger = (a, b) if _STRENGTH[a.weak] <= _STRENGTH[b.weak] else (b, a)
    numeric = a.numeric or b.numeric
    if weaker.weak is not None:
        clash = weaker.weak is Weak.VALUE and stronger.use in {Use.STRUCT, Use.LIST}
        clash = clash or (weaker.weak is Weak.SIZED and stronger.use is Use.STRUCT)
        return Shape(numeric=numeric) if clash else stronger
    if a.use is not b.use:
        return Shape(numeric=numeric)
    items = _merge_items(a.items, b.items)
    return Shape(a.use, merge_all(a.fields, b.fields), items, numeric)


def merge_all(a: Mapping[str, Shape], b: Mapping[str, Shape]) -> dict[str, Shape]:
    """Merge by name, such as the shapes per variable of two expressions."""
    return {
        name: merge(a[name], b[name]) if name in a and name in b else a.get(name) or b[name]
        for name in sorted({*a, *b})
    }


def _merge_items(a: Shape | None, b: Shape | None) -> Shape | None:
    return merge(a, b) if a is not None and b is not None else a or b
