"""Changing one value of a YAML document, and nothing else: comments, order and layout stay.

The place of a value is found by the YAML reader itself and its text is replaced there. Whoever
calls this reads the outcome again and compares: what a document means is decided by its reader.
"""

import json
import re
from collections.abc import Sequence

import yaml

from helios.kernel import errors

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.%-]*")


def replaced(text: str, path: Sequence[str], value: str) -> str:
    """The document with a value at a path; what is missing of the path is added.

    Args:
        text: a document that `yamldoc.parse` reads.
        path: keys from the top, such as `("spec", "window", "size")`.
        value: a plain word, such as `30s`.

    Raises:
        InvalidInputError: something on the way is no mapping.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth, key in enumerate(path):
        if not isinstance(node, yaml.MappingNode):
            raise errors.InvalidInputError("expected a mapping", field=".".join(path[:depth]))
        found = next((v for k, v in node.value if k.value == key), None)
        if found is None or (_is_nothing(found) and depth < len(path) - 1):
            if found is not None:
                text = text[: found.start_mark.index] + text[found.end_mark.index :]
                return replaced(_without(text, node, key), path, value)
            return _added(text, node, path[depth:], value)
        node = found
    if not isinstance(node, yaml.ScalarNode):
        raise errors.InvalidInputError("expected a single value", field=".".join(path))
    start, end = node.start_mark.index, node.end_mark.index
    return text[:start] + _scalar(text, value, padded=start == end) + text[end:]


def _without(text: str, node: yaml.MappingNode, key: str) -> str:
    """The document without a key whose value is nothing."""
    raw = next(k for k, _ in node.value if k.value == key)
    begin = text.rfind("\n", 0, raw.start_mark.index) + 1
    end = text.find("\n", raw.end_mark.index)
    return text[:begin] + text[len(text) if end < 0 else end + 1 :]


def _added(text: str, node: yaml.MappingNode, path: Sequence[str], value: str) -> str:
    """The document with a new entry at the end of a mapping."""
    if node.flow_style or not node.value:
        return _added_in_line(text, node, path, value)
    first = node.value[0][0]
    indent = " " * first.start_mark.column
    lines = [f"{indent}{'  ' * n}{key}:" for n, key in enumerate(path)]
    lines[-1] += f" {_scalar(text, value)}"
    # Behind the last value, and before the comments and empty lines that belong to what follows.
    at = _end(node)
    end = text.find("\n", at)
    if end < 0:
        return text + "\n" + "\n".join(lines) + "\n"
    return text[: end + 1] + "\n".join(lines) + "\n" + text[end + 1 :]


def _end(node: yaml.Node) -> int:
    """Where the text of a value ends; a block that PyYAML reads reaches to the next token."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    end: int = node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return end - 1
    return end


def _added_in_line(text: str, node: yaml.MappingNode, path: Sequence[str], value: str) -> str:
    quoted = text.lstrip().startswith("{")
    made = _scalar(text, value)
    for key in reversed(path[1:]):
        made = "{" + f"{_key(key, quoted=quoted)}: {made}" + "}"
    made = f"{_key(path[0], quoted=quoted)}: {made}"
    end = node.end_mark.index - 1
    if not node.value:
        return text[: node.start_mark.index] + "{" + made + "}" + text[node.end_mark.index :]
    last = _end(node.value[-1][1])
    return text[:last] + f", {made}" + text[last:end] + text[end:]


def _key(key: str, *, quoted: bool) -> str:
    return json.dumps(key) if quoted else key


def _scalar(text: str, value: str, *, padded: bool = False) -> str:
    """A value as the document writes values: JSON has no plain words but numbers."""
    is_json = text.lstrip().startswith("{")
    is_number = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) is not None
    is_quoted = (is_json and not is_number) or not _PLAIN.fullmatch(value)
    made = json.dumps(value) if is_quoted else value
    return f" {made}" if padded else made


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
