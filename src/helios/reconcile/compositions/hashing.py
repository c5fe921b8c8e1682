"""Canonical JSON and what is made of it: hashes of declarations, fingerprints of drift.

Canonical: UTF-8, keys sorted, no space, a whole number never written as a fraction. The same value
gives the same bytes in every process, whatever the order in which its keys were written.
"""

import hashlib
from typing import Any

import msgspec

_encode = msgspec.json.Encoder(order="sorted").encode

FINGERPRINT_BYTES = 16


def canonical(value: Any) -> bytes:
    """The canonical JSON of a value whose numbers are in normal form (`normalising.normal`)."""
    return _encode(value)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    return hashlib.sha256(_encode(value)).hexdigest()


def fingerprint(uid: str, drift_type: str, component: str, path: str, expected: Any) -> str:
    """The name of a difference of one incarnation of a stack, 32 hex digits.

    What was observed is no part of it: a field that wanders from one wrong value to another is one
    drift.
    """
    named = _encode([uid, drift_type, component, path, expected])
    return hashlib.blake2b(named, digest_size=FINGERPRINT_BYTES).hexdigest()
