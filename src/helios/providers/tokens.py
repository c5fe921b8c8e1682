"""OpenID Connect tokens: a JSON Web Token signed with RS256 by a key of a known set.

Only what is needed, and nothing that a token could choose: the algorithm is fixed, the key comes
from the set that the source names and from nowhere that the token points to, and every part is
read strictly, so that no two readers see two tokens.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio
from helios.providers import ports, public_keys, signatures

_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_TOKEN_CHARS_MAX = 16 << 10


def bearer(delivery: ports.Delivery) -> str:
    """The token of the header Authorization.

    Raises:
        RefusedError: `missing_token` or `bad_token`.
    """
    value = signatures.header(delivery, "Authorization", missing="missing_token")
    kind, _, token = value.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise ports.RefusedError("missing_token", "the header Authorization holds no bearer token")
    return token


def verify(
    token: str, keys: Mapping[str, rsa.RSAPublicKey], now: clocks.Timestamp, *, skew_s: float
) -> dict[str, Any]:
    """The claims of a token that one of the keys signed and that is valid now.

    Raises:
        RefusedError: `bad_token`, `bad_algorithm`, `unknown_key`, `bad_signature`, `expired`,
            `future_timestamp`.
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _TOKEN_CHARS_MAX:
        raise _bad("it is not three parts with dots between")
    header = _object(parts[0])
    if header.get("alg") != "RS256":
        raise ports.RefusedError("bad_algorithm", "only tokens signed with RS256 are taken")
    if "crit" in header:
        raise _bad("it asks for an extension")
    name = header.get("kid")
    key = keys.get(name) if type(name) is str else None
    if key is None:
        raise ports.RefusedError("unknown_key", "the token names no key of the set")
    message = f"{parts[0]}.{parts[1]}".encode()
    if not public_keys.rsa_fits(key, _bytes(parts[2]), message, "sha256"):
        raise signatures.bad("the token is not signed by the key it names")
    claims = _object(parts[1])
    _check_times(claims, now, skew_s)
    return claims


def key_set(document: bytes | Mapping[str, Any]) -> dict[str, rsa.RSAPublicKey]:
    """The RSA keys of a JSON Web Key Set by their ids; what is no such key is left out.

    Raises:
        RefusedError: `lookup_unavailable`: it is no key set.
    """
    try:
        value = document if isinstance(document, Mapping) else jsonio.parse_object(document)
    except errors.InvalidInputError:
        value = {}
    listed = value.get("keys")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise ports.RefusedError("lookup_unavailable", "what was found is no set of keys")
    found = {}
    for each in listed:
        key = _key(each) if isinstance(each, Mapping) else None
        if key is not None:
            found[str(each["kid"])] = key
    return found


def _key(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey | None:
    fits = jwk.get("kty") == "RSA" and jwk.get("alg", "RS256") == "RS256"
    if not fits or jwk.get("use", "sig") != "sig" or type(jwk.get("kid")) is not str:
        return None
    try:
        return public_keys.rsa_key(_bytes(jwk.get("n")), _bytes(jwk.get("e")))
    except ports.RefusedError:
        return None


def _check_times(claims: Mapping[str, Any], now: clocks.Timestamp, skew_s: float) -> None:
    now_s = now / clocks.SECOND_US
    expires, issued = _seconds(claims, "exp"), _seconds(claims, "iat")
    if now_s > expires + skew_s:
        raise ports.RefusedError("expired", "the token has expired")
    starts = _seconds(claims, "nbf") if "nbf" in claims else issued
    if max(issued, starts) > now_s + skew_s:
        raise ports.RefusedError("future_timestamp", "the token is not valid yet")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _bad(f"its claim {name} is no time")
    return float(value)


def _object(part: str) -> dict[str, Any]:
    try:
        return jsonio.parse_object(_bytes(part))
    except errors.InvalidInputError:
        raise _bad("a part of it is not a JSON object") from None


def _bytes(text: Any) -> bytes:
    """The bytes of base64url without padding, in its one spelling."""
    if type(text) is not str or _PART.fullmatch(text) is None:
        raise _bad("a part of it is not base64url")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise _bad("a part of it is not base64url") from None
    if signatures.encoded(raw, "base64url") != text.encode():
        raise _bad("a part of it is not base64url in its one spelling")
    return raw


def _bad(detail: str) -> ports.RefusedError:
    return ports.RefusedError("bad_token", f"the token cannot be read: {detail}")
