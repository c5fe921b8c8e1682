"""YAML documents whose every value knows its line and column.

Declarations are written by people, so an error must name the place. A document is read into a tree
of `Node`; each reader method checks one expectation and says, at its place, what was expected.
Aliases are refused: they serve nobody here and let a short text grow without bound.
"""

import contextlib
import difflib
import math
import re
from collections.abc import Collection, Iterator
from typing import Any, TypeVar

import yaml

from helios.kernel import durations, errors, limits

Word = TypeVar("Word", bound=str)

DOCUMENT_CHARS_MAX = 256 * 1024
"""Size of one declaration. Above: refused."""

_KINDS = {
    yaml.MappingNode: "a mapping",
    yaml.SequenceNode: "a list",
    yaml.ScalarNode: "a single value",
}
_BREAK = re.compile("[\x85\u2028\u2029]")
_HALF = re.compile("[\ud800-\udfff]")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_POWER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?[eE][+-]?[0-9]{1,3}")
_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]{1,9})\]")
_STR = "tag:yaml.org,2002:str"
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
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
            key = _joined(str(raw_key.value))
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
        return _joined(str(self._raw.value))

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

    def boolean(self) -> bool:
        """`true` or `false`."""
        return self.choice(("true", "false")) == "true"

    def number(self, low: float, high: float) -> float:
        """A number in a range, ends included."""
        value = self.scalar()
        if not _NUMBER.fullmatch(value) or not low <= float(value) <= high:
            raise self.error(f"expected a number from {low:g} to {high:g}, found {value[:40]!r}")
        return float(value)

    def plain(self) -> Any:
        """The value as JSON would have it; whatever JSON has no word for is its text."""
        if self.is_mapping:
            return {key: node.plain() for key, node in self.items()}
        if self.is_list:
            return [node.plain() for node in self.elements()]
        return None if self.is_null else self._word()

    def _word(self) -> bool | int | float | str:
        text = self.scalar()
        if self._raw.tag == _BOOL and text in ("true", "false"):
            return text == "true"
        if self._raw.tag == _INT and _WHOLE.fullmatch(text):
            return int(text)
        if self._raw.tag == _FLOAT and _NUMBER.fullmatch(text):
            return float(text)
        # YAML 1.1 takes the 1e-05 of JSON for a text.
        is_bare = isinstance(self._raw, yaml.ScalarNode) and self._raw.style is None
        if is_bare and _POWER.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        return text

    def below(self, path: str) -> "Node":
        """The value at a path such as `.topics[1].name`, or the nearest one above that is there."""
        node = self
        for name, index in _STEP.findall(path):
            if name and node.is_mapping:
                found = dict(node.items()).get(name)
            elif index and node.is_list:
                found = next(iter(node.elements()[int(index) :]), None)
            else:
                found = None
            if found is None:
                break
            node = found
        return node

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
    _check_size(text, source)
    text = _json_breaks(text)
    with _errors(source):
        _check_events(text, source)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        raise errors.InvalidInputError("the document is empty", source=source)
    return Node(root, "", source)


def parse_all(text: str, *, source: str | None = None) -> list[tuple[Node, str]]:
    """Read the YAML documents of a file, each with its own text; empty ones are left out.

    Lines are counted from the beginning of the file.

    Raises:
        InvalidInputError: not YAML, nothing in it, too large, or with aliases.
    """
    _check_size(text, source)
    text = _json_breaks(text)
    with _errors(source):
        ends = _check_events(text, source)
        roots = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    starts = [0, *ends]
    found = [
        (Node(root, "", source), _own_text(text[start:end]))
        for root, start, end in zip(roots, starts, ends, strict=False)
        if root is not None
    ]
    found = [(node, own) for node, own in found if not node.is_null]
    if not found:
        raise errors.InvalidInputError("there is no document in it", source=source)
    return found


def _json_breaks(text: str) -> str:
    """JSON with what YAML takes for ends of lines written as escapes: in JSON they are letters."""
    if not text.lstrip().startswith("{") or _BREAK.search(text) is None:
        return text
    return _BREAK.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _joined(text: str) -> str:
    """The text with halves of characters put together: JSON escapes one as two of them."""
    if _HALF.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _own_text(text: str) -> str:
    lines = text.strip("\n").splitlines(keepends=True)
    if lines and lines[0].rstrip() == "---":
        lines = lines[1:]
    if lines and lines[-1].rstrip() == "...":
        lines = lines[:-1]
    return "".join(lines).rstrip() + "\n"


def _check_size(text: str, source: str | None) -> None:
    if len(text) > DOCUMENT_CHARS_MAX:
        raise errors.InvalidInputError(
            f"at most {DOCUMENT_CHARS_MAX} characters, found {len(text)}", source=source
        )


def _check_events(text: str, source: str | None) -> list[int]:
    """Where each document ends; an alias, and what is nested too deeply, is an error.

    Events are read one by one, so a text that opens ten thousand brackets is given up early: the
    time that PyYAML takes grows with the square of their number.
    """
    ends = []
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _at(event, "aliases (*name) are not supported; write the value out", source)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > limits.JSON_DEPTH_MAX:
                raise _at(event, f"nested deeper than {limits.JSON_DEPTH_MAX} levels", source)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentEndEvent):
            end: Any = event.end_mark
            ends.append(end.index)
    return ends


def _at(event: yaml.Event, message: str, source: str | None) -> errors.InvalidInputError:
    mark: Any = event.start_mark
    return errors.InvalidInputError(
        message, source=source, line=mark.line + 1, column=mark.column + 1
    )


@contextlib.contextmanager
def _errors(source: str | None) -> Iterator[None]:
    """What the YAML reader says, as ours."""
    try:
        yield
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
    except (ValueError, OverflowError):
        # An escape such as "\\UFFFFFFFF", or a version of YAML with thousands of digits.
        raise errors.InvalidInputError(
            "not valid YAML: a number or an escaped character is out of range", source=source
        ) from None


def dump(value: Any) -> str:
    """A JSON value as YAML that is read back as the same value; keys stay in their order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


class _Dumper(yaml.SafeDumper):
    """Writes out what stands in two places: aliases are refused when it is read."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # What `Node.plain` takes for a number has to be told from one.
    style = '"' if _POWER.fullmatch(text) else None
    return dumper.represent_scalar(_STR, text, style=style)


_Dumper.add_representer(str, _represent_text)
