"""The body of a delivery, read once: what the event keeps of it, and what it says.

What begins like JSON and breaks the strict reader is set aside: somebody else would read it
otherwise than we do. What never meant to be JSON is kept as it is.
"""

from typing import Any

import msgspec

from helios.kernel import errors, jsonio
from helios.providers import ports, wrapping

_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A body that has been read.

    Attributes:
        payload: what the event keeps.
        value: what it says when it is JSON, else None.
        json: whether it is JSON.
    """

    payload: bytes
    value: Any = None
    json: bool = True

    def get(self, *path: str) -> Any:
        """The member of a member …, or None where there is none."""
        value = self.value
        for name in path:
            if type(value) is not dict:
                return None
            value = value.get(name)
        return value

    def text(self, *path: str) -> str | None:
        """Likewise, when it is a text that is not empty."""
        value = self.get(*path)
        return value if type(value) is str and value else None

    def word(self, *path: str) -> str | None:
        """Likewise; a whole number as its digits."""
        value = self.get(*path)
        return str(value) if type(value) is int else self.text(*path)


def read(body: bytes) -> Body:
    """Read a body of any content type.

    Raises:
        UnprocessableError: `invalid_json`: it begins like JSON and is not strict JSON.
    """
    bare = body.strip(_SPACE)
    if not bare:
        return Body(payload=b"{}")
    if bare.removeprefix(_BOM).lstrip(_SPACE)[:1] in (b"{", b"["):
        return _of(bare, strict(body))
    try:
        return _of(bare, jsonio.parse(body))
    except errors.InvalidInputError:
        return Body(payload=wrapping.binary(body), json=False)


def read_object(body: bytes) -> Body:
    """Read a body that has to be a JSON object, because its members say what it is.

    Raises:
        UnprocessableError: `invalid_json`, or `invalid_body` when it is no object.
    """
    value = strict(body)
    if type(value) is not dict:
        kind = jsonio.type_name(value)
        raise ports.UnprocessableError("invalid_body", f"expected a JSON object, found {kind}")
    return _of(body.strip(_SPACE), value)


def strict(body: bytes) -> Any:
    """Parse strictly.

    Raises:
        UnprocessableError: `invalid_json`.
    """
    try:
        return jsonio.parse(body)
    except errors.InvalidInputError as error:
        raise ports.UnprocessableError("invalid_json", str(error)) from None


def payload(value: Any) -> bytes:
    """The payload that keeps a JSON value which came inside another document."""
    text = jsonio.encode(value)
    return text if type(value) is dict else wrapping.json_value(text)


def _of(bare: bytes, value: Any) -> Body:
    if type(value) is dict:
        return Body(payload=bare, value=value)
    return Body(payload=wrapping.json_value(bare), value=value)
