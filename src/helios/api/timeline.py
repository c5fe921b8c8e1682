"""One key of a contract on a time axis: a lane for each leg, its windows, what is missing and why.

Pure: what was read in, the timeline out; times are RFC 3339.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from helios.api import event_filter, links, showing
from helios.api.routes import verdicts as shown
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import durations, limits
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import verdicts

_TIMES = re.compile(r"T(\d\d:\d\d:\d\d)")

LaneState: TypeAlias = Literal["arrived", "late", "expected", "missing", "absent"]
"""`expected`: its time has not run out; `missing`: it has; `absent`: none came and none had to."""


class LaneEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a lane.

    Attributes:
        occurred_at: event time; recorded_at: when it was appended.
        is_late: it came after its window had closed.
        is_duplicate: one more than belongs there.
        amounts: values of the payload that rules read, by path.
        link: page of the event.
    """

    position: int
    event_id: str
    source: str
    type: str
    occurred_at: str
    recorded_at: str
    is_late: bool
    is_duplicate: bool
    amounts: dict[str, Any]
    link: str


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One leg.

    Attributes:
        cardinality: `one`, `many` or `optional`.
        within_s: seconds after the anchor within which it has to come; null: the whole window.
        state: of the newest window.
        deadline: until when it is expected, or was; null: nothing is.
        events: by event time.
    """

    leg: str
    source: str | None
    type: str
    cardinality: str
    is_required: bool
    is_anchor: bool
    within_s: float | None
    state: LaneState
    deadline: str | None
    events: list[LaneEvent]


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A required leg of which nothing has come in a window.

    Attributes:
        deadline: until when it is expected; overdue: that is over.
    """

    leg: str
    deadline: str
    overdue: bool


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that does not hold: what was expected, and what is there; `reason`: it cannot be told.

    Attributes:
        check: its expression; empty: it is that a leg has several events.
    """

    rule: str
    check: str
    expected: Any
    actual: Any
    reason: str


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One window of the key, with what holds of it now.

    Attributes:
        verdict_id: null: nothing was decided yet.
        start, end: of event time.
        closes_at: event time that the contract has to reach for the window to close.
        is_open: the contract has not reached that.
        sentence: the verdict in plain English.
        link: page of what it goes back to.
    """

    verdict_id: str | None
    window_id: int
    start: str
    end: str
    closes_at: str
    is_open: bool
    status: verdicts.Status
    is_late: bool
    sentence: str
    missing: list[Missing]
    conflicts: list[Conflict]


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A source was asked for what is missing.

    Attributes:
        outcome: `found`, `known`, `nothing`, `failed` or `no_source`.
    """

    verdict_id: str
    leg: str
    number: int
    outcome: str
    detail: str
    at: str
    link: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody was told of a verdict."""

    verdict_id: str
    reason: str
    at: str
    link: str


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a contract.

    Attributes:
        status, sentence: of the newest window.
        grace_s: seconds that the watermark stays behind the newest event.
        watermark: event time that the contract has come to; null: not known in this process.
        lanes: in the order of the contract.
        windows: newest first.
        rules: expressions by name.
        repairs, alerts: oldest first.
        history: every verdict there was, oldest first.
    """

    contract: str
    contract_version: int
    client_id: str
    key: str
    description: str
    status: verdicts.Status
    sentence: str
    grace_s: float
    watermark: str | None
    lanes: list[Lane]
    windows: list[Window]
    rules: dict[str, str]
    repairs: list[Tried]
    alerts: list[Told]
    history: list[shown.VerdictView]


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What a timeline is made of.

    Attributes:
        current: verdicts that hold, pending ones too; at least one.
        history: all, oldest first.
        events: of each leg, by event time.
        watermark: see `Timeline`.
    """

    contract: contracts.Contract
    current: Sequence[verdicts.Verdict]
    history: Sequence[verdicts.Verdict]
    events: Mapping[str, Sequence[envelope.Event]]
    watermark: clocks.Timestamp | None
    repairs: Sequence[Tried]
    alerts: Sequence[Told]


