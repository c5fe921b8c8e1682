"""What stands for a secret where the secret itself must not be: keyed hashes."""

import hashlib
import hmac
from collections.abc import Mapping

from helios.kernel import errors, secret

AS_DECLARED = "as declared"
_MARK_HEX = 8


def mark(key: bytes, value: secret.Secret) -> str:
    """32 hex digits that say whether two secrets are one, to whoever has the key."""
    return hmac.new(key, value.reveal(), hashlib.sha256).hexdigest()[:32]


def other(key: bytes, value: secret.Secret) -> str:
    """How a value that is not the declared one is shown."""
    return f"other:{mark(key, value)[:_MARK_HEX]}"


def credentials(key: bytes, given: Mapping[str, secret.Secret]) -> str:
    """The same for credentials with their names."""
    return ",".join(f"{name}={mark(key, value)}" for name, value in sorted(given.items()))


def header_value(vault: secret.Vault, declared: str) -> secret.Secret:
    """The value of a header as it is declared: a literal, a reference, or a word and a reference.

    `secret:door` is the secret, `Bearer secret:door` the word, a space and the secret.

    Raises:
        StorageError: the secret cannot be read now.
    """
    word, space, last = declared.rpartition(" ")
    try:
        reference = secret.check_reference(last)
    except errors.InvalidInputError:
        return secret.Secret(declared)
    return secret.Secret(f"{word}{space}".encode() + vault.find(reference).reveal())
