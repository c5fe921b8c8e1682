"""What passes over stacks need of the process they run in."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.projections import ports as view_ports
from helios.reconcile.compositions import events, model, ports
from helios.reconcile.compositions.predicting import ports as foresight

VIEW_S = 2.0
"""Longest wait for the view to have what this process wrote itself."""

WaitFor: TypeAlias = Callable[[str, envelope.Position, float], Awaitable[object]]


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What woke a stack.

    Attributes:
        position: of the newest event.
        views: which show what the events say.
        since: when the first was in the log.
        event: the newest, without its payload.
    """

    position: envelope.Position
    views: frozenset[str]
    since: clocks.Timestamp
    event: envelope.Event


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told for metrics.

    Attributes:
        passed: client, stack, seconds and outcome of a pass: `clean`, `drift`, `unknown`, `failed`.
        detected: a drift was confirmed, and seconds since what brought it about, if known.
        healed: a heal has ended.
        said: type and payload of what a pass has appended.
        woke: seconds from when an event was in the log to the pass that it woke.
    """

    passed: Callable[[str, str, float, str], None] = lambda *_: None
    detected: Callable[[model.Drift], None] = lambda *_: None
    healed: Callable[[model.Heal], None] = lambda *_: None
    said: Callable[[str, events.StackPayload], None] = lambda *_: None
    woke: Callable[[float], None] = lambda *_: None


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What passes need of the process they run in.

    Attributes:
        signals: tell of drift to come.
        wait_for: returns when a view has reached a position, at most so many seconds later.
    """

    log: log_ports.EventLog
    store: view_ports.ViewStore
    wait_for: WaitFor
    observer: ports.Observer
    executor: ports.Executor
    clock: clocks.Clock
    ids: ids.Ids
    meter: Meter = Meter()
    signals: foresight.Signals = foresight.NOTHING
