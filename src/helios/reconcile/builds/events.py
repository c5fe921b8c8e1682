"""What is said in the log about sites and their builds; the source is `helios`."""

from typing import Any, Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import ids, jsonio
from helios.reconcile.builds import batcher

SOURCE = "helios"
AGGREGATE_TYPE = "helios.site"
ACTOR = "service:builder"

DECLARED = "SiteDeclared"
REMOVED = "SiteRemoved"
REQUESTED = "BuildRequested"
CANCEL_REQUESTED = "BuildCancelRequested"
STARTED = "BuildStarted"
SUCCEEDED = "BuildSucceeded"
FAILED = "BuildFailed"
TYPES = (DECLARED, REMOVED, REQUESTED, CANCEL_REQUESTED, STARTED, SUCCEEDED, FAILED)

Cause: TypeAlias = Literal[
    "exit_code",
    "timeout",
    "cancelled",
    "interrupted",
    "publish",
    "secret",
    "refused",
    "remote",
    "internal",
]
"""Why a build failed. `interrupted`: this process ended under it; that is no attempt."""


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SiteDeclared`."""

    name: str
    yaml: str
    hash: str


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SiteRemoved` and `BuildRequested`."""

    name: str
    note: str = ""


class CancelRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `BuildCancelRequested`."""

    build_id: str


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `BuildStarted`.

    Attributes:
        changes: contents that changed since the last build that succeeded.
        upto_position: every change up to here is in it.
        attempt: 1 for the first try of the same content.
        waited_s: from the first of these changes to now.
    """

    build_id: str
    site: str
    reason: batcher.Reason
    executor: str
    changes: int
    upto_position: int
    attempt: int
    waited_s: float


class Succeeded(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `BuildSucceeded`.

    Attributes:
        published: where the result is (`folder` or `s3`, files, bytes); None: nowhere from here.
        detail: what the executor says, such as the address of a remote log.
    """

    build_id: str
    site: str
    upto_position: int
    changes: int
    seconds: float
    published: dict[str, Any] | None = None
    detail: str = ""


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `BuildFailed`; `detail` ends with the last lines of the log, secrets masked."""

    build_id: str
    site: str
    upto_position: int
    seconds: float
    cause: Cause
    exit_code: int | None = None
    detail: str = ""


Payload: TypeAlias = Declared | Named | CancelRequested | Started | Succeeded | Failed


def make(
    event_type: str,
    tenant: str,
    site: str,
    payload: Payload,
    *,
    now: clocks.Timestamp,
    id_source: ids.Ids,
    actor: str = ACTOR,
    causation_id: str | None = None,
) -> envelope.NewEvent:
    """An event about a site."""
    return envelope.NewEvent(
        id=id_source.new(),
        source=SOURCE,
        type=event_type,
        occurred_at=now,
        tenant=tenant,
        aggregate_type=AGGREGATE_TYPE,
        aggregate_id=site,
        actor=actor,
        causation_id=causation_id,
        payload=jsonio.encode(payload),
    )
