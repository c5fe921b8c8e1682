"""What can be set, and where each value came from.

Defaults, then the file `helios.toml`, then the environment (`HELIOS_DATA_DIR` …), then flags: the
later wins. A name that nobody knows is an error in each of them, because a misspelt setting that is
silently ignored is found in production.
"""

import ast
import dataclasses
import inspect
import tomllib
import types
import typing
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from helios.kernel import errors

ENVIRONMENT_PREFIX = "HELIOS_"
FILE = "helios.toml"

_OWN_ENVIRONMENT = frozenset(
    (
        "HELIOS_ACTOR",
        "HELIOS_CONFIG",
        "HELIOS_DEBUG",
        "HELIOS_SHARED",
        "HELIOS_TOKEN",
        "HELIOS_TOKEN_FILE",
        "HELIOS_URL",
    )
)
"""Environment variables with our prefix that are no settings."""
_RESERVED_PREFIXES = ("HELIOS_TEST_", "HELIOS_BENCH_")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set."""

    data_dir: Path = Path("helios-data")
    """Folder of the log and the views in the embedded setting. One server at a time serves it."""

    database_url: str | None = None
    """`postgresql://user:password@host/name` keeps log and views in PostgreSQL. None: SQLite files
    in `data_dir`, because that needs nothing installed."""

    host: str = "127.0.0.1"
    """Address to listen on. Only this machine by default."""

    port: int = 8420
    """TCP port to listen on. 0: any free one, which is announced."""

    auth: Literal["on", "off"] = "on"
    """Whether people sign in and programs show a token. `off` lets whoever reaches this server do
    everything, so it is refused where others reach it: on another address than this machine's own,
    with a `public_url` elsewhere, or behind `trusted_proxies`."""

    allowed_hosts: str = ""
    """Further names under which this server is called (`helios.internal,helios.example.com`),
    beside its address and `public_url`. A request for any other name is refused, because a page of
    elsewhere may have its own name point here."""

    trusted_proxies: str = ""
    """Addresses and networks (`10.0.0.7, 10.1.0.0/16`) of proxies in front, which are believed when
    they tell in `X-Forwarded-For` who calls: failed sign-ins are limited by that address, and
    sessions and the audit show it. Empty: nobody is believed, because anybody can write that."""

    ingest_secrets: str | None = None
    """References of secrets, separated by commas (`env:NAME,file:/PATH,secret:NAME`). Whoever
    appends by the API must know one of them, as bearer token or by a signature, or have a service
    token that may ingest. None: where only this machine reaches the server, everybody may."""

    drain_s: float = 10.0
    """Seconds that requests under way get at shutdown. At the end they are cut off."""

    builds_root: Path | None = None
    """Folder below which sites are built by commands and published. None: this server runs no
    commands, because whoever may declare a site decides what runs here."""

    content_ttl_s: float = 86_400.0
    """Seconds after which cached content that its provider did not tell of again is stale: still
    served, marked, and fetched again where the provider can be asked."""

    outbound_allow: str = ""
    """Hosts (`localhost:1337`, `.internal`) and networks (`10.0.0.0/8`) that are not public and may
    be called all the same, separated by commas. Every other call to a private address is refused,
    because URLs come from outside too."""

    public_url: str | None = None
    """Address at which senders of webhooks reach this server, such as `https://helios.example.com`;
    told as part of webhook URLs. None: the address that the request at hand was sent to."""

    smtp_url: str | None = None
    """Server for e-mail: `smtp+starttls://user:password@host:587`, `smtps://…`, `smtp://…`,
    or a reference to that (`env:NAME`, `file:/PATH`, `secret:NAME`). None: no e-mail is sent."""

    smtp_sender: str = ""
    """Address that e-mail comes from. Empty: `helios@` the host of `smtp_url`."""

    oidc_issuer: str | None = None
    """OpenID provider at which people sign in, by the address that it calls itself, such as
    `https://login.example.com/realms/acme`. On a private address it must be named in
    `outbound_allow` too. None: people sign in with accounts of this server alone."""

    oidc_client_id: str = ""
    """Id under which this server is registered at the provider. It must know the redirect address
    `<public_url>/api/v1/auth/oidc/callback`."""

    oidc_client_secret: str | None = None
    """Reference of our secret there: `env:NAME`, `file:/PATH` or `secret:NAME`. None: a public
    client, which PKCE protects alone."""

    oidc_name: str = "single sign-on"
    """What the button on the sign-in page calls the provider."""

    oidc_scopes: str = "openid profile email"
    """Scopes that are asked for, separated by spaces; some providers tell groups only for one."""

    oidc_groups_claim: str = "groups"
    """Claim that holds the groups of a person, in the ID token or at the userinfo endpoint; a path
    such as `realm_access.roles` finds one within another."""

    oidc_grants: str = ""
    """What the groups of the provider may do here: `helios-admins=admin@*,
    ops=operator@acme/production`, as group=role@client/environment. Who is in none of them is not
    let in."""

    ready_needs_sources: bool = False
    """Whether a source that cannot fetch makes `/ready` say no. It does not by default: the other
    sources work, and a server taken out of rotation for one of them would help nobody."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important log messages to write."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """How log messages look. auto: console on a terminal, JSON elsewhere."""


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, and where each came from: `default`, a file, a variable, a flag."""

    settings: Settings
    origins: dict[str, str]

    def shown(self) -> list[tuple[str, Any, str]]:
        """Name, value and origin of each, passwords masked."""
        return [
            (field.name, _masked(getattr(self.settings, field.name)), self.origins[field.name])
            for field in dataclasses.fields(Settings)
        ]


def resolve(
    *,
    file: Path | None = None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
) -> Resolved:
    """Put the settings together.

    Args:
        file: a TOML file that must exist; None: `helios.toml` in the working folder, if there.
        environment: variables; those without our prefix are left alone.
        flags: what the command line gave, by setting name; None values are left out.

    Raises:
        InvalidInputError: an unknown name, or a value of a wrong type; names its origin.
    """
    values: dict[str, Any] = {}
    origins = {field.name: "default" for field in dataclasses.fields(Settings)}
    for origin, given in (
        *_from_file(file),
        *_from_environment(environment),
        *((f"--{name.replace('_', '-')}", {name: v}) for name, v in flags.items()),
    ):
        for name, value in given.items():
            if value is not None:
                values[name] = _convert(name, value, origin)
                origins[name] = origin
    return Resolved(settings=Settings(**values), origins=origins)


def documentation() -> dict[str, str]:
    """What each setting means, by name: the docstring under its field, in one line."""
    (declared,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(declared, ast.ClassDef)
    found = {}
    for field, text in zip(declared.body, declared.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(text, ast.Expr), field.target.id
            assert isinstance(text.value, ast.Constant), field.target.id
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def _from_file(file: Path | None) -> list[tuple[str, dict[str, Any]]]:
    path = file or Path(FILE)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if file is None:
            return []
        raise errors.InvalidInputError("the file is not there", source=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InvalidInputError(f"cannot be read: {error}", source=str(path)) from error
    try:
        return [(str(path), tomllib.loads(text))]
    except tomllib.TOMLDecodeError as error:
        raise errors.InvalidInputError(f"not TOML: {error}", source=str(path)) from error


def _from_environment(environment: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, {name.removeprefix(ENVIRONMENT_PREFIX).lower(): value})
        for name, value in sorted(environment.items())
        if name.startswith(ENVIRONMENT_PREFIX)
        and name not in _OWN_ENVIRONMENT
        and not name.startswith(_RESERVED_PREFIXES)
    ]


def _convert(name: str, value: Any, origin: str) -> Any:
    hints = typing.get_type_hints(Settings)
    if name not in hints:
        raise errors.InvalidInputError(
            f"unknown setting; known: {', '.join(hints)}", source=origin, field=name
        )
    wanted = hints[name]
    if isinstance(wanted, types.UnionType):
        (wanted,) = (kind for kind in typing.get_args(wanted) if kind is not types.NoneType)
    try:
        if wanted is Path:
            return Path(msgspec.convert(str(value) if isinstance(value, Path) else value, str))
        return msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise errors.InvalidInputError(str(error), source=origin, field=name) from None


def _masked(value: Any) -> Any:
    if not isinstance(value, str) or "://" not in value:
        return value
    parts = urllib.parse.urlsplit(value)
    if parts.password is None:
        return value
    return value.replace(f":{parts.password}@", ":***@", 1)
