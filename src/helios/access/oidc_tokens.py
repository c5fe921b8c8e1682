"""Whether an ID token may be believed (OpenID Connect Core 1.0, section 3.1.3.7). Pure.

The algorithm is one of ours and of the provider's, never the token's alone; the key is one that
the provider publishes at the address of its metadata, never one that the token brings or names.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
import jwt.types as jwt_types
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from helios.access import oidc
from helios.kernel import clock as clocks

SKEW_S = 60
"""How far the provider's clock may be from ours."""

TOKEN_BYTES_MAX = 64 << 10
RSA_BITS_MIN = 2_048
_KEYS_MAX = 100
_FAMILIES = {
    "RS256": ("RSA", None, "sha256"),
    "PS256": ("RSA", None, "sha256"),
    "ES256": ("EC", "P-256", "sha256"),
    "EdDSA": ("OKP", "Ed25519", "sha512"),
}
"""By algorithm: kind of key, its curve, and the hash of `at_hash`."""

_SIGNATURE_ONLY: jwt_types.Options = {
    # Time is passed in here, and the rest is stricter below.
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_iss": False,
    "verify_jti": False,
    "verify_nbf": False,
    "verify_sub": False,
}


class Key(msgspec.Struct, frozen=True):
    """A public key of the provider, as it publishes it."""

    kty: str
    kid: str | None = None
    use: str | None = None
    alg: str | None = None
    crv: str | None = None
    document: Mapping[str, Any] = {}


class Header(msgspec.Struct, frozen=True):
    """What of a token's head is looked at."""

    alg: str
    kid: str | None = None


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: float
    iat: float
    nbf: float | None = None
    nonce: str | None = None
    azp: str | None = None
    at_hash: str | None = None


def keys(told: object) -> tuple[Key, ...]:
    """The keys of a JWKS document; what cannot be a signing key is left out.

    Raises:
        SignInError: it is none.
    """
    listed = told.get("keys") if isinstance(told, Mapping) else None
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise oidc.SignInError("oidc_provider", "the provider's keys cannot be read")
    found = []
    for each in listed[:_KEYS_MAX]:
        try:
            key = msgspec.convert(each, Key)
        except msgspec.ValidationError:
            continue
        found.append(msgspec.structs.replace(key, document=each))
    return tuple(found)


def header(token: str, about: oidc.Metadata) -> Header:
    """The head of a token that may be looked at further.

    Raises:
        SignInError: it is no token, or signed in a way that is not accepted.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise _bad("it is too large")
    try:
        raw = jwt.get_unverified_header(token)
        found = msgspec.convert(raw, Header)
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        raise _bad("its head cannot be read") from None
    if found.alg not in about.algorithms:
        raise _bad(f"it is signed with {found.alg[:20]!r}, not {' or '.join(about.algorithms)}")
    if "crit" in raw or raw.get("b64", True) is not True:
        raise _bad("its head asks for what is not understood")
    return found


def key_for(head: Header, published: Sequence[Key]) -> Key | None:
    """The one key that a token can be signed with; None: the provider publishes none such."""
    kind, curve, _ = _FAMILIES[head.alg]
    fitting = [
        each
        for each in published
        if each.kty == kind
        and (curve is None or each.crv == curve)
        and each.use in (None, "sig")
        and each.alg in (None, head.alg)
        and (head.kid is None or each.kid == head.kid)
    ]
    return fitting[0] if len(fitting) == 1 else None


def check(
    token: str,
    key: Key,
    *,
    config: oidc.Config,
    about: oidc.Metadata,
    nonce: str,
    access_token: str | None,
    now: clocks.Timestamp,
) -> Mapping[str, object]:
    """The claims of an ID token, once all of it is found to be right.

    Args:
        token: as the token endpoint gave it.
        key: what `key_for` found.
        config: whom it must be for, and from.
        about: what the provider tells of itself.
        nonce: of the sign-in.
        access_token: that came with it.
        now: the time.

    Raises:
        SignInError: it may not be believed; the message says why and holds nothing of it.
    """
    head = header(token, about)
    raw = _verified(token, key, head)
    try:
        claims = msgspec.convert(raw, _Claims)
    except msgspec.ValidationError as error:
        raise _bad(f"a claim is missing or of a wrong type: {error}") from None
    _check_parties(claims, config)
    _check_times(claims, now / clocks.SECOND_US)
    if claims.nonce is None or not _equal(claims.nonce, nonce):
        raise _bad("it belongs to another sign-in (nonce)")
    if claims.at_hash is not None and access_token is not None:
        digest = hashlib.new(_FAMILIES[head.alg][2], access_token.encode()).digest()
        half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
        if not _equal(claims.at_hash, half):
            raise _bad("it belongs to another access token (at_hash)")
    return raw


def _verified(token: str, key: Key, head: Header) -> dict[str, object]:
    try:
        loaded = jwt.PyJWK(dict(key.document), algorithm=head.alg)
        if isinstance(loaded.key, rsa.RSAPublicKey) and loaded.key.key_size < RSA_BITS_MIN:
            raise _bad(f"its key has fewer than {RSA_BITS_MIN} bits")
        found: dict[str, object] = jwt.decode(
            token, key=loaded, algorithms=[head.alg], options=_SIGNATURE_ONLY
        )
    except jwt.InvalidSignatureError:
        raise _bad("its signature is wrong") from None
    except (jwt.PyJWTError, ValueError, TypeError, binascii.Error):
        raise _bad("its signature cannot be checked") from None
    return found


def _check_parties(claims: _Claims, config: oidc.Config) -> None:
    if claims.iss != config.issuer:
        raise _bad("it comes from another provider (iss)")
    audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    if config.client_id not in audience:
        raise _bad("it is for somebody else (aud)")
    if len(audience) > 1 and claims.azp is None:
        raise _bad("it is for several and does not say who asked for it (azp)")
    if claims.azp is not None and claims.azp != config.client_id:
        raise _bad("somebody else asked for it (azp)")
    if not claims.sub or len(claims.sub) > 255:
        raise _bad("it does not say whom it is about (sub)")


def _check_times(claims: _Claims, now_s: float) -> None:
    # Written so that a NaN is refused too.
    if not claims.exp > now_s - SKEW_S:
        raise _bad("it has expired (exp); are the clocks right?")
    if not claims.iat < now_s + SKEW_S:
        raise _bad("it was made in the future (iat); are the clocks right?")
    if not claims.iat > now_s - oidc.TRANSACTION_S - SKEW_S:
        raise _bad("it is older than the sign-in (iat); are the clocks right?")
    if claims.nbf is not None and not claims.nbf < now_s + SKEW_S:
        raise _bad("it is not valid yet (nbf); are the clocks right?")


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _bad(why: str) -> oidc.SignInError:
    return oidc.SignInError("oidc_token", f"the provider's ID token is refused: {why}")
