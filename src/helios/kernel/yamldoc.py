"""YAML documents whose every value knows its line and column.

Declarations are written by people, so an error must name the place. A document is read into a tree
of `Node`; each reader method checks one expectation and says, at its place, what was expected.
Aliases are refused: they serve nobody here and let a short text grow without bound.
"""

import difflib
import re
from collections.abc import Collection, Iterator
from typing import Any, TypeVar

import yaml

from helios.kernel import durations, errors

Word = TypeVar("Word", bound=str)

DOCUMENT_CHARS_MAX = 256 * 1024
"""Size of one declaration. Above: refused."""

_KINDS = {
    yaml.MappingNode: "a mapping",
    yaml.SequenceNode: "a list",
    yaml.ScalarNode: "a single value",
}
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_STR = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"


class Node:
    """One value of a document, at its place.

    Attributes:
        path: where it is, such as `spec.legs.order`; empty for the document.
        line, column: 1-based.
    """

    def __init__(self, raw: yaml.Node, path: str, source: str | None) -> None:
        self._raw = raw
        self.path = path
        self._source = source
        self.line: int = raw.start_mark.line + 1
        self.column: int = raw.start_mark.column + 1

    def error(self, message: str) -> errors.InvalidInputError:
        """An error about this value, to be raised by the caller."""
        return errors.InvalidInputError(
            message, source=self._source, line=self.line, column=self.column, field=self.path
        )

    @property
    def is_mapping(self) -> bool:
        return isinstance(self._raw, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        return isinstance(self._raw, yaml.SequenceNode)

    @property
    def is_null(self) -> bool:
        return bool(self._raw.tag == _NULL)

    def _kind(self) -> str:
        return "nothing" if self.is_null else _KINDS[type(self._raw)]

    def _child(self, raw: yaml.Node, name: str) -> "Node":
        return Node(raw, f"{self.path}.{name}" if self.path else name, self._source)

    def items(self) -> Iterator[tuple[str, "Node"]]:
        """The entries of a mapping, in order. A key given twice is an error."""
        if not isinstance(self._raw, yaml.MappingNode):
            raise self.error(f"expected a mapping, found {self._kind()}")
        seen: set[str] = set()
        for raw_key, raw_value in self._raw.value:
            if not isinstance(raw_key, yaml.ScalarNode):
                raise self._child(raw_key, "?").error("a key must be a plain text")
            key = str(raw_key.value)
            if key in seen:
                raise self._child(raw_key, key).error("this key is given twice")
            seen.add(key)
            yield key, self._child(raw_value, key)

    def fields(self, allowed: Collection[str], required: Collection[str] = ()) -> dict[str, "Node"]:
        """The entries of a mapping with a fixed set of fields."""
        found = {}
        for key, node in self.items():
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                listing = ", ".join(sorted(allowed))
                raise node.error(f"unknown field{hint} (known here: {listing})")
            found[key] = node
        for key in required:
            if key not in found:
                raise self.error(f"field {key!r} is missing")
        return found

    def elements(self) -> list["Node"]:
        """The elements of a list."""
        if not isinstance(self._raw, yaml.SequenceNode):
            raise self.error(f"expected a list, found {self._kind()}")
        return [
            Node(raw, f"{self.path}[{i}]", self._source) for i, raw in enumerate(self._raw.value)
        ]

    def scalar(self) -> str:
        """The text of a single value, whatever its YAML type."""
        if not isinstance(self._raw, yaml.ScalarNode) or self.is_null:
            raise self.error(f"expected a single value, found {self._kind()}")
        return str(self._raw.value)

    def string(self, *, chars_max: int = 512) -> str:
        """A text that is not empty."""
        value = self.scalar()
        if not value.strip():
            raise self.error("expected a text, found an empty one")
        if len(value) > chars_max:
            raise self.error(f"at most {chars_max} characters, found {len(value)}")
        return value

    def choice(self, options: Collection[Word]) -> Word:
        """One of a fixed set of words."""
        value = self.scalar()
        for option in options:
            if value == option:
                return option
        near = difflib.get_close_matches(value, options, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise self.error(f"expected one of {', '.join(options)}, found {value!r}{hint}")

    def duration(self) -> durations.DurationUs:
        """A duration such as `30s`."""
        try:
            return durations.parse(self.scalar())
        except ValueError as error:
            raise self.error(str(error)) from None

    def positive_duration(self) -> durations.DurationUs:
        value = self.duration()
        if value <= 0:
            raise self.error("expected a duration above zero")
        return value

    def integer(self, low: int, high: int) -> int:
        """A whole number in a range, ends included."""
        value = self.scalar()
        if not _WHOLE.fullmatch(value) or not low <= int(value) <= high:
            raise self.error(f"expected a whole number from {low} to {high}, found {value!r}")
        return int(value)


def parse(text: str, *, source: str | None = None) -> Node:
    """Read one YAML document (JSON is YAML).

    Raises:
        InvalidInputError: not YAML, empty, too large, several documents, or with aliases.
    """
    if len(text) > DOCUMENT_CHARS_MAX:
        raise errors.InvalidInputError(
            f"at most {DOCUMENT_CHARS_MAX} characters, found {len(text)}", source=source
        )
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                mark: Any = event.start_mark
                raise errors.InvalidInputError(
                    "aliases (*name) are not supported; write the value out",
                    source=source,
                    line=mark.line + 1,
                    column=mark.column + 1,
                )
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        at: Any = error.problem_mark or error.context_mark
        raise errors.InvalidInputError(
            f"not valid YAML: {error.problem or error.context}",
            source=source,
            line=at.line + 1 if at else None,
            column=at.column + 1 if at else None,
        ) from None
    except yaml.YAMLError as error:
        said = str(error).splitlines()[0]
        raise errors.InvalidInputError(f"not valid YAML: {said}", source=source) from None
    except RecursionError:
        raise errors.InvalidInputError("nested too deeply", source=source) from None
    if root is None:
        raise errors.InvalidInputError("the document is empty", source=source)
    return Node(root, "", source)
