"""The guards over healing as the API shows them."""

from typing import Literal

import msgspec

from helios.api import showing
from helios.kernel import clock as clocks
from helios.kernel import durations
from helios.reconcile.compositions import guards, policy, stack


class BreakerView(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker that is not simply closed; `for_all`: it holds for all clients.

    Attributes:
        half_open_at: when it lets one action through.
        forced_until: when it is held no more; null: when somebody resets it.
    """

    scope: str
    state: str
    reason: str
    detail: str
    since: str
    half_open_at: str | None
    forced_until: str | None
    for_all: bool


class FuseView(msgspec.Struct, frozen=True, kw_only=True):
    """Healing that was stopped for a set of stacks that drifted at once.

    Attributes:
        by: what they have in common.
        reset_at: when somebody agreed that it goes on; null: it is blown.
    """

    fuse_id: str
    by: str
    stacks: list[str]
    count: int
    share: float
    blown_at: str
    reset_at: str | None
    for_all: bool


class SwitchView(msgspec.Struct, frozen=True, kw_only=True):
    """A kill switch that is on."""

    reason: str
    actor: str
    since: str
    for_all: bool


class SuspensionView(msgspec.Struct, frozen=True, kw_only=True):
    """Healing that is suspended."""

    mode: str
    reason: str
    actor: str
    since: str
    until: str | None
    for_all: bool


class WindowView(msgspec.Struct, frozen=True, kw_only=True):
    """When healing is allowed or denied; empty lists: it is for everything."""

    id: str
    kind: Literal["allow", "deny"]
    schedule: str
    duration: str
    timezone: str
    stacks: list[str]
    providers: list[str]
    severities: list[str]
    actions: list[str]
    manual_override: bool
    overrun: bool
    for_all: bool


class GuardsView(msgspec.Struct, frozen=True, kw_only=True):
    """The guards of a client, and those that hold for all.

    Attributes:
        heals_last_hour: actions that were begun within an hour, of this client.
    """

    client_id: str
    breakers: list[BreakerView]
    fuses: list[FuseView]
    kill_switches: list[SwitchView]
    suspensions: list[SuspensionView]
    windows: list[WindowView]
    heals_last_hour: int


def view(client_id: str, found: guards.Guards, now: clocks.Timestamp) -> GuardsView:
    """Guards as they are shown; `found` are joined."""
    breakers: list[BreakerView] = []
    fuses: list[FuseView] = []
    switches: list[SwitchView] = []
    suspensions: list[SuspensionView] = []
    windows: list[WindowView] = []
    for each in found.both():
        for_all = each is found.shared
        breakers += [_breaker(*pair, now, for_all=for_all) for pair in each.breakers.items()]
        fuses += [_fuse(*pair, for_all=for_all) for pair in each.fuses.items()]
        windows += [_window(window, for_all=for_all) for window in each.windows.values()]
        if each.kill_switch is not None:
            switches.append(_switch(each.kill_switch, for_all=for_all))
        if each.suspended is not None and each.suspended.holds(now):
            suspensions.append(_suspension(each.suspended, for_all=for_all))
    return GuardsView(
        client_id=client_id,
        breakers=[each for each in breakers if each.state != "closed"],
        fuses=fuses,
        kill_switches=switches,
        suspensions=suspensions,
        windows=windows,
        heals_last_hour=sum(each.at > now - guards.HOUR_US for each in found.heals),
    )


def _breaker(
    scope: str, found: guards.Breaker, now: clocks.Timestamp, *, for_all: bool
) -> BreakerView:
    return BreakerView(
        scope=scope,
        state=found.at(now),
        reason=found.reason,
        detail=found.detail,
        since=clocks.to_rfc3339(found.since),
        half_open_at=showing.at(found.half_open_at),
        forced_until=showing.at(found.forced_until),
        for_all=for_all,
    )


def _fuse(fuse_id: str, found: guards.Fuse, *, for_all: bool) -> FuseView:
    return FuseView(
        fuse_id=fuse_id,
        by=found.by,
        stacks=list(found.stacks),
        count=found.count,
        share=found.share,
        blown_at=clocks.to_rfc3339(found.blown_at),
        reset_at=showing.at(found.reset_at),
        for_all=for_all,
    )


def _switch(found: guards.Switch, *, for_all: bool) -> SwitchView:
    return SwitchView(
        reason=found.reason,
        actor=found.actor,
        since=clocks.to_rfc3339(found.since),
        for_all=for_all,
    )


def _suspension(found: stack.Suspension, *, for_all: bool) -> SuspensionView:
    return SuspensionView(
        mode=found.mode,
        reason=found.reason,
        actor=found.actor,
        since=clocks.to_rfc3339(found.since),
        until=showing.at(found.until),
        for_all=for_all,
    )


def _window(found: policy.Window, *, for_all: bool) -> WindowView:
    return WindowView(
        id=found.id,
        kind=found.kind,
        schedule=found.schedule,
        duration=durations.to_text(found.duration),
        timezone=found.timezone,
        stacks=list(found.stacks),
        providers=list(found.providers),
        severities=list(found.severities),
        actions=list(found.actions),
        manual_override=found.manual_override,
        overrun=found.overrun,
        for_all=for_all,
    )