def make(read: Read) -> Timeline:
    """The timeline of what was read."""
    newest_first = sorted(read.current, key=lambda each: each.window_start, reverse=True)
    attempts = _attempts(read.repairs)
    windows = [_window(read, each, attempts) for each in newest_first]
    newest = newest_first[0]
    return Timeline(
        contract=newest.contract,
        contract_version=newest.contract_version,
        client_id=newest.tenant,
        key=newest.key,
        description=read.contract.description,
        status=newest.status,
        sentence=windows[0].sentence,
        grace_s=_seconds(read.contract.window.grace),
        watermark=showing.at(read.watermark),
        lanes=[_lane(read, newest, leg) for leg in read.contract.legs],
        windows=windows[: limits.TIMELINE_EVENTS_MAX],
        rules={rule.name: rule.check for rule in read.contract.rules},
        repairs=list(read.repairs),
        alerts=list(read.alerts),
        history=[shown.view(each) for each in read.history[-limits.TIMELINE_EVENTS_MAX :]],
    )


def _seconds(span: int) -> float:
    return span / clocks.SECOND_US


def _attempts(repairs: Sequence[Tried]) -> dict[str, int]:
    """How often a source was asked, by verdict."""
    made: dict[str, int] = {}
    for each in repairs:
        made[each.verdict_id] = made.get(each.verdict_id, 0) + 1
    return made


def _deadline(leg: contracts.Leg, seen: verdicts.Verdict) -> clocks.Timestamp:
    """Until when a leg is expected; where conditions change that, the latest."""
    spans = [each.duration for each in leg.within_when]
    if leg.within is not None:
        spans.append(leg.within)
    if not spans:
        return seen.window_end
    if leg.within is None:
        spans.append(seen.window_end - seen.window_start)
    return clocks.Timestamp(seen.window_start + max(spans))


def _window(read: Read, seen: verdicts.Verdict, attempts: Mapping[str, int]) -> Window:
    of = read.contract
    legs = {leg.name: leg for leg in of.legs}
    missing = [(name, _deadline(legs[name], seen)) for name in seen.missing_events if name in legs]
    closes = clocks.Timestamp(
        max([seen.window_end, *(until for _, until in missing)]) + of.window.grace
    )
    is_over = read.watermark is not None and read.watermark >= seen.window_end
    is_pending = seen.status == "pending"
    return Window(
        verdict_id=None if is_pending else seen.id,
        window_id=seen.window_id,
        start=clocks.to_rfc3339(seen.window_start),
        end=clocks.to_rfc3339(seen.window_end),
        closes_at=clocks.to_rfc3339(closes),
        is_open=is_pending or not (is_over or read.watermark is None),
        status=seen.status,
        is_late=seen.late,
        sentence=sentence(of, seen, tried=attempts.get(seen.id, 0)),
        missing=[
            Missing(
                leg=name,
                deadline=clocks.to_rfc3339(until),
                overdue=not is_pending or (read.watermark is not None and read.watermark > until),
            )
            for name, until in missing
        ],
        conflicts=[_conflict(of, name, said) for name, said in seen.validation_errors.items()],
    )


def _conflict(of: contracts.Contract, name: str, said: Mapping[str, Any]) -> Conflict:
    return Conflict(
        rule=name,
        check=next((rule.check for rule in of.rules if rule.name == name), ""),
        expected=said.get("expected"),
        actual=said.get("actual"),
        reason=str(said.get("rule_error", "")),
    )


def _lane(read: Read, newest: verdicts.Verdict, leg: contracts.Leg) -> Lane:
    seen = read.events.get(leg.name, ())
    late = {each.position for each in read.history if each.late}
    here = set(newest.events.get(leg.name, ()))
    state: LaneState = "absent"
    if here:
        is_late = any(each.position in late and each.id in here for each in seen)
        state = "late" if is_late else "arrived"
    elif leg.name in newest.missing_events:
        state = "expected" if newest.status == "pending" else "missing"
    is_waiting = state in ("expected", "missing")
    until = _deadline(leg, newest) if is_waiting else None
    counted: dict[str, int] = {}
    events = []
    paths = _paths(read.contract, leg.name)
    window_of = _windows_of(read.current, leg.name)
    for event in seen:
        window = window_of.get(event.id, "")
        counted[window] = counted.get(window, 0) + 1
        is_more = leg.cardinality != "many" and counted[window] > 1
        events.append(_event(event, paths, is_late=event.position in late, is_more=is_more))
    return Lane(
        leg=leg.name,
        source=leg.source,
        type=leg.type,
        cardinality=leg.cardinality,
        is_required=leg.required,
        is_anchor=read.contract.legs[read.contract.anchor].name == leg.name,
        within_s=None if leg.within is None else _seconds(leg.within),
        state=state,
        deadline=showing.at(until),
        events=events,
    )


