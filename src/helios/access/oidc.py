"""Signing in at an OpenID provider: the authorisation code flow with PKCE. Pure.

`begin` makes what the browser is sent away with and what it keeps meanwhile (`Transaction`, sealed
with a key of ours); `answered` holds what it comes back with against that. What the provider's
tokens say is checked in `oidc_tokens`, what its groups are worth here in `oidc_grants`; the calls
to the provider are made in `oidc_provider`.
"""

import base64
import hashlib
import hmac
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from helios.access import model, oidc_grants
from helios.kernel import clock as clocks
from helios.kernel import errors, secret, settings

TRANSACTION_S = 600
"""How long somebody may take at the provider. After that they begin anew."""

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""How an ID token may be signed. `none` and shared secrets are not among them, whatever a provider
offers: who knows only what is public could sign."""

_SECRET_BYTES = 32
_TO_MAX = 2_000
_SEALED_MAX = 4_096
_LABEL = b"helios-oidc-transaction\0"

Problem: TypeAlias = Literal[
    "oidc_denied",
    "oidc_expired",
    "oidc_failed",
    "oidc_locked",
    "oidc_no_role",
    "oidc_off",
    "oidc_provider",
    "oidc_state",
    "oidc_token",
    "oidc_unreachable",
]
"""What went wrong, as the sign-in page is told.

- `oidc_denied`: the provider let them not in, or they turned back there;
- `oidc_expired`: they took too long;
- `oidc_failed`: this server could not do it now;
- `oidc_locked`: they were locked out here;
- `oidc_no_role`: they are known there, and none of their groups has a role here;
- `oidc_off`: nobody signs in by OpenID here;
- `oidc_provider`: the provider answered what it should not, or is set up differently;
- `oidc_state`: the answer belongs to no sign-in that this browser began;
- `oidc_token`: what the provider says of them cannot be believed;
- `oidc_unreachable`: the provider did not answer.
"""


class SignInError(errors.UnauthenticatedError):
    """Somebody could not sign in at the provider.

    Attributes:
        problem: what the sign-in page is told. The message is for the log of the server; it holds
            no token, code or secret.
    """

    def __init__(self, problem: Problem, message: str) -> None:
        super().__init__(message)
        self.problem: Problem = problem


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """How people sign in at a provider; see the settings of the same names."""

    issuer: str
    client_id: str
    client_secret: str | None = None
    name: str
    scopes: tuple[str, ...]
    groups_claim: str
    grants: tuple[oidc_grants.Mapped, ...]


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider tells of itself; unknown fields are left out."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    code_challenge_methods_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False

    @property
    def algorithms(self) -> tuple[str, ...]:
        """How its ID tokens may be signed, by its word and ours."""
        return tuple(
            each for each in ALGORITHMS if each in self.id_token_signing_alg_values_supported
        )


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in under way; the browser keeps it, sealed, until it comes back.

    Attributes:
        state: ties the answer to this browser.
        nonce: ties the ID token to this sign-in.
        verifier: ties the code to who asked for it (PKCE).
        to: where to go afterwards, a path of ours.
        redirect_uri: where the provider sends the browser, as it was told.
        issuer: which provider was asked.
        expires_s: Unix seconds.
    """

    state: str
    nonce: str
    verifier: str
    to: str
    redirect_uri: str
    issuer: str
    expires_s: int


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in, as the provider says, and what that is worth here.

    Attributes:
        issuer, subject: together they name a person for ever; nothing else does.
        name: what they are called by, which may change and may be another's tomorrow.
        display_name: for people.
        grants: what their groups may do here; never empty.
        groups: those of their groups that have a role here, for approvals that name them.
    """

    issuer: str
    subject: str
    name: str
    display_name: str
    grants: tuple[model.Grant, ...]
    groups: tuple[str, ...]


def configured(given: settings.Settings) -> Config | None:
    """What the settings say; None: nobody signs in by OpenID.

    Raises:
        InvalidInputError: something is missing or cannot be read; names the setting.
    """
    if not given.oidc_issuer:
        return None
    _check_issuer(given.oidc_issuer)
    if not given.oidc_client_id:
        raise errors.InvalidInputError(
            "set it to the id under which Helios is registered at the provider",
            field="oidc_client_id",
        )
    if given.oidc_client_secret:
        secret.check_reference(given.oidc_client_secret)
    mapped = oidc_grants.parse(given.oidc_grants)
    if not mapped:
        raise errors.InvalidInputError(
            "without it nobody could sign in: write such as `helios-admins=admin@*`",
            field="oidc_grants",
        )
    scopes = given.oidc_scopes.split()
    return Config(
        issuer=given.oidc_issuer,
        client_id=given.oidc_client_id,
        client_secret=given.oidc_client_secret or None,
        name=given.oidc_name,
        scopes=tuple(dict.fromkeys(("openid", *scopes))),
        groups_claim=given.oidc_groups_claim,
        grants=mapped,
    )


def _check_issuer(text: str) -> None:
    parts = urllib.parse.urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise errors.InvalidInputError(
            "expected the provider's address as it names itself, such as "
            "https://login.example.com/realms/acme",
            field="oidc_issuer",
        )


def discovery_url(issuer: str) -> str:
    """Where a provider tells of itself."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def metadata(config: Config, told: object) -> Metadata:
    """What a provider tells of itself, believed only as far as it names itself as we do.

    Raises:
        SignInError: it is another provider, or lacks what is needed.
    """
    try:
        found = msgspec.convert(told, Metadata)
    except msgspec.ValidationError as error:
        raise _unfit(config, f"its metadata cannot be read: {error}") from None
    if found.issuer != config.issuer:
        raise _unfit(
            config, f"it names itself {found.issuer[:200]}: set oidc_issuer to exactly that"
        )
    if not found.algorithms:
        raise _unfit(config, f"it signs with none of {', '.join(ALGORITHMS)}")
    methods = found.code_challenge_methods_supported
    if methods is not None and "S256" not in methods:
        raise _unfit(config, "it does not do PKCE with S256")
    for url in (found.authorization_endpoint, found.end_session_endpoint):
        if url is not None and not _fit_to_go_to(url, config.issuer):
            raise _unfit(config, "it would send browsers to an address that is not https")
    return found


