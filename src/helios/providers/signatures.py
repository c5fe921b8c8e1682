"""What all schemes share: secrets compared in constant time, ages, headers that come once.

A signature is compared as the text that the sender must have written, not as what it decodes to:
so no second spelling of the same bytes passes (other padding, upper-case digits, stray bits), and
a truncated or empty one never does. Every active secret is tried, whichever fits.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from helios.kernel import clock as clocks
from helios.kernel import secret as secrets
from helios.providers import ports

Hash: TypeAlias = Literal["sha256", "sha384", "sha512"]
Encoding: TypeAlias = Literal["hex", "base64", "base64url"]

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_MILLISECONDS = re.compile(r"[0-9]{1,15}", re.ASCII)


def octets(text: str) -> bytes:
    """The bytes that a header's value had on the wire."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def once(delivery: ports.Delivery, names: Sequence[str]) -> None:
    """See to it that none of these headers comes twice: two readers would pick different ones.

    Raises:
        RefusedError: one does.
    """
    for name in names:
        delivery.header(name)


def header(delivery: ports.Delivery, name: str, *, missing: str = "missing_signature") -> str:
    """The one value of a header that must be there.

    Raises:
        RefusedError: `duplicate_header`, or `missing` when it is not there or empty.
    """
    value = delivery.header(name)
    if not value:
        raise ports.RefusedError(missing, f"there is no header {name}")
    return value


def keys(source: ports.Source) -> tuple[secrets.Secret, ...]:
    """The active secrets.

    Raises:
        RefusedError: `no_secret`: there is none, or an empty one, with which all would fit.
    """
    if not source.secrets or not all(s.reveal() for s in source.secrets):
        raise ports.RefusedError(
            "no_secret", f"the source {source.name} has no secret to verify by"
        )
    return source.secrets


def digest(
    key: bytes, message: bytes, *, algorithm: Hash = "sha256", encoding: Encoding = "hex"
) -> bytes:
    """An HMAC as text."""
    raw = hmac.digest(key, message, getattr(hashlib, algorithm))
    return encoded(raw, encoding)


def encoded(raw: bytes, encoding: Encoding) -> bytes:
    """Bytes as text; base64url without padding, as its users write it."""
    if encoding == "hex":
        return raw.hex().encode()
    if encoding == "base64":
        return base64.b64encode(raw)
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def fitting(
    active: Sequence[secrets.Secret],
    given: Sequence[str],
    made: Callable[[bytes], bytes],
) -> secrets.Secret:
    """The secret by which one of the given signatures was made.

    Args:
        active: secrets to try; all are tried, so that the time tells nothing.
        given: signatures as they were sent.
        made: the signature that a secret makes.

    Raises:
        RefusedError: `bad_signature`.
    """
    sent = [octets(each) for each in given]
    found: secrets.Secret | None = None
    for each in active:
        expected = made(each.reveal())
        for one in sent:
            if hmac.compare_digest(expected, one):
                found = each
    if found is None:
        raise bad()
    return found


def token(active: Sequence[secrets.Secret], given: str, *, prefix: str = "") -> secrets.Secret:
    """The secret that a static token is.

    Raises:
        RefusedError: `bad_token`.
    """
    head = prefix.encode()
    # Digests have one length, so the comparison does not tell how long the secret is.
    sent = hashlib.sha256(octets(given)).digest()
    found: secrets.Secret | None = None
    for each in active:
        if hmac.compare_digest(hashlib.sha256(head + each.reveal()).digest(), sent):
            found = each
    if found is None:
        raise ports.RefusedError("bad_token", "the token is none of the source's secrets")
    return found


def bad(
    detail: str = "the signature is not that of this body by any active secret",
) -> ports.RefusedError:
    """The error for a signature that does not fit."""
    return ports.RefusedError("bad_signature", detail)


def seconds(text: str) -> clocks.Timestamp:
    """A Unix time in seconds.

    Raises:
        RefusedError: `bad_timestamp`.
    """
    return _time(text, _SECONDS, clocks.SECOND_US)


def milliseconds(text: str) -> clocks.Timestamp:
    """A Unix time in milliseconds.

    Raises:
        RefusedError: `bad_timestamp`.
    """
    return _time(text, _MILLISECONDS, 1_000)


def fresh(
    signed_at: clocks.Timestamp,
    now: clocks.Timestamp,
    *,
    past_s: float,
    future_s: float | None,
) -> None:
    """See to it that a delivery was signed lately.

    Args:
        signed_at: when the sender says it signed.
        now: the time.
        past_s: how long ago that may be.
        future_s: how far ahead; None: any.

    Raises:
        RefusedError: `stale_timestamp` or `future_timestamp`.
    """
    age_s = (now - signed_at) / clocks.SECOND_US
    if age_s > past_s:
        msg = f"signed {age_s:.0f} s ago, at most {past_s:.0f} s are taken"
        raise ports.RefusedError("stale_timestamp", msg)
    if future_s is not None and -age_s > future_s:
        msg = f"signed {-age_s:.0f} s in the future, at most {future_s:.0f} s are taken"
        raise ports.RefusedError("future_timestamp", msg)


def _time(text: str, form: re.Pattern[str], unit_us: int) -> clocks.Timestamp:
    if form.fullmatch(text) is None:
        raise ports.RefusedError("bad_timestamp", "the timestamp is not a whole number")
    return clocks.Timestamp(int(text) * unit_us)
