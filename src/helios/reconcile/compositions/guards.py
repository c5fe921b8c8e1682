"""The guards over healing: the fold of what the log says of breakers, fuses, switches, windows.

`evolve` is pure and total, as that of a stack. Guards are kept per client; those of
`guard_events.SYSTEM_TENANT` hold for all, and `joined` puts both together for a decision. Beside
the guards' own events the fold reads those of heals: budgets and breakers count what we wrote, and
never what was observed.
"""

from collections.abc import Callable, Mapping
from typing import Literal, Optional, TypeAlias, TypeVar

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding
from helios.reconcile.compositions import events, guard_events, model, policy, stack

TYPES = (*guard_events.TYPES, *events.HEAL_TYPES, events.STACK_REMOVED)
"""What the fold of a client's guards reads."""

HOUR_US = 3600 * clocks.SECOND_US
HEALS_MAX = 2_000
"""Heals of the last hour that are remembered. Above: the oldest go; the budgets stop healing long
before."""
TARGETS_MAX = 50
STREAK_US = 24 * HOUR_US
"""How long failures in a row are remembered while nothing else is tried."""
FUSES_MAX = 100

BreakerState: TypeAlias = Literal["closed", "open", "half_open", "forced_open", "forced_closed"]

_replace = msgspec.structs.replace
_T = TypeVar("_T")


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker that is not simply closed; see `guard_events.BreakerMoved`.

    Attributes:
        since: when it last moved; `sequence`: of that event in its aggregate.
        probe: id of the action that is let through.
    """

    state: BreakerState
    reason: str
    detail: str = ""
    since: clocks.Timestamp
    half_open_at: clocks.Timestamp | None = None
    cooldown_s: float = 0.0
    forced_until: clocks.Timestamp | None = None
    uid: str | None = None
    probe: str | None = None
    sequence: int = 0

    def at(self, now: clocks.Timestamp) -> BreakerState:
        """Its state, as far as time alone has changed it."""
        if self.forced_until is not None and self.forced_until <= now:
            return "closed" if self.state.startswith("forced") else self.state
        if self.state == "open" and self.half_open_at is not None and self.half_open_at <= now:
            return "half_open"
        return self.state


class Fuse(msgspec.Struct, frozen=True, kw_only=True):
    """Healing that was stopped for a set of stacks that drifted at once.

    Attributes:
        reset_at: somebody agreed that it goes on; None: it is blown.
    """

    by: str
    stacks: tuple[str, ...] = ()
    count: int = 0
    share: float = 0.0
    blown_at: clocks.Timestamp
    reset_at: clocks.Timestamp | None = None


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """A kill switch that is on."""

    reason: str
    actor: str
    since: clocks.Timestamp


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """A heal of the last hour, as far as budgets and breakers count it.

    Attributes:
        at: when it began; `ended_at`: None while it is under way.
    """

    action_id: str
    at: clocks.Timestamp
    tenant: str
    stack: str
    component: str
    provider: str
    kind: model.ActionKind
    risk: model.Risk
    outcome: str
    ended_at: clocks.Timestamp | None = None

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes of the breakers that it goes through, the narrowest first."""
        return scopes_of(self.stack, self.component, self.provider, self.kind)


class Streak(msgspec.Struct, frozen=True, kw_only=True):
    """Heals in a row that did not help.

    Attributes:
        targets: the different components, as `<stack>/<address>`, at most `TARGETS_MAX`.
    """

    count: int
    targets: tuple[str, ...]
    last: clocks.Timestamp


class Guards(msgspec.Struct, frozen=True, kw_only=True):
    """The guards of one client, or those that hold for all.

    Attributes:
        breakers: by scope, those that are not closed.
        fuses: by id; one that was reset is remembered until it is the oldest of `FUSES_MAX`.
        heals: of the last hour, oldest first.
        streaks: by scope.
        shared: the guards that hold for all clients, once `joined`.
    """

    breakers: Mapping[str, Breaker] = {}
    fuses: Mapping[str, Fuse] = {}
    kill_switch: Switch | None = None
    suspended: stack.Suspension | None = None
    windows: Mapping[str, policy.Window] = {}
    heals: tuple[Recent, ...] = ()
    streaks: Mapping[str, Streak] = {}
    shared: Optional["Guards"] = None

    def both(self) -> tuple["Guards", ...]:
        """These, then those that hold for all."""
        return (self,) if self.shared is None else (self, self.shared)


