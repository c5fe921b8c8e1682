"""What the log says of users, service tokens and sessions.

A payload holds the whole state after the event, so that the last one of each aggregate is all that
a reader needs. Secrets are never in it: of a token or a refresh secret only the SHA-256, which is
of use to nobody as both are random, and of a password nothing at all.
"""

from typing import Literal, TypeAlias

import msgspec

from helios.access import model
from helios.eventlog import envelope
from helios.kernel import clock as clocks

TENANT = "helios"
"""Whose data the events of access are: the installation's own. Nobody else may append for it."""

SOURCE = "helios"
USER = "user"
SERVICE_TOKEN = "service_token"  # noqa: S105 - the name of an aggregate
SESSION = "session"
SIGN_IN = "sign_in"

USER_INVITED = "UserInvited"
USER_CHANGED = "UserChanged"
USER_REMOVED = "UserRemoved"
TOKEN_ISSUED = "TokenIssued"  # noqa: S105 - the type of an event
TOKEN_REVOKED = "TokenRevoked"  # noqa: S105 - likewise
SESSION_OPENED = "SessionOpened"
SESSION_REFRESHED = "SessionRefreshed"
SESSION_CLOSED = "SessionClosed"
SIGN_IN_FAILED = "SignInFailed"
LINK_ISSUED = "LinkIssued"

STATES = (
    USER_INVITED,
    USER_CHANGED,
    USER_REMOVED,
    TOKEN_ISSUED,
    TOKEN_REVOKED,
    SESSION_OPENED,
    SESSION_REFRESHED,
    SESSION_CLOSED,
)
STATE_CHANGES = envelope.Filter(tenant=TENANT, sources=(SOURCE,), types=STATES)
"""What decides who may do what."""

CHANGES = envelope.Filter(tenant=TENANT, sources=(SOURCE,), types=(*STATES, SIGN_IN_FAILED))
"""The same, and what the limits of signing in count."""

ADMINISTRATOR = "admin"
"""Name of the user that the one-time link signs in; only who administers the installation may give
it to anybody else."""

OURS = frozenset(
    (
        "access",
        "anonymous",
        "builder",
        "build",
        "control-bus",
        "fanout",
        "helios",
        "ingest",
        "local",
        "notices",
        "reconciler",
        "unknown",
    )
)
"""Names that stand behind what Helios itself does, and nobody else may have: by its actor a plan is
told to be Helios' own, and an order to be nobody's."""

NAME_CHARS_MAX = 128
AGENT_CHARS_MAX = 200
ADDRESS_CHARS_MAX = 64

Origin: TypeAlias = Literal["local", "oidc"]
Closing: TypeAlias = Literal[
    "signed_out",
    "closed",
    "reused",
    "password_changed",
    "user_removed",
    "user_disabled",
    "too_many",
]
Failure: TypeAlias = Literal["refused", "disabled", "link"]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `UserInvited` and `UserChanged`.

    Attributes:
        id: made from how they sign in, so that one person is invited once however often he comes.
        name: what they sign in with, and how events name them; never changes.
        display_name: how they are shown to people.
        grants: what they may do.
        groups: names of further roles in which they may answer approvals.
        origin: `local`: by a password kept here; `oidc`: by a provider of identities.
        issuer, subject: who they are to that provider; None: local.
        disabled: they may not sign in, and no session of theirs counts.
        created_at: when they were invited, in microseconds.
    """

    id: str
    name: str
    display_name: str = ""
    grants: tuple[model.Grant, ...] = ()
    groups: tuple[str, ...] = ()
    origin: Origin = "local"
    issuer: str | None = None
    subject: str | None = None
    disabled: bool = False
    created_at: clocks.Timestamp


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `UserRemoved` and `TokenRevoked`."""

    id: str
    name: str


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `TokenIssued`.

    Attributes:
        id: the part of the token that is no secret.
        name: how events name who uses it.
        digest: SHA-256 of the secret part, in hex.
        grants: what it may do, as far as its owner may do it too.
        expires_at: when it ends; None: when it is revoked.
        issued_at: in microseconds.
        issued_by: the actor.
        owner: id of the user who issued it, or whose token did; None: nobody, as it was issued at
            the machine of a server.
    """

    id: str
    name: str
    digest: str
    grants: tuple[model.Grant, ...]
    expires_at: clocks.Timestamp | None = None
    issued_at: clocks.Timestamp
    issued_by: str
    owner: str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SessionOpened` and `SessionRefreshed`.

    Attributes:
        id: also the family of its refresh secrets: they end together.
        user_id: whose it is.
        digest: SHA-256 of the refresh secret that counts now, in hex.
        generation: which one that is, from 1.
        opened_at, refreshed_at: in microseconds.
        expires_at: when it ends unless it is refreshed.
        agent, address: of the browser or program, as it said itself; cut.
    """

    id: str
    user_id: str
    digest: str
    generation: int = 1
    opened_at: clocks.Timestamp
    refreshed_at: clocks.Timestamp
    expires_at: clocks.Timestamp
    agent: str = ""
    address: str = ""


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SessionClosed`."""

    id: str
    user_id: str
    reason: Closing


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SignInFailed`.

    Attributes:
        who: what tries are counted under: the id of a user, or a keyed digest of a name that
            nobody has.
        name: of a user that exists; otherwise empty, because people type passwords there too.
        address: where it came from; cut.
        reason: what was wrong; whoever tried was not told.
    """

    who: str
    name: str = ""
    address: str = ""
    reason: Failure = "refused"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `LinkIssued`: a link that signs in as administrator, once."""

    expires_at: clocks.Timestamp


def aggregate(kind: str, name: str) -> envelope.AggregateKey:
    """Whose events share a sequence."""
    return (TENANT, kind, name)
