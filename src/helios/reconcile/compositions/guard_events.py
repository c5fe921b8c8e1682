"""What is said in the log about the guards over healing: breakers, fuses, switches, windows.

A guard's scope is its aggregate id: `stack:<id>`, `component:<stack>/<address>`,
`provider:<name>@<host>`, `action:<kind>`, `fuse`, `kill_switch`, `healing`, `windows`.
"""

from typing import Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.reconcile.compositions import events, policy

AGGREGATE_TYPE = "helios.guard"
SYSTEM_TENANT = "helios"
"""Tenant of guards that hold for all clients."""

BREAKER_OPENED = "BreakerOpened"
BREAKER_HALF_OPENED = "BreakerHalfOpened"
BREAKER_CLOSED = "BreakerClosed"
BREAKER_FORCED = "BreakerForced"
FUSE_BLOWN = "FuseBlown"
FUSE_RESET = "FuseReset"
KILL_SWITCH_SET = "KillSwitchSet"
HEALING_SUSPENDED = "HealingSuspended"
HEALING_RESUMED = "HealingResumed"
WINDOW_DECLARED = "WindowDeclared"
WINDOW_REMOVED = "WindowRemoved"
TYPES = (
    BREAKER_OPENED,
    BREAKER_HALF_OPENED,
    BREAKER_CLOSED,
    BREAKER_FORCED,
    FUSE_BLOWN,
    FUSE_RESET,
    KILL_SWITCH_SET,
    HEALING_SUSPENDED,
    HEALING_RESUMED,
    WINDOW_DECLARED,
    WINDOW_REMOVED,
)


class BreakerMoved(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `BreakerOpened`, `BreakerHalfOpened`, `BreakerClosed` and `BreakerForced`.

    Attributes:
        scope: `stack:<id>`, `component:<stack>/<address>`, `provider:<name>@<host>`,
            `action:<kind>`.
        state: the state it has now.
        reason: `failures`, `ratio`, `contested`, `operator`, `cooled`, `recovered`, `recreated`.
        half_open_at: when it lets one through; `cooldown_s`: the pause that led to it.
        forced_until: of a forced state.
        uid: of the stack's incarnation, where the scope is of one stack.
        probe: id of the action that a half-open breaker lets through.
    """

    scope: str
    state: Literal["closed", "open", "half_open", "forced_open", "forced_closed"]
    reason: str
    detail: str = ""
    half_open_at: clocks.Timestamp | None = None
    cooldown_s: float = 0.0
    forced_until: clocks.Timestamp | None = None
    uid: str | None = None
    probe: str | None = None


class FuseMoved(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `FuseBlown` and `FuseReset`.

    Attributes:
        fuse_id: of this incident.
        by: what they have in common, such as `provider:strapi` or `cause:webhook_broken`.
        stacks: which stacks drifted, at most 1,000 named; `count`: how many.
        share: of the client's stacks, 0 to 1.
    """

    fuse_id: str
    by: str
    stacks: tuple[str, ...] = ()
    count: int = 0
    share: float = 0.0
    reason: str = ""


class KillSwitch(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `KillSwitchSet`."""

    on: bool
    reason: str


class WindowDeclared(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `WindowDeclared`."""

    window: policy.Window


class WindowRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `WindowRemoved`."""

    window_id: str


GuardPayload: TypeAlias = (
    BreakerMoved
    | FuseMoved
    | KillSwitch
    | events.Suspended
    | events.Noted
    | WindowDeclared
    | WindowRemoved
)


def of_guard(
    event_type: str,
    client_id: str,
    scope: str,
    payload: GuardPayload,
    *,
    now: clocks.Timestamp,
    id_source: ids.Ids,
    because: events.Because = events.US,
) -> envelope.NewEvent:
    """An event about a guard; `scope` is its aggregate id."""
    about = (client_id, AGGREGATE_TYPE, scope)
    return events.made(
        event_type, about, payload, now=now, event_id=id_source.new(), because=because
    )
