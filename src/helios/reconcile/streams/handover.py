"""From one version of a contract to the next: they run side by side while old windows are open."""

from collections.abc import Collection, Sequence
from typing import Any

from helios.reconcile.streams import (
    codegen,
    engine,
    judge,
    layout,
    live,
    program,
    telling,
    times,
)
from helios.reconcile.streams import contract as contracts

_MOVED = -(1 << 61)
"""A second at which nothing falls due: of a window whose time is computed anew."""


def progress_for(compiled: program.Program, old: engine.Engine) -> times.Progress:
    """Where a new version begins: at the time that the old one has reached, source by source."""
    reached = old.progress()
    theirs = codegen.mark_sources(old.program)
    marks: list[int | None] = [None] * codegen.marks_count(compiled)
    for source, mark in codegen.mark_sources(compiled).items():
        if source in theirs:
            marks[mark] = reached.marks[theirs[source]]
    return times.Progress(marks=marks, qwm=reached.qwm, first_us=reached.first_us)


def match(
    versions: Sequence[engine.Engine], current: engine.Engine, event: live.Seen
) -> engine.Engine:
    """The version whose an event is: of an older one if that has a window for it.

    A window has one owner, also where the versions cut time differently: what would be the same
    window of another version goes there.
    """
    key = current.grouping.key_of(event)
    others = [each for each in versions if each is not current]
    for each in others:
        if any(map(each.holds, _groups(each, key, event.h_time))):
            return each
    groups = _groups(current, key, event.h_time)
    holders = [next((o for o in others if o.holds(g)), None) for g in groups]
    if holders and None not in holders:
        return holders[0] or current
    return current


def process(versions: Sequence[engine.Engine], target: engine.Engine, event: live.Seen) -> None:
    """Give an event to its version, which may not open a window that another one has."""
    if target.program.leg_of(event.h_source, event.h_type) is None:
        target.process([event])  # The leg is the newest version's; here it is ignored.
        return
    key = target.grouping.key_of(event)
    others = [each for each in versions if each is not target]
    groups = _groups(target, key, event.h_time)
    taken = [group for group in groups if any(each.holds(group) for each in others)]
    target.closed.update((group, []) for group in taken)
    target.process([event])
    for group in taken:
        del target.closed[group]


def _groups(of: engine.Engine, key: str, us: int) -> Sequence[Any]:
    if of.contract.window.type == "session":
        return of.sessions.around(key, us)
    return of.grouping.groups_of(key, us)


def carry(versions: Sequence[engine.Engine], current: engine.Engine) -> None:
    """Have the newest version take over the windows that wait in those before it.

    For a version that differs in times alone, where a window stays the same window: see
    `contract.carries`. What a verdict was told of stays with the version that told it, as late
    events find it there. Nothing is decided here: what the new times have passed already is looked
    at with the next second, by the next event or tick.
    """
    for old in versions:
        if old is current or not contracts.carries(old.contract, current.contract):
            continue
        waiting = [state for state in old.open.values() if not telling.is_told(state)]
        _unschedule(old, {id(state) for state in waiting})
        for state in sorted(waiting, key=engine.group_order):
            group = state[layout.GROUP]
            del old.open[group]
            if current.contract.window.type == "session":
                old.sessions.remove(group)
                current.sessions.add(group)
            current.open[group] = state
            state[layout.NEXT] = _MOVED
            current.reschedule(state)


def _unschedule(old: engine.Engine, moved: set[int]) -> None:
    """Forget when states are due that another version has from now on."""
    for second, bucket in list(old.buckets.items()):
        left = [state for state in bucket if id(state) not in moved]
        if left:
            old.buckets[second] = left
        else:
            del old.buckets[second]


def pass_by(current: engine.Engine, event: live.Seen) -> None:
    """An event that an older version takes: its time counts for the newest too."""
    bound = current.program.leg_of(event.h_source, event.h_type)
    if bound is None:
        return
    mark = codegen.mark_sources(current.program)[bound.leg.source or f":{bound.leg.name}"]
    if event.h_time > current.marks[mark]:
        current.marks[mark] = event.h_time
        if event.h_time >= current.tick_at:
            current.advance(event)


def closed_of(old: engine.Engine, keys: Collection[str]) -> list[live.Kept]:
    """Take the closed windows of some keys from an old version, as they are kept."""
    groups = [group for group, state in old.closed.items() if judge.key_of(state) in keys]
    legs = len(old.program.legs)
    return [live.keep(old.release(group), legs) for group in groups]


def rejudge(current: engine.Engine, keys: Collection[str], event: live.Seen) -> set[Any]:
    """Judge the closed windows of some keys; returns the groups of which it says nothing new."""
    states = [state for state in current.closed.values() if judge.key_of(state) in keys]
    same = set()
    for state in sorted(states, key=engine.group_order):
        current.settle(state)
        before = state[layout.REVISION]
        current.rejudge(state, event)
        if state[layout.REVISION] == before:
            same.add(state[layout.GROUP])
    return same