def _fit_to_go_to(url: str, issuer: str) -> bool:
    """Whether a browser may be sent there; by plain http only if the provider itself is."""
    schemes = ("https://",) if issuer.startswith("https:") else ("https://", "http://")
    return url.startswith(schemes) and url.isascii() and url.isprintable() and " " not in url


def _unfit(config: Config, why: str) -> SignInError:
    return SignInError("oidc_provider", f"the OpenID provider {config.issuer}: {why}")


def local_path(text: str | None) -> str:
    """Where to go after a sign-in: a path of ours, or `/` for whatever else was asked for.

    A browser takes two slashes for another machine, reads backslashes as slashes, and drops tabs
    and line ends.
    """
    if (
        not text
        or not text.startswith("/")
        or text.startswith("//")
        or len(text) > _TO_MAX
        or "\\" in text
        or not text.isascii()
        or not text.isprintable()
    ):
        return "/"
    return text


def begin(
    config: Config,
    *,
    to: str | None,
    redirect_uri: str,
    now: clocks.Timestamp,
    draw: Callable[[int], str],
) -> Transaction:
    """A sign-in that begins.

    Args:
        config: at which provider.
        to: where to go afterwards; what is no path of ours is ignored.
        redirect_uri: where the provider shall send the browser.
        now: the time.
        draw: unguessable text from so many bytes, fit for URLs.
    """
    return Transaction(
        state=draw(_SECRET_BYTES),
        nonce=draw(_SECRET_BYTES),
        verifier=draw(_SECRET_BYTES),
        to=local_path(to),
        redirect_uri=redirect_uri,
        issuer=config.issuer,
        expires_s=now // clocks.SECOND_US + TRANSACTION_S,
    )


def challenge(verifier: str) -> str:
    """What the provider is told of a verifier before it sees it (RFC 7636, S256)."""
    return _encoded(hashlib.sha256(verifier.encode()).digest())


def authorization_url(config: Config, about: Metadata, transaction: Transaction) -> str:
    """Where to send the browser."""
    return _with_query(
        about.authorization_endpoint,
        {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": transaction.redirect_uri,
            "scope": " ".join(config.scopes),
            "state": transaction.state,
            "nonce": transaction.nonce,
            "code_challenge": challenge(transaction.verifier),
            "code_challenge_method": "S256",
        },
    )


def end_session_url(config: Config, about: Metadata, back: str) -> str | None:
    """Where to send a browser so that it is signed out at the provider too; None: not offered.

    Args:
        config: our name there.
        about: what the provider tells of itself.
        back: where it shall send the browser afterwards; it must know the address.
    """
    if about.end_session_endpoint is None:
        return None
    query = {"client_id": config.client_id, "post_logout_redirect_uri": back}
    return _with_query(about.end_session_endpoint, query)