def _windows_of(current: Sequence[verdicts.Verdict], leg: str) -> dict[str, str]:
    """The window that each event of a leg is in, the newest where it is in several."""
    return {
        event_id: str(each.window_id)
        for each in sorted(current, key=lambda one: one.window_start)
        for event_id in each.events.get(leg, ())
    }


def _event(
    event: envelope.Event, paths: Sequence[str], *, is_late: bool, is_more: bool
) -> LaneEvent:
    try:
        data: Any = msgspec.json.decode(event.payload)
    except (msgspec.DecodeError, RecursionError):
        data = None
    found = {path: event_filter.at(data, path.split(".")) for path in paths}
    return LaneEvent(
        position=event.position,
        event_id=event.id,
        source=event.source,
        type=event.type,
        occurred_at=clocks.to_rfc3339(event.occurred_at),
        recorded_at=clocks.to_rfc3339(event.recorded_at),
        is_late=is_late,
        is_duplicate=is_more,
        amounts={path: value for path, value in found.items() if value is not None},
        link=links.event(event.position),
    )


def _paths(of: contracts.Contract, leg: str) -> list[str]:
    """Paths of the payload that rules read of a leg, or of each of its events."""
    found: set[str] = set()
    each = re.compile(rf"\b{re.escape(leg)}\.(?:all|exists|exists_one|filter|map)\(\s*(\w+)\s*,")
    for rule in of.rules:
        for name in (leg, *each.findall(rule.check)):
            read = rf"\b{re.escape(name)}\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*(?!\w*\())*)(?!\w*\()"
            found.update(re.findall(read, rule.check))
    return sorted(found)


def sentence(of: contracts.Contract, seen: verdicts.Verdict, *, tried: int = 0) -> str:
    """A verdict in plain English."""
    legs = {leg.name: leg for leg in of.legs}
    missing = [legs[name] for name in seen.missing_events if name in legs]
    if seen.status == "matched":
        took = (seen.reconciled_at or seen.created_at) - seen.window_start
        late = ", though late" if seen.late else ""
        return f"All {seen.events_count} events agree{late}, {_span(took)} after the first."
    if seen.status == "pending":
        if not missing:
            return f"All has come that is required; decided once {_clock(seen.window_end)} is over."
        waits = _joined([f"{leg.name} ({leg.type})" for leg in missing])
        until = max(_deadline(leg, seen) for leg in missing)
        return f"Waits for {waits} until {_clock(until)}."
    parts = [
        f"{leg.type} ({leg.name}) was not seen by {_clock(_deadline(leg, seen))}" for leg in missing
    ]
    parts += [_said(of, name, said) for name, said in sorted(seen.validation_errors.items())]
    if tried:
        parts.append(f"its source was asked {tried} time{'s' if tried > 1 else ''}")
    return f"{'; '.join(parts) or 'What came does not agree'}."


def _said(of: contracts.Contract, name: str, said: Mapping[str, Any]) -> str:
    if "rule_error" in said:
        return f"{name.replace('_', ' ')} cannot be told ({said['rule_error']})"
    leg = name.removesuffix("_cardinality")
    if leg != name and any(each.name == leg for each in of.legs):
        return f"{leg} came {said.get('actual')} times instead of once"
    both = f"expected {_plain(said.get('expected'))}, found {_plain(said.get('actual'))}"
    return f"{name.replace('_', ' ')}: {both}"


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}…"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _clock(at: clocks.Timestamp) -> str:
    found = _TIMES.search(clocks.to_rfc3339(at))
    assert found is not None, at
    return found.group(1)


def _span(us: int) -> str:
    rounded = round(max(0, us) / 1_000) * 1_000
    return durations.to_text(rounded)
