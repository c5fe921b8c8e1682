"""What may stand in a field of a declaration: one table for reading it and for telling editors.

A `Shape` reads a node into the JSON value that is hashed. What means the same is the same there,
however it was written: a set is sorted, a duration has its shortest text, a name without quotes is
the name with quotes.
"""

import re
import urllib.parse
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from helios.kernel import durations, errors, rfc3339, secret, yamldoc
from helios.reconcile.compositions import literals

Schema = Mapping[str, Any]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
"""Of stacks, roles, integrations and resources: what stands in addresses and in paths of URLs."""
TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,126}", re.ASCII)
"""Of content."""
ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)

WORDS_MAX = 200
"""Elements of one list of words."""
_URL_CHARS = 2_048
_WORD_CHARS = 512
_TEXT_CHARS = 4_096


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand in a field.

    Attributes:
        read: the value as it is hashed; raises InvalidInputError with its place.
        schema: the same as JSON Schema, as far as that can say it.
    """

    read: Callable[[yamldoc.Node], Any]
    schema: Schema


Shapes = Mapping[str, Shape]


def read(node: yamldoc.Node, known: Shapes, required: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a mapping that are given, as they are hashed."""
    return {name: known[name].read(each) for name, each in node.fields(known, required).items()}


def schema(known: Shapes, required: Collection[str] = ()) -> dict[str, Any]:
    """JSON Schema of a mapping with these fields."""
    made: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: dict(each.schema) for name, each in known.items()},
    }
    return {**made, "required": list(required)} if required else made


def named(node: yamldoc.Node, pattern: re.Pattern[str], name: str) -> str:
    """A name that people give; `node` is the place to speak of when it is none."""
    if not pattern.fullmatch(name):
        raise node.error(
            f"{name[:40]!r} is no name: expected {pattern.pattern} (letters, digits, dots, dashes)"
        )
    return name


def name_of(pattern: re.Pattern[str]) -> Shape:
    """A name of a pattern."""
    return Shape(
        read=lambda node: named(node, pattern, node.scalar()),
        schema={"type": "string", "pattern": f"^{pattern.pattern}$"},
    )


def text(chars_max: int = _WORD_CHARS) -> Shape:
    """A text that is not empty and no secret."""

    def one(node: yamldoc.Node) -> str:
        value = node.string(chars_max=chars_max)
        literals.refuse_value(node, value)
        return value

    return Shape(read=one, schema={"type": "string", "minLength": 1, "maxLength": chars_max})


def word(*options: str) -> Shape:
    """One of these words."""
    return Shape(read=lambda node: node.choice(options), schema={"enum": list(options)})


def integer(low: int, high: int) -> Shape:
    """A whole number, ends included."""
    return Shape(
        read=lambda node: node.integer(low, high),
        schema={"type": "integer", "minimum": low, "maximum": high},
    )


def number(low: float, high: float) -> Shape:
    """A number, ends included."""
    return Shape(
        read=lambda node: plain_number(node.number(low, high)),
        schema={"type": "number", "minimum": low, "maximum": high},
    )


def plain_number(value: float) -> float:
    """A number that is whole as a whole number, so that 1.0 and 1 are one value."""
    return int(value) if value == int(value) else value


def span(low: str, high: str) -> Shape:
    """A duration, ends included; its value is its shortest text."""
    least, most = durations.parse(low), durations.parse(high)

    def one(node: yamldoc.Node) -> str:
        value = node.duration()
        if not least <= value <= most:
            raise node.error(f"expected a duration from {low} to {high}, found {node.scalar()!r}")
        return durations.to_text(value)

    return Shape(read=one, schema={"type": "string", "examples": ["30s", "5m", "7d"]})


