"""Secrets, and where they are kept.

What is declared names a secret (`env:SHOPIFY_SECRET`, `file:/run/secrets/shopify`,
`secret:shopify` for one kept in the data folder) and never holds it, because declarations are
events and events are for ever. The value itself lives only in a `Secret`, which prints as stars.
"""

import hashlib
import re
from typing import Protocol

from helios.kernel import errors

_REFERENCE = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:/[^\0]{1,1000}|secret:[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_reference(text: str) -> str:
    """A reference, as it was given.

    Raises:
        InvalidInputError: it is none. The message does not hold the text, which may be the very
            secret that should have been referred to.
    """
    if not _REFERENCE.fullmatch(text):
        raise errors.InvalidInputError(
            "expected a reference to a secret, found something else (not shown here, in case it is "
            "the secret itself): write env:NAME, file:/PATH or secret:NAME; "
            "`helios secrets set NAME` keeps a value under a name"
        )
    return text


def check_name(text: str) -> str:
    """The name of a secret that is kept in the data folder.

    Raises:
        InvalidInputError: it is none.
    """
    if not _NAME.fullmatch(text):
        raise errors.InvalidInputError(
            "the name of a secret is letters, digits, dots, dashes and underscores, at most 64, "
            "beginning with a letter or digit"
        )
    return text


class Secret:
    """A secret value that does not show itself in logs, errors or tracebacks."""

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        self._value = value.encode() if isinstance(value, str) else value

    def reveal(self) -> bytes:
        """The value, to be used and let go of at once."""
        return self._value

    @property
    def text(self) -> str:
        """The value as text.

        Raises:
            ValueError: it is not UTF-8; the message does not hold it.
        """
        try:
            return self._value.decode()
        except UnicodeDecodeError:
            raise ValueError("the secret is not text") from None

    @property
    def fingerprint(self) -> str:
        """Eight hex digits that tell two secrets apart and give neither away."""
        return hashlib.sha256(b"helios-secret\0" + self._value).hexdigest()[:8]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


class Vault(Protocol):
    """Finds the value that a reference names."""

    def find(self, reference: str) -> Secret:
        """The secret behind `env:NAME`, `file:PATH` or `secret:NAME`.

        Raises:
            InvalidInputError: not a reference.
            StorageError: it is not there or cannot be read now; says which, and what to do.
        """
        ...
