"""What an event about a guard over healing gives to tell. Pure.

A breaker of a stack is told with the stack; all others are subjects of their own, told to every
channel of the client, or of all clients where the guard holds for all.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from helios.eventlog import envelope
from helios.heal.notices import notice
from helios.kernel import clock as clocks
from helios.projections import folding
from helios.reconcile.compositions import events, guard_events

NAMED_MAX: Final = 20
"""Stacks named in a message. Above: only how many more."""


def notices(event: envelope.Event) -> list[notice.Notice]:
    """What to tell of an event about a guard, in order."""
    make = _MAKERS.get(event.type)
    return [] if make is None else list(make(event))


def fuse_item(fuse_id: str) -> str:
    """What a blown fuse opens."""
    return f"fuse/{fuse_id}"


def _blown(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, guard_events.FuseMoved)
    everywhere = event.tenant == guard_events.SYSTEM_TENANT
    # Who is told of a fuse over all clients must not learn the names of others.
    named = [] if everywhere else list(said.stacks[:NAMED_MAX])
    more = said.count - len(named)
    lines = [notice.line(said.reason)] if said.reason else []
    if named:
        lines.append(", ".join(named) + (f" and {more} more" if more > 0 else ""))
    lines.append("healing of all of them is stopped until somebody has looked")
    command = f"helios guards fuse reset {said.fuse_id}{_client(event)} --reason WHY"
    return [
        notice.Notice(
            **_about(event, f"fuse:{said.fuse_id}", fuse_item(said.fuse_id)),
            kind="fuse_blown",
            does="open",
            severity="critical",
            level="critical",
            headline=notice.line(f"{said.count} stacks drifted at once, by {said.by}"),
            detail="\n".join(lines),
            links=(notice.Link(text="let healing go on", command=command),),
        )
    ]


def _reset(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, guard_events.FuseMoved)
    return [
        notice.Notice(
            **_about(event, f"fuse:{said.fuse_id}", fuse_item(said.fuse_id)),
            kind="fuse_reset",
            does="close",
            severity="critical",
            level="info",
            headline=notice.line(f"healing goes on, said {event.actor}: {said.reason}"),
        )
    ]


def _breaker(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, guard_events.BreakerMoved)
    is_open = said.state in ("open", "forced_open")
    if said.state == "half_open":
        return []
    subject, stack_id = _breaker_subject(said.scope)
    about = _about(event, subject, f"{event.tenant}/breaker/{said.scope}")
    why = f"{said.reason}: {said.detail}" if said.detail else said.reason
    command = f"helios guards breakers reset {said.scope}{_client(event)} --reason WHY"
    look = f"helios guards breakers list{_client(event)}"
    return [
        notice.Notice(
            **{**about, "stack_id": stack_id},
            kind="breaker_opened" if is_open else "breaker_closed",
            # Its next openings, after each probe that failed, are no news.
            does="once" if is_open else "close",
            severity="high",
            level="warning" if is_open else "info",
            headline=notice.line(
                f"healing of {said.scope} is stopped: {why}"
                if is_open
                else f"healing of {said.scope} goes on: {why}"
            ),
            links=(
                notice.Link(text="look at it", command=look),
                notice.Link(text="close it", command=command),
            ),
        )
    ]


def _breaker_subject(scope: str) -> tuple[str, str]:
    """Subject of a breaker, and the stack if it is that of one."""
    kind, _, name = scope.partition(":")
    if kind == "stack":
        return scope, name
    if kind == "component":
        stack_id = name.partition("/")[0]
        return f"stack:{stack_id}", stack_id
    return f"breaker:{scope}", ""


def _switch(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, guard_events.KillSwitch)
    return [
        notice.Notice(
            **_about(event, "kill_switch", f"{event.tenant}/kill_switch"),
            kind="kill_switch_on" if said.on else "kill_switch_off",
            does="open" if said.on else "close",
            severity="high",
            level="warning" if said.on else "info",
            headline=notice.line(
                f"all healing was stopped by {event.actor}: {said.reason}"
                if said.on
                else f"healing goes on, said {event.actor}: {said.reason}"
            ),
        )
    ]


def _suspended(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, events.Suspended)
    until = f" until {clocks.to_rfc3339(said.until)}" if said.until is not None else ""
    return [
        notice.Notice(
            **_about(event, "healing", f"{event.tenant}/healing"),
            kind="healing_suspended",
            does="open",
            severity="medium",
            headline=notice.line(f"healing is suspended{until} by {event.actor}: {said.reason}"),
        )
    ]


def _resumed(event: envelope.Event) -> Sequence[notice.Notice]:
    said = folding.payload(event, events.Noted)
    return [
        notice.Notice(
            **_about(event, "healing", f"{event.tenant}/healing"),
            kind="healing_resumed",
            does="close",
            severity="medium",
            level="info",
            headline=notice.line(f"healing goes on, said {event.actor}: {said.reason}"),
        )
    ]


def _about(event: envelope.Event, subject: str, item: str) -> dict[str, Any]:
    return {
        "client_id": event.tenant,
        "subject": subject,
        "item": item,
        "at": clocks.to_rfc3339(event.occurred_at),
    }


def _client(event: envelope.Event) -> str:
    return "" if event.tenant == guard_events.SYSTEM_TENANT else f" --client-id {event.tenant}"


_Maker: TypeAlias = Callable[[envelope.Event], Sequence[notice.Notice]]
_MAKERS: Final[Mapping[str, _Maker]] = {
    guard_events.FUSE_BLOWN: _blown,
    guard_events.FUSE_RESET: _reset,
    guard_events.BREAKER_OPENED: _breaker,
    guard_events.BREAKER_CLOSED: _breaker,
    guard_events.BREAKER_FORCED: _breaker,
    guard_events.KILL_SWITCH_SET: _switch,
    guard_events.HEALING_SUSPENDED: _suspended,
    guard_events.HEALING_RESUMED: _resumed,
}
TYPES: Final = tuple(_MAKERS)