def joined(own: Guards, shared: Guards) -> Guards:
    """A client's guards together with those that hold for all."""
    return _replace(own, shared=shared)


def scopes_of(
    stack_id: str, component: str, provider: str, kind: model.ActionKind
) -> tuple[str, ...]:
    """Scopes of the breakers that an action goes through, the narrowest first."""
    at = (f"provider:{provider}",) if provider else ()
    return (f"component:{stack_id}/{component}", *at, f"action:{kind}", f"stack:{stack_id}")


def evolve(before: Guards, event: envelope.Event) -> Guards:
    """The guards of a client after an event of `TYPES`.

    Raises:
        InvalidInputError: the payload is not what its type says.
    """
    return _APPLY[event.type](before, event)


def evolve_shared(before: Guards, event: envelope.Event) -> Guards:
    """The guards that hold for all, after an event of any client.

    Of a client's events only its heals count, towards what all clients may do together.
    """
    if event.tenant == guard_events.SYSTEM_TENANT:
        return evolve(before, event)
    if event.type not in events.HEAL_TYPES:
        return before
    heal = folding.payload(event, events.HealMoved).heal
    recent = recent_of(heal, event.tenant, event.aggregate_id)
    return _replace(before, heals=_counted(before.heals, recent, event.occurred_at))


def recent_of(heal: model.Heal, tenant: str, stack_id: str) -> Recent:
    """What budgets and breakers count of a heal."""
    action = heal.action
    return Recent(
        action_id=action.id,
        at=heal.started_at,
        tenant=tenant,
        stack=stack_id,
        component=action.target,
        provider=action.provider,
        kind=action.kind,
        risk=action.risk,
        outcome=heal.status,
        ended_at=heal.ended_at,
    )


def with_heal(
    before: Guards, heal: model.Heal, tenant: str, stack_id: str, now: clocks.Timestamp
) -> Guards:
    """The guards after a heal has moved; the same heal told again changes nothing."""
    recent = recent_of(heal, tenant, stack_id)
    if recent in before.heals:
        return before
    after = _replace(before, heals=_counted(before.heals, recent, now))
    if heal.is_open:
        return after
    if helped(heal) is not None:
        after = _replace(after, streaks=_streaks(before.streaks, recent, heal, now))
    breakers = {
        scope: _replace(each, probe=None) if each.probe == heal.action.id else each
        for scope, each in after.breakers.items()
    }
    return _replace(after, breakers=breakers)


def helped(heal: model.Heal) -> bool | None:
    """Whether a heal counts for or against its breakers; None: it wrote nothing, or is open."""
    if heal.status == "succeeded":
        return True
    if heal.status == "unverified":
        return False
    if heal.status == "failed" and heal.error_code != "precondition_failed":
        return False
    return None


def _counted(
    heals: tuple[Recent, ...], recent: Recent, now: clocks.Timestamp
) -> tuple[Recent, ...]:
    kept = [
        each for each in heals if each.action_id != recent.action_id and each.at > now - HOUR_US
    ]
    if recent.outcome != "avoided":
        kept.append(recent)
        kept.sort(key=lambda each: (each.at, each.action_id))
    return tuple(kept[-HEALS_MAX:])


def _streaks(
    before: Mapping[str, Streak], recent: Recent, heal: model.Heal, now: clocks.Timestamp
) -> dict[str, Streak]:
    after = {scope: each for scope, each in before.items() if each.last > now - STREAK_US}
    target = f"{recent.stack}/{recent.component}"
    for scope in recent.scopes:
        if helped(heal):
            after.pop(scope, None)
            continue
        known = after.get(scope, Streak(count=0, targets=(), last=now))
        targets = known.targets if target in known.targets else (*known.targets, target)
        after[scope] = Streak(count=known.count + 1, targets=targets[-TARGETS_MAX:], last=now)
    return after


# -- what each event makes of them --------------------------------------------------------------


