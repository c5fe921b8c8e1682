"""Code for one expression."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helios.reconcile.streams.cel import interpret, shape, syntax


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated function and its source."""

    function: Callable[..., Any]
    source: str


def generate(
    node: syntax.Node,
    variables: Sequence[str],
    shapes: Mapping[str, shape.Shape],
    attribute: Callable[[str], str],
) -> Generated:
    """Generate the function for objects decoded by the shapes."""

    def function(*objects: Any) -> Any:
        return interpret.evaluate(node, dict(zip(variables, objects, strict=True)), attribute)

    return Generated(function, "")
