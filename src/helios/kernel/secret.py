"""Secrets, and where they are kept.

What is declared names a secret (`env:SHOPIFY_SECRET`, `file:/run/secrets/shopify`,
`secret:shopify` for one kept in the data folder) and never holds it, because declarations are
events and events are for ever. The value itself lives only in a `Secret`, which prints as stars.
"""

import hashlib
from typing import Protocol


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
