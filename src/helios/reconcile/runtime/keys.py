"""What is reconciled, and how urgent it is."""

import enum
import hashlib
from typing import NamedTuple

SHARDS = 64
"""Virtual shards of a family; fixed, or processes would not agree on who has what."""


class Key(NamedTuple):
    """Names one thing to look at again.

    Attributes:
        tenant: whose it is (`client_id`); workers are shared fairly between tenants.
        family: which reconciler looks at it.
        name: of the thing, unique in the tenant and the family.
    """

    tenant: str
    family: str
    name: str


class Priority(enum.IntEnum):
    """Why a key is looked at again; the higher goes first.

    What waits grows older: one step every 30 s, up to `EVENT`, so that nothing that is not a
    person's command is overtaken for ever.
    """

    RESYNC = -100
    RETRY = 20
    DEPENDENCY = 40
    EVENT = 50
    APPROVAL = 80
    OPERATOR = 100


def digest(*parts: str) -> int:
    """64 bits that depend on the parts alone, in every process and release."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def share(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    return (digest(*parts) >> 11) / (1 << 53)


def shard(key: Key) -> int:
    """Which virtual shard a key is in, from 0."""
    return digest(key.tenant, key.name) % SHARDS
