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

_raw_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_raw_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


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


def read_text(text: bytes) -> Body:
    """Read a text that came inside a JSON document: JSON, or words such as `[ALERT] disk full`.

    Raises:
        UnprocessableError: `invalid_json`: it begins like an object and is not strict JSON.
    """
    if text.strip(_SPACE)[:1] == b"{":
        return read(text)
    try:
        return read_json(text)
    except ports.UnprocessableError:
        words = jsonio.encode(text.decode())
        return Body(payload=wrapping.json_value(words), json=False)


def read_json(body: bytes) -> Body:
    """Read a body that says that it is JSON.

    Raises:
        UnprocessableError: `invalid_json`.
    """
    bare = body.strip(_SPACE)
    return _of(bare, strict(body)) if bare else Body(payload=b"{}")


def items(body: bytes, most: int) -> list[bytes]:
    """The members of a JSON list, byte for byte.

    Raises:
        UnprocessableError: `invalid_json`, `invalid_body` when it is no list, `too_many_events`.
    """
    value = strict(body)
    if type(value) is not list:
        kind = jsonio.type_name(value)
        raise ports.UnprocessableError("invalid_body", f"expected a JSON list, found {kind}")
    if len(value) > most:
        msg = f"{len(value)} events in one delivery, at most {most} are taken"
        raise ports.UnprocessableError("too_many_events", msg)
    return [bytes(each) for each in _raw_items(body)]


def members(text: bytes) -> dict[str, bytes]:
    """The members of a JSON object that has been read, byte for byte."""
    return {name: bytes(raw) for name, raw in _raw_members(text).items()}


def strict(body: bytes) -> Any:
    """Parse strictly.

    Raises:
        UnprocessableError: `invalid_json`.
    """
    try:
        return jsonio.parse(body)
    except errors.InvalidInputError as error:
        raise ports.UnprocessableError("invalid_json", str(error)) from None


def _of(bare: bytes, value: Any) -> Body:
    if type(value) is dict:
        return Body(payload=bare, value=value)
    return Body(payload=wrapping.json_value(bare), value=value)
