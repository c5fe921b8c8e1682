"""A delivery that somebody captured, with what its source is to be told from: the file format.

    {"id": …, "provider": "shopify", "scheme": "shopify",
     "request": {"method": "POST", "path": "/…", "headers": [["Name", "value"], …],
                 "body_utf8": "…"},                                    or "body_b64"
     "config": {"secret": "…", "now": 1731723130, …}}

`config` holds the secrets, the options of the adapter by their names, the time, and the documents
that verification looks up. The file may come from elsewhere, so what it says beyond that is not an
error but a note.
"""

import base64
import binascii
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec

from helios.ingest import captured_options, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio
from helios.kernel import secret as secrets
from helios.providers import ports, registry

_Header = Annotated[list[str], msgspec.Meta(min_length=2, max_length=2)]

_SECRETS = ("secret", "secrets", "signing_token", "signing_secret", "token", "public_key")
_CREDENTIALS = ("api_key", "access_token", "username", "password")
_RECORD = "kafka"
_SECONDS_END = 10**11
_OURS = frozenset(
    (
        *_SECRETS,
        *_CREDENTIALS,
        "now",
        "certificates",
        "callback_answers",
        "documents",
        "tenant",
        "body_bytes_max",
        "content_encoding",
    )
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """As it came in."""

    method: str = "POST"
    path: str = "/"
    headers: list[_Header] = []
    body_utf8: str | None = None
    body_b64: str | None = None


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """A captured delivery.

    Attributes:
        id, title: for people; a title that speaks of Kafka makes it one of its records.
        provider: name of an adapter; where that one does not know `scheme`, one that does is taken.
        scheme: how it is verified; None: as the adapter usually does.
        request: the delivery.
        config: what its source is made of.
    """

    provider: str
    request: Request
    id: str = ""
    title: str = ""
    scheme: str | None = None
    config: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"Captured({self.id!r}, {self.provider!r})"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a captured delivery is judged by.

    Attributes:
        provider, source: as the gate would have found them.
        delivery: the request.
        documents: what lookups are answered with.
        body_bytes_max, content_encoding: what is taken, as a declaration has it.
        now: the time the file names, or None.
        notes: what the file says that nobody understands.
    """

    provider: ports.Provider
    source: ports.Source
    delivery: ports.Delivery
    documents: Mapping[str, ports.Document]
    body_bytes_max: int
    content_encoding: bool
    now: clocks.Timestamp | None
    notes: tuple[str, ...]


def read(data: bytes, *, file: str) -> Captured:
    """Read a file.

    Raises:
        InvalidInputError: not JSON, or not in this format; names file and field.
    """
    value = jsonio.parse_object(data, source=file)
    try:
        return msgspec.convert(value, Captured)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        field = place.rstrip("`").lstrip(".") or None
        raise errors.InvalidInputError(message, source=file, field=field) from None


def setting(captured: Captured, *, file: str) -> Setting:
    """What to judge it by.

    Raises:
        InvalidInputError: no such provider, or a value that makes no sense; names the field.
    """
    provider = _provider(captured, file)
    config = captured.config
    active = tuple(secrets.Secret(text) for text in _secrets(config))
    given, used = captured_options.read(provider, captured.scheme, config, secrets=bool(active))
    try:
        source = registry.source(
            provider,
            name=captured.provider,
            tenant=_text(config.get("tenant")) or "default",
            options=given,
            active=active,
            credentials={
                name: secrets.Secret(config[name])
                for name in _CREDENTIALS
                if _text_at(config, name)
            },
        )
    except errors.InvalidInputError as error:
        field = (error.field or "").replace("spec.options", "config")
        raise errors.InvalidInputError(error.message, source=file, field=field) from None
    unknown = sorted(config.keys() - used - _OURS)
    return Setting(
        provider=provider,
        source=source,
        delivery=_delivery(captured, file),
        documents=dict(_documents(config, file)),
        body_bytes_max=_bytes_max(config),
        content_encoding=config.get("content_encoding") is True,
        now=_now(config, file),
        notes=tuple(f"config.{n}: not understood" for n in unknown),
    )


def _provider(captured: Captured, file: str) -> ports.Provider:
    """The adapter that knows the scheme; the one named if it does."""
    scheme = captured.scheme and captured.scheme.replace("-", "_")
    if captured.provider in registry.names():
        named = registry.get(captured.provider)
        if scheme is None or scheme in _schemes(named):
            return named
    able = [registry.get(name) for name in registry.BUILT_IN]
    able = [each for each in able if scheme in _schemes(each)]
    # Several know the general schemes, but each scheme is the usual one of few.
    usual = [each for each in able if _schemes(each)[0] == scheme]
    if usual or able:
        return (usual or able)[0]
    try:
        return registry.get(captured.provider)
    except errors.NotFoundError as error:
        raise errors.InvalidInputError(str(error), source=file, field="provider") from None


def _schemes(provider: ports.Provider) -> tuple[str, ...]:
    found: tuple[str, ...] = getattr(provider, "schemes", (provider.name,))
    return found


def _secrets(config: Mapping[str, Any]) -> Iterator[str]:
    if _text_at(config, "username") and _text_at(config, "password"):
        yield f"{config['username']}:{config['password']}"
    for name in _SECRETS:
        value = config.get(name)
        for each in value if type(value) is list else [value]:
            if type(each) is str:
                yield _public(each) if name == "public_key" else each


def _public(key: str) -> str:
    return key if key.startswith("whpk_") else f"whpk_{key}"


def _delivery(captured: Captured, file: str) -> ports.Delivery:
    request = captured.request
    pairs = [(name.strip(), value) for name, value in request.headers]
    if _is_record(captured):
        pairs = [_of_record(name, value) for name, value in pairs]
    return ports.Delivery(
        method="POST" if _is_record(captured) else request.method.upper(),
        path=request.path,
        headers=tuple((name, _wire(value)) for name, value in pairs),
        body=_body(request, file),
    )


def _is_record(captured: Captured) -> bool:
    """Whether it is a record of Kafka, which has headers of its own spelling."""
    told = (captured.scheme, captured.title, captured.request.method, *captured.config.values())
    return any(type(each) is str and _RECORD in each.lower() for each in told)


def _of_record(name: str, value: str) -> tuple[str, str]:
    """A header of a record as HTTP has it: another prefix, and values percent-encoded."""
    if not name.startswith("ce_"):
        return name, value
    return f"ce-{name[3:]}", urllib.parse.quote(value, safe="/:;,=?&+@!$'()*#~ ")


def _wire(value: str) -> str:
    """A header's value as the server hands it on: its bytes, one character each, no blanks."""
    return value.encode("utf-8", "surrogatepass").decode("latin-1").strip(" \t")


def _body(request: Request, file: str) -> bytes:
    if request.body_b64 is None:
        return (request.body_utf8 or "").encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(request.body_b64, validate=True)
    except (binascii.Error, ValueError):
        msg = "not base64"
        raise errors.InvalidInputError(msg, source=file, field="request.body_b64") from None


def _documents(config: Mapping[str, Any], file: str) -> Iterator[tuple[str, ports.Document]]:
    for url, pem in _table(config, "certificates", file):
        yield url, ports.Document(body=str(pem).encode())
    for name in ("callback_answers", "documents"):
        for url, answer in _table(config, name, file):
            yield url, _document(answer)


def _document(answer: Any) -> ports.Document:
    if type(answer) is not dict or answer.keys().isdisjoint(("status", "json", "body")):
        body = answer.encode() if type(answer) is str else jsonio.encode(answer)
        return ports.Document(body=body)
    status = answer.get("status", 200)
    body = answer.get("body", "")
    body = jsonio.encode(answer["json"]) if "json" in answer else str(body).encode()
    return ports.Document(status=status if type(status) is int else 200, body=body)


def _table(config: Mapping[str, Any], name: str, file: str) -> list[tuple[str, Any]]:
    value = config.get(name, {})
    if type(value) is not dict:
        msg = f"expected an object, found {jsonio.type_name(value)}"
        raise errors.InvalidInputError(msg, source=file, field=f"config.{name}")
    return list(value.items())


def _now(config: Mapping[str, Any], file: str) -> clocks.Timestamp | None:
    value = config.get("now")
    if value is None:
        return None
    try:
        return moment(value)
    except ValueError as error:
        raise errors.InvalidInputError(str(error), source=file, field="config.now") from None


def moment(value: Any) -> clocks.Timestamp:
    """A time as people give it: seconds since 1970, or RFC 3339.

    Raises:
        ValueError: neither.
    """
    if type(value) in (int, float) and 0 <= value < _SECONDS_END:
        return clocks.Timestamp(round(value * clocks.SECOND_US))
    if type(value) is str:
        return clocks.parse_rfc3339(value)
    msg = "expected seconds since 1970, or a time such as 2026-01-02T03:04:05Z"
    raise ValueError(msg)


def _bytes_max(config: Mapping[str, Any]) -> int:
    value = config.get("body_bytes_max")
    return value if type(value) is int else sources.BODY_BYTES_MAX


def _text(value: Any) -> str | None:
    return value if type(value) is str and value else None


def _text_at(config: Mapping[str, Any], name: str) -> bool:
    return _text(config.get(name)) is not None