def words(shape: Shape, *, least: int = 0, most: int = WORDS_MAX, ordered: bool = False) -> Shape:
    """A list; without order its value is sorted, and an element given twice is an error."""

    def many(node: yamldoc.Node) -> list[Any]:
        nodes = node.elements()
        if not least <= len(nodes) <= most:
            raise node.error(f"expected {least} to {most} elements, found {len(nodes)}")
        found = []
        for each in nodes:
            value = shape.read(each)
            if not ordered and value in found:
                raise each.error(f"{str(value)[:60]!r} is given twice")
            found.append(value)
        return found if ordered else sorted(found)

    listed = {"type": "array", "items": dict(shape.schema), "minItems": least, "maxItems": most}
    return Shape(read=many, schema=listed if ordered else {**listed, "uniqueItems": True})


def table(shape: Shape, *, pattern: re.Pattern[str] = TYPE, lower: bool = False) -> Shape:
    """A mapping from names to values of one shape.

    With `lower`, names are the same in upper and lower case, and kept in lower case.
    """

    def many(node: yamldoc.Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for raw, each in node.items():
            name = named(each, pattern, raw.lower() if lower else raw)
            if name in found:
                raise each.error(f"{name} is given twice, in upper and in lower case")
            found[name] = shape.read(each)
        return found

    return Shape(read=many, schema={"type": "object", "additionalProperties": dict(shape.schema)})


def nested(known: Shapes, required: Collection[str] = ()) -> Shape:
    """A mapping with fields of its own."""
    return Shape(read=lambda node: read(node, known, required), schema=schema(known, required))


def _reference(node: yamldoc.Node) -> str:
    try:
        return secret.check_reference(node.scalar())
    except errors.InvalidInputError as error:
        raise node.error(error.message) from None


def _url(node: yamldoc.Node) -> str:
    value = node.string(chars_max=_URL_CHARS)
    try:
        parts = urllib.parse.urlsplit(value)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or not value.isprintable() or " " in value:
        raise node.error("expected an address: https://host/path or http://host/path")
    literals.refuse_address(node, value)
    return value


def _url_or_reference(node: yamldoc.Node) -> str:
    value = node.scalar()
    if value.startswith(("http://", "https://")):
        return _url(node)
    if not value.startswith(("env:", "file:", "secret:")):
        raise node.error("expected https://… or a reference: env:NAME, file:/PATH, secret:NAME")
    return _reference(node)


def _header(node: yamldoc.Node) -> str:
    value = node.string(chars_max=_TEXT_CHARS)
    literals.refuse_named(node, node.path.rpartition(".")[2], value)
    if not value.isprintable():
        raise node.error("a header's value is printable text on one line")
    return value


def _time(node: yamldoc.Node) -> str:
    try:
        rfc3339.parse(node.scalar())
    except ValueError as error:
        raise node.error(str(error)) from None
    return node.scalar()


def _tree_of_fields(node: yamldoc.Node) -> dict[str, Any]:
    return {name: literals.tree(each, name) for name, each in node.items()}


BOOLEAN = Shape(read=lambda node: node.boolean(), schema={"type": "boolean"})
TEXT = text()
LONG = text(_TEXT_CHARS)
LINE = Shape(read=lambda node: node.scalar()[:_TEXT_CHARS], schema={"type": "string"})
URL = Shape(read=_url, schema={"type": "string", "pattern": "^https?://"})
REFERENCE = Shape(
    read=_reference,
    schema={"type": "string", "pattern": "^(env|file|secret):", "examples": ["env:CMS_TOKEN"]},
)
URL_OR_REFERENCE = Shape(
    read=_url_or_reference,
    schema={"type": "string", "pattern": "^(https?://|env:|file:|secret:)"},
)
REFERENCES = table(REFERENCE)
HEADERS = table(
    Shape(read=_header, schema={"type": "string"}),
    pattern=re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII),
    lower=True,
)
TIME = Shape(read=_time, schema={"type": "string", "format": "date-time"})
ANYTHING = Shape(read=literals.tree, schema={})
FIELDS = Shape(read=_tree_of_fields, schema={"type": "object"})
WORD_SET = words(TEXT)
SENTENCE = words(LONG, least=1, most=64, ordered=True)
