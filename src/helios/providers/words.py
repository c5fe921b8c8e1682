"""What an adapter says of itself and of its sender."""

import enum

import msgspec

OUR_TROUBLE = frozenset(("no_secret", "bad_secret", "not_configured", "lookup_unavailable"))
"""Reasons of a `RefusedError` for which the sender cannot be blamed: it is answered with
`AnswerPolicy.unavailable`, so that it comes again when the source is set right."""


class Capability(enum.StrEnum):
    """What an adapter can do; each is declared honestly or left out."""

    VERIFY = "verify"
    PARSE = "parse"
    NORMALISE = "normalise"
    LIST_CHANGES = "list_changes"
    LIST_IDS = "list_ids"
    WEBHOOKS = "webhooks"
    HEALTH = "health"


class Trust(enum.StrEnum):
    """How far an id of the provider can be trusted to name one event.

    SIGNED_ID: it stands in signed or authenticated content: the id decides alone.
    SIGNED_ID_WEAK_DIGEST: likewise, but the signature does not bind the body (PayPal's CRC-32):
        the same id with another body is quarantined.
    HEADER_ID: it stands in a header that nothing signs: the id decides, and the digest of the
        body is watched too (other id, same digest: a suspected replay and no event; same id,
        other digest: quarantined).
    WEAK_ID: none, or one that collides: id and digest together.
    """

    SIGNED_ID = "signed_id"
    SIGNED_ID_WEAK_DIGEST = "signed_id_weak_digest"
    HEADER_ID = "header_id"
    WEAK_ID = "weak_id"


class AnswerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which status codes a sender must be given, since a wrong one makes it lose events.

    Attributes:
        stored: taken, seen before, or set aside as a dead letter.
        unauthenticated: the signature is wrong.
        unavailable: our own trouble; with `Retry-After`.
        limited: over the rate limit; with `Retry-After`. 0: take it all the same.
        too_large: the body is over the limit.
        gone: the source was removed.
        body: what to answer with when stored; None: a small JSON receipt.
    """

    stored: int = 202
    unauthenticated: int = 401
    unavailable: int = 503
    limited: int = 429
    too_large: int = 413
    gone: int = 410
    body: bytes | None = None
