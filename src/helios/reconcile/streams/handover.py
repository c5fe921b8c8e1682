"""From one version of a contract to the next: they run side by side while old windows are open."""

from collections.abc import Collection
from typing import Any

from helios.reconcile.streams import codegen, engine, judge, layout, live, program, times


def progress_for(compiled: program.Program, old: engine.Engine) -> times.Progress:
    """Where a new version begins: at the time that the old one has reached, source by source."""
    reached = old.progress()
    theirs = codegen.mark_sources(old.program)
    marks: list[int | None] = [None] * codegen.marks_count(compiled)
    for source, mark in codegen.mark_sources(compiled).items():
        if source in theirs:
            marks[mark] = reached.marks[theirs[source]]
    return times.Progress(marks=marks, qwm=reached.qwm, first_us=reached.first_us)


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
