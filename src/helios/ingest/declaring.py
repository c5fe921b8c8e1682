"""Declarations of sources: YAML in, checked `Declared` out.

`parse` needs nothing but the text, so what was declared once can always be read again, even when
its provider's adapter is gone. `check` says whether the adapter that is here takes it. Secrets
never stand in a declaration: declarations are events, and events are for ever.
"""

import dataclasses
import hashlib
import re
from typing import Any

from helios.eventlog import envelope
from helios.ingest import kinds, schemas, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, limits, secret, yamldoc
from helios.providers import ports as providers

SECRETS_MAX = 8
"""Active secrets of one source. More: refused; a rotation needs two."""

CREDENTIALS_MAX = 16
SCHEMAS_MAX = 200

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_CREDENTIAL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_RESERVED = ("helios", "content-changed")
FIELDS = (
    "provider",
    "secrets",
    "credentials",
    "options",
    "schemas",
    "rate",
    "body_bytes_max",
    "content_encoding",
    "poll",
    "environment",
    "origin",
    "paused",
)
"""Of `spec`."""

_SECRET_LIKE = re.compile(
    r"(?i)(.*[_-])?(secret|secrets|password|passwd|passphrase|token|api[_-]?key|private[_-]?key|"
    r"access[_-]?key|credential|credentials|authorization)"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One document as it was read.

    Attributes:
        declared: what it says; `version` is not known yet.
        description: for people.
        text: the document.
        paused: what it says of pausing; None: nothing, so a source stays as it is.
        spec: the fields of `spec`, for errors with a place.
    """

    declared: sources.Declared
    description: str
    text: str
    paused: bool | None
    spec: dict[str, yamldoc.Node]

    @property
    def hash(self) -> str:
        """Digest of the document."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def parse(text: str, *, source: str | None = None) -> list[Declaration]:
    """Read the declarations of a file; several are separated by `---`.

    Args:
        text: YAML or JSON.
        source: the file's name, for messages.

    Raises:
        InvalidInputError: with line, column, field and what was expected.
    """
    found = []
    seen: set[tuple[str, str]] = set()
    for root, own in yamldoc.parse_all(text, source=source):
        made = _one(root, own)
        key = (made.declared.client_id, made.declared.name)
        if key in seen:
            raise root.error(f"source {key[1]!r} of client {key[0]!r} is declared twice here")
        seen.add(key)
        found.append(made)
    return found


def check(declaration: Declaration, known: kinds.Kinds) -> kinds.Kind:
    """Whether the source's provider is there and takes its settings.

    Raises:
        InvalidInputError: with the place in the document.
        StorageError: its SDK is not installed; says what to install.
    """
    spec = declaration.spec
    try:
        kind = known.get(declaration.declared.provider)
    except errors.NotFoundError as error:
        raise spec["provider"].error(str(error)) from None
    place = spec.get("options", spec["provider"])
    _refuse_secrets(spec.get("options"), kind)
    try:
        options = kind.read_options(declaration.declared.options)
    except errors.InvalidInputError as error:
        unknown = _UNKNOWN.search(error.message)
        path = f"{error.field or ''}.{unknown[1]}" if unknown else error.field or ""
        listing = ", ".join(sorted(kind.options.__struct_encode_fields__)) or "none"
        hint = f" (known at the top: {listing})" if unknown else ""
        raise place.below(path).error(f"{kind.name}: {error.message}{hint}") from None
    if "poll" in spec and declaration.declared.poll is not None:
        _check_poll(spec["poll"], kind)
    _check_schemas(spec.get("schemas"))
    _check_adapter(declaration, kind, options)
    return kind


def lacking(kind: kinds.Kind, source: providers.Source) -> errors.InvalidInputError | None:
    """What the adapter misses in a source, or None; `field` says where it belongs."""
    check_source = getattr(kind.adapter, "check", None)
    if check_source is None:
        return None
    try:
        check_source(source)
    except errors.InvalidInputError as error:
        return error
    return None


def _check_adapter(declaration: Declaration, kind: kinds.Kind, options: Any) -> None:
    """Ask the adapter; the values of secrets are not known here, only that there are some."""
    made = declaration.declared
    unknown = secret.Secret("unknown")
    source = providers.Source(
        name=made.name,
        tenant=made.client_id,
        provider=made.provider,
        secrets=(unknown,) * len(made.secrets),
        options=options,
        credentials=dict.fromkeys(made.credentials, unknown),
    )
    error = lacking(kind, source)
    if error is None:
        return
    field = error.field or ""
    # What only polls has no door that needs a secret; a wrong value shows when it is known.
    if field == "spec.secrets" and (made.secrets or made.poll is not None):
        return
    path = field.removeprefix("spec.")
    top = path.partition(".")[0]
    node = declaration.spec.get(top, declaration.spec["provider"])
    raise node.below(path.removeprefix(top)).error(f"{path}: {error.message}")


def _check_schemas(node: yamldoc.Node | None) -> None:
    for each in dict(node.items()).values() if node is not None else ():
        try:
            schemas.compiled(each.plain())
        except errors.InvalidInputError as error:
            raise each.error(error.message) from None


def _check_poll(node: yamldoc.Node, kind: kinds.Kind) -> None:
    if providers.Capability.LIST_CHANGES not in kind.capabilities:
        raise node.error(f"{kind.name} cannot be asked what changed, so it cannot be polled")


def _refuse_secrets(node: yamldoc.Node | None, kind: kinds.Kind) -> None:
    """What looks like a secret and is no setting of the kind would end in the log for ever."""
    if node is None:
        return
    for name, value in node.items():
        if name not in kind.options.__struct_encode_fields__ and _SECRET_LIKE.fullmatch(name):
            raise value.error(
                "a declaration holds no secrets: put a reference (env:NAME, file:/PATH or "
                "secret:NAME) under spec.secrets, or under spec.credentials by this name"
            )


def _one(root: yamldoc.Node, text: str) -> Declaration:
    names = ("apiVersion", "kind", "metadata", "spec")
    top = root.fields(names, names)
    top["apiVersion"].choice((sources.API_VERSION,))
    top["kind"].choice((sources.KIND,))
    meta = top["metadata"].fields(("name", "client_id", "description"), ("name",))
    spec = top["spec"].fields(FIELDS, ("provider",))
    paused = spec["paused"].boolean() if "paused" in spec else None
    declared = sources.Declared(
        name=_name(meta["name"]),
        client_id=_client(meta.get("client_id")),
        provider=spec["provider"].string(chars_max=64),
        secrets=_secrets(spec.get("secrets")),
        credentials=_credentials(spec.get("credentials")),
        options=_options(spec.get("options")),
        schemas=_schemas(spec.get("schemas")),
        rate=_rate(spec.get("rate")),
        body_bytes_max=_body_bytes_max(spec.get("body_bytes_max")),
        content_encoding="content_encoding" in spec and spec["content_encoding"].boolean(),
        poll=_poll(spec.get("poll")),
        paused=bool(paused),
        environment=spec["environment"].string(chars_max=64) if "environment" in spec else None,
        origin=_name(spec["origin"]) if "origin" in spec else None,
    )
    description = meta["description"].scalar() if "description" in meta else ""
    return Declaration(
        declared=declared, description=description, text=text, paused=paused, spec=spec
    )


def _name(node: yamldoc.Node) -> str:
    value = node.string(chars_max=63)
    if not _NAME.fullmatch(value):
        raise node.error(
            "expected lower case letters, digits and dashes, starting with a letter, at most 63; "
            f"found {value!r}"
        )
    if value in _RESERVED:
        raise node.error(f"{value!r} is a name that Helios uses itself; take another")
    return value


def _client(node: yamldoc.Node | None) -> str:
    return envelope.DEFAULT_TENANT if node is None else node.string(chars_max=128)


def _reference(node: yamldoc.Node) -> str:
    try:
        return secret.check_reference(node.scalar())
    except errors.InvalidInputError as error:
        raise node.error(error.message) from None


def _secrets(node: yamldoc.Node | None) -> tuple[str, ...]:
    if node is None:
        return ()
    found = node.elements()
    if len(found) > SECRETS_MAX:
        raise node.error(f"at most {SECRETS_MAX} secrets, found {len(found)}")
    return tuple(_reference(each) for each in found)


def _credentials(node: yamldoc.Node | None) -> dict[str, str]:
    if node is None:
        return {}
    found = dict(node.items())
    if len(found) > CREDENTIALS_MAX:
        raise node.error(f"at most {CREDENTIALS_MAX} credentials, found {len(found)}")
    for name, each in found.items():
        if not _CREDENTIAL.fullmatch(name):
            raise each.error("the name of a credential is letters, digits, dashes, underscores")
    return {name: _reference(each) for name, each in found.items()}


def _options(node: yamldoc.Node | None) -> dict[str, Any]:
    if node is None:
        return {}
    return {name: each.plain() for name, each in node.items()}


def _schemas(node: yamldoc.Node | None) -> dict[str, Any]:
    if node is None:
        return {}
    found = dict(node.items())
    if len(found) > SCHEMAS_MAX:
        raise node.error(f"at most {SCHEMAS_MAX} schemas, found {len(found)}")
    for each in found.values():
        if not each.is_mapping:
            raise each.error("expected a JSON Schema (a mapping)")
    return {name: each.plain() for name, each in found.items()}


def _rate(node: yamldoc.Node | None) -> sources.Rate:
    default = sources.Rate()
    if node is None:
        return default
    fields = node.fields(("per_s", "burst"))
    per_s = fields["per_s"].number(0.001, 1e6) if "per_s" in fields else default.per_s
    burst = fields["burst"].integer(1, 10**6) if "burst" in fields else max(1, round(2 * per_s))
    return sources.Rate(per_s=per_s, burst=burst)


def _body_bytes_max(node: yamldoc.Node | None) -> int:
    return sources.BODY_BYTES_MAX if node is None else node.integer(1, limits.BODY_BYTES_MAX)


def _poll(node: yamldoc.Node | None) -> sources.Polling | None:
    if node is None or node.is_null:
        return None
    fields = node.fields(("every", "overlap", "compare_every", "grace"))
    given = {name: each.positive_duration() for name, each in fields.items()}
    for name in ("every", "compare_every", "grace"):
        if given.get(name, clocks.SECOND_US) < clocks.SECOND_US:
            raise fields[name].error("expected at least 1s: providers take time to answer")
    return sources.Polling(**given)