def _breaker(before: Guards, event: envelope.Event) -> Guards:
    said = folding.payload(event, guard_events.BreakerMoved)
    breakers = _without(before.breakers, said.scope)
    if said.state == "closed":
        return _replace(before, breakers=breakers, streaks=_without(before.streaks, said.scope))
    breakers[said.scope] = Breaker(
        state=said.state,
        reason=said.reason,
        detail=said.detail,
        since=event.occurred_at,
        half_open_at=said.half_open_at,
        cooldown_s=said.cooldown_s,
        forced_until=said.forced_until,
        uid=said.uid,
        probe=said.probe,
        sequence=event.sequence,
    )
    return _replace(before, breakers=breakers)


def _fuse_blown(before: Guards, event: envelope.Event) -> Guards:
    said = folding.payload(event, guard_events.FuseMoved)
    fuses = _without(before.fuses, said.fuse_id)
    fuses[said.fuse_id] = Fuse(
        by=said.by,
        stacks=said.stacks,
        count=said.count,
        share=said.share,
        blown_at=event.occurred_at,
    )
    while len(fuses) > FUSES_MAX:
        spent = [name for name, each in fuses.items() if each.reset_at is not None]
        del fuses[next(iter(spent or fuses))]
    return _replace(before, fuses=fuses)


def _fuse_reset(before: Guards, event: envelope.Event) -> Guards:
    said = folding.payload(event, guard_events.FuseMoved)
    known = before.fuses.get(said.fuse_id)
    if known is None:
        return before
    reset = _replace(known, reset_at=event.occurred_at, stacks=())
    return _replace(before, fuses={**before.fuses, said.fuse_id: reset})


def _kill_switch(before: Guards, event: envelope.Event) -> Guards:
    said = folding.payload(event, guard_events.KillSwitch)
    switch = Switch(reason=said.reason, actor=event.actor, since=event.occurred_at)
    return _replace(before, kill_switch=switch if said.on else None)


def _suspended(before: Guards, event: envelope.Event) -> Guards:
    said = folding.payload(event, events.Suspended)
    suspension = stack.Suspension(
        mode=said.mode,
        reason=said.reason,
        actor=event.actor,
        since=event.occurred_at,
        until=said.until,
    )
    return _replace(before, suspended=suspension)


def _resumed(before: Guards, event: envelope.Event) -> Guards:
    del event
    return _replace(before, suspended=None)


def _window(before: Guards, event: envelope.Event) -> Guards:
    window = folding.payload(event, guard_events.WindowDeclared).window
    return _replace(before, windows={**before.windows, window.id: window})


def _window_removed(before: Guards, event: envelope.Event) -> Guards:
    said = folding.payload(event, guard_events.WindowRemoved)
    return _replace(before, windows=_without(before.windows, said.window_id))


def _heal(before: Guards, event: envelope.Event) -> Guards:
    heal = folding.payload(event, events.HealMoved).heal
    return with_heal(before, heal, event.tenant, event.aggregate_id, event.occurred_at)


def _stack_removed(before: Guards, event: envelope.Event) -> Guards:
    """What is declared under this name again is another stack, and starts afresh."""
    own = f"stack:{event.aggregate_id}"
    parts = f"component:{event.aggregate_id}/"

    def left(found: Mapping[str, _T]) -> dict[str, _T]:
        return {
            scope: each
            for scope, each in found.items()
            if scope != own and not scope.startswith(parts)
        }

    return _replace(before, breakers=left(before.breakers), streaks=left(before.streaks))


def _without(found: Mapping[str, _T], name: str) -> dict[str, _T]:
    return {each: value for each, value in found.items() if each != name}


_APPLY: Mapping[str, Callable[[Guards, envelope.Event], Guards]] = {
    guard_events.BREAKER_OPENED: _breaker,
    guard_events.BREAKER_HALF_OPENED: _breaker,
    guard_events.BREAKER_CLOSED: _breaker,
    guard_events.BREAKER_FORCED: _breaker,
    guard_events.FUSE_BLOWN: _fuse_blown,
    guard_events.FUSE_RESET: _fuse_reset,
    guard_events.KILL_SWITCH_SET: _kill_switch,
    guard_events.HEALING_SUSPENDED: _suspended,
    guard_events.HEALING_RESUMED: _resumed,
    guard_events.WINDOW_DECLARED: _window,
    guard_events.WINDOW_REMOVED: _window_removed,
    **dict.fromkeys(events.HEAL_TYPES, _heal),
    events.STACK_REMOVED: _stack_removed,
}
