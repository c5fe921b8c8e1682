"""Signatures by public keys: Ed25519, and RSA by certificate or by key set.

The algorithm is always ours to say, never the sender's, and what came in only decides between yes
and no.
"""

import base64
import binascii
import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.x509 import oid

from helios.kernel import clock as clocks
from helios.providers import ports

RsaHash: TypeAlias = Literal["sha1", "sha256"]

_RSA_BITS_MIN = 2048
_HASHES: dict[RsaHash, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
}


def decode(text: str | bytes, *, size: int | None = None) -> bytes | None:
    """The bytes of canonical base64 with padding; None for anything else."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    if base64.b64encode(raw) != data or (size is not None and len(raw) != size):
        return None
    return raw


def ed25519_fits(key: bytes, given: Sequence[str], message: bytes) -> bool:
    """Whether one of the signatures was made by the owner of a public key.

    Args:
        key: base64 of the 32 bytes.
        given: base64 of 64 bytes each.
        message: what was signed.

    Raises:
        RefusedError: `bad_secret`: no such key.
    """
    raw = decode(key + b"=" * (-len(key) % 4), size=32)
    if raw is None:
        raise ports.RefusedError("bad_secret", "a public key of the source is not 32 bytes")
    public = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    for text in given:
        signature = decode(text, size=64)
        if signature is None:
            continue
        try:
            public.verify(signature, message)
        except exceptions.InvalidSignature:
            continue
        return True
    return False


def certificate(
    pem: bytes, now: clocks.Timestamp, *, subject: str | None = None
) -> rsa.RSAPublicKey:
    """The key of a certificate that is valid now.

    Args:
        pem: the certificate; what follows it is not looked at.
        now: the time.
        subject: what its common name has to end with.

    Raises:
        RefusedError: `bad_certificate`.
    """
    found = _certificate(pem)
    if not found.first <= now <= found.last:
        raise ports.RefusedError("bad_certificate", "the certificate is not valid at this time")
    if subject is not None and not found.name.lower().endswith(subject):
        raise ports.RefusedError("bad_certificate", f"the certificate is not one of *{subject}")
    return found.key


def rsa_fits(key: rsa.RSAPublicKey, signature: bytes, message: bytes, algorithm: RsaHash) -> bool:
    """Whether the owner of a key signed a message, by PKCS #1 v1.5."""
    try:
        key.verify(signature, message, padding.PKCS1v15(), _HASHES[algorithm]())
    except exceptions.InvalidSignature:
        return False
    return True


def rsa_key(modulus: bytes, exponent: bytes) -> rsa.RSAPublicKey | None:
    """The key of a modulus and an exponent; None when it is none, or too weak."""
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus))
    try:
        key = numbers.public_key()
    except ValueError:
        return None
    return key if key.key_size >= _RSA_BITS_MIN else None


class _Certificate(NamedTuple):
    key: rsa.RSAPublicKey
    name: str
    first: clocks.Timestamp
    last: clocks.Timestamp


# Parsing takes four times as long as verifying, and a sender changes its certificate once a year.
@functools.lru_cache(maxsize=64)
def _certificate(pem: bytes) -> _Certificate:
    try:
        found = x509.load_pem_x509_certificate(pem)
        key = found.public_key()
        names = found.subject.get_attributes_for_oid(oid.NameOID.COMMON_NAME)
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise ports.RefusedError("bad_certificate", "what lies there is no certificate") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _RSA_BITS_MIN:
        raise ports.RefusedError("bad_certificate", "its key is not RSA of 2048 bits or more")
    return _Certificate(
        key=key,
        name=str(names[0].value) if names else "",
        first=clocks.from_datetime(found.not_valid_before_utc),
        last=clocks.from_datetime(found.not_valid_after_utc),
    )