def _with_query(url: str, query: Mapping[str, str]) -> str:
    joint = "&" if urllib.parse.urlsplit(url).query else "?"
    return f"{url}{joint}{urllib.parse.urlencode(query, quote_via=urllib.parse.quote)}"


def seal(transaction: Transaction, key: bytes) -> str:
    """A transaction as text that a browser can keep and nobody but us can make."""
    text = msgspec.json.encode(transaction)
    return f"{_encoded(text)}.{_encoded(_tag(text, key))}"


def unseal(sealed: str | None, key: bytes, *, now: clocks.Timestamp) -> Transaction:
    """The transaction that a browser kept.

    Raises:
        SignInError: there is none, it is not of our making, or it took too long.
    """
    if not sealed or len(sealed) > _SEALED_MAX:
        raise SignInError("oidc_state", "the browser brought no sign-in that it began")
    body, _, tag = sealed.partition(".")
    try:
        text = _decoded(body)
        ours = hmac.compare_digest(_decoded(tag), _tag(text, key))
    except ValueError:
        ours = False
    if not ours:
        raise SignInError("oidc_state", "the sign-in that the browser brought is not of our making")
    found = msgspec.json.decode(text, type=Transaction)
    if found.expires_s <= now // clocks.SECOND_US:
        raise SignInError("oidc_expired", f"the sign-in took longer than {TRANSACTION_S} s")
    return found


def answered(
    config: Config, about: Metadata, transaction: Transaction, query: Mapping[str, str]
) -> str:
    """The code that a browser came back with.

    Raises:
        SignInError: the answer belongs to another sign-in or comes from another provider, or the
            provider let them not in.
    """
    same = hmac.compare_digest(query.get("state", "").encode(), transaction.state.encode())
    if not same or transaction.issuer != config.issuer:
        raise SignInError("oidc_state", "the answer belongs to another sign-in")
    # RFC 9207: an answer of one provider is not taken for another's.
    issuer = query.get("iss")
    if issuer is None and about.authorization_response_iss_parameter_supported:
        raise SignInError("oidc_state", "the answer does not name its provider, which always does")
    if issuer is not None and issuer != config.issuer:
        raise SignInError("oidc_state", "the answer comes from another provider")
    if "error" in query:
        raise _told(query["error"])
    code = query.get("code")
    if not code:
        raise SignInError("oidc_provider", "the provider's answer holds neither code nor error")
    return code


_TURNED_BACK = ("access_denied", "login_required", "interaction_required", "consent_required")


def _told(error: str) -> SignInError:
    shown = "".join(c for c in error[:60] if c.isalnum() or c in "_-")
    problem: Problem = "oidc_denied" if error in _TURNED_BACK else "oidc_provider"
    return SignInError(problem, f"the provider answered {shown}")


def groups(claims: Mapping[str, object], name: str) -> tuple[str, ...] | None:
    """The groups that claims tell of; None: they do not.

    Args:
        claims: of an ID token or of the userinfo endpoint.
        name: of the claim; if there is none of that name, a path such as `realm_access.roles`.
    """
    found: object = claims.get(name)
    if found is None:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return (found,)
    if isinstance(found, Sequence):
        return tuple(each for each in found if isinstance(each, str))
    return None


def person(config: Config, claims: Mapping[str, object], told: Sequence[str]) -> Person:
    """Who signed in.

    Args:
        config: what groups are worth.
        claims: of a checked ID token, and of the userinfo endpoint.
        told: their groups.

    Raises:
        SignInError: none of their groups has a role here.
    """
    subject = str(claims["sub"])
    names = [claims.get(each) for each in ("preferred_username", "email", "sub")]
    name = next(each for each in names if isinstance(each, str) and each)
    grants = oidc_grants.of(config.grants, told)
    if not grants:
        raise SignInError(
            "oidc_no_role",
            f"{name[:200]!r} is in no group that oidc_grants names ({len(told)} groups told)",
        )
    display = claims.get("name")
    # A group that happens to be called like a role would answer in that role.
    known = {each.group for each in config.grants} - set(model.ROLES)
    return Person(
        issuer=config.issuer,
        subject=subject,
        name=name,
        display_name=display if isinstance(display, str) and display else name,
        grants=grants,
        groups=tuple(sorted(known.intersection(told))),
    )


def _tag(text: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _LABEL + text, "sha256")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
