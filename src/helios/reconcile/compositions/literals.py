"""Secrets that stand in a declaration by mistake.

A declaration is kept for ever and is shown to many, so what looks like a secret is refused where it
stands. The messages never hold the value.
"""

import re
import urllib.parse
from typing import Any

from helios.kernel import errors, secret, yamldoc

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_NAME = re.compile(
    r"(.*[_.-])?(secrets?|passwords?|passwd|passphrase|tokens?|api[_-]?keys?|private[_-]?keys?|"
    r"access[_-]?keys?|secret[_-]?(access[_-]?)?keys?|credentials?|authorization|cookie)"
)
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(AKIA|ASIA)[0-9A-Z]{16}\b|\b[sr]k_(live|test)_[0-9A-Za-z]{8}"
    r"|\bshp(at|ss|ca|pa)_[0-9a-f]{8}|\bgh[pousr]_[0-9A-Za-z]{16}|\bxox[abposr]-[0-9A-Za-z-]{8}"
    r"|\bhooks\.slack\.com/services/\w|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\."
)
_QUERY_NAME = re.compile(
    r"(.*[_-])?(secret|password|passwd|token|api[_-]?key|access[_-]?key|signature|sig)"
)
_UNKEEPABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
REMEDY = (
    "a declaration is kept for ever and must not hold a secret: put a reference in its place "
    "(env:NAME, file:/PATH or secret:NAME; `helios secrets set NAME` keeps a value under a name)"
)


def is_reference(value: str) -> bool:
    """Whether it names a secret; also after a word, as in `Bearer secret:door`."""
    try:
        secret.check_reference(value.rpartition(" ")[2])
    except errors.InvalidInputError:
        return False
    return True


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, as names go."""
    return _SECRET_NAME.fullmatch(_CAMEL.sub("_", name).lower()) is not None


def refuse_value(node: yamldoc.Node, value: str) -> None:
    """Refuse what is a secret by its own form."""
    if _SECRET_VALUE.search(value):
        raise node.error(f"this looks like a secret; {REMEDY}")


def refuse_named(node: yamldoc.Node, name: str, value: str) -> None:
    """Refuse the value of a field that is called like a secret, unless it is a reference."""
    if is_secret_name(name) and not is_reference(value):
        raise node.error(f"{name[:60]} is a secret; {REMEDY}")
    refuse_value(node, value)


def refuse_address(node: yamldoc.Node, value: str) -> None:
    """Refuse an address with a password or a key in it."""
    parts = urllib.parse.urlsplit(value)
    if "@" in parts.netloc:
        raise node.error(f"there is a name or password before the host; {REMEDY}")
    for name, given in urllib.parse.parse_qsl(parts.query, keep_blank_values=True):
        if given and _QUERY_NAME.fullmatch(name.lower()):
            raise node.error(f"{name[:60]} in the address is a secret; {REMEDY}")
    refuse_value(node, value)


def tree(node: yamldoc.Node, name: str = "") -> Any:
    """A free value as JSON has it, without secrets; whole numbers without a fraction."""
    if node.is_mapping:
        return {key: tree(each, key) for key, each in node.items()}
    if node.is_list:
        return [tree(each, name) for each in node.elements()]
    value = node.plain()
    if isinstance(value, str):
        if name and is_secret_name(name) and value:
            refuse_named(node, name, value)
        refuse_value(node, value)
    if isinstance(value, float) and value == int(value):
        return int(value)
    return value


def check_text(node: yamldoc.Node) -> None:
    """Refuse characters that no JSON text and no database takes, anywhere in a document."""
    if node.is_mapping:
        for name, each in node.items():
            _check(node, name)
            check_text(each)
    elif node.is_list:
        for each in node.elements():
            check_text(each)
    elif not node.is_null:
        _check(node, node.scalar())


def _check(node: yamldoc.Node, value: str) -> None:
    found = _UNKEEPABLE.search(value)
    if found is not None:
        raise node.error(f"the character U+{ord(found[0]):04X} cannot be kept; leave it out")
