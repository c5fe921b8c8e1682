"""Stacks and heals of many stacks side by side, as the console lists them.

Pure: what was read goes in, rows come out; `routes.boards` reads.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from helios.api import drifts as shown_drifts
from helios.api import plans as shown_plans
from helios.api import showing
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, model, policy, reading, stack

Agreement: TypeAlias = Literal["in_sync", "drifted", "unknown"]
Health: TypeAlias = Literal["healthy", "healing", "degraded", "failed", "paused", "unknown"]

STACK_FIELDS: Final[Mapping[str, str]] = {
    "agreement": "in_sync, drifted or unknown",
    "health": "healthy, healing, degraded, failed, paused or unknown",
    "status": "how it stands in one word, as the API tells it",
    "severity": "of its open drifts: low, medium, high or critical",
    "environment": "such as prod",
    "client": "whose it is",
    "stack": "its name",
    "version": "what is declared",
    "drifts": "how many open drifts it has",
    "heals": "auto, asked or off",
    "waiting": "true: somebody has to agree to its plan",
}
HEAL_FIELDS: Final[Mapping[str, str]] = {
    "status": "started, acted, succeeded, failed, unverified or avoided",
    "how": "self, approved or manual",
    "kind": "of action, such as update_webhook",
    "target": "address of the component",
    "stack": "of which stack",
    "client": "whose it is",
    "actor": "who did it",
}

_GRAVE: Final = frozenset(("high", "critical"))
_ENDED_WELL: Final = frozenset(("succeeded", "avoided"))
_ENDED_BADLY: Final = frozenset(("failed", "unverified"))


class StackRow(msgspec.Struct, frozen=True, kw_only=True):
    """How a stack stands, on a line.

    Attributes:
        agreement, health: the two axes.
        drifts: open ones by severity, without those only suspected or ignored.
        auto_heal: policy lets something heal by itself; null: the policy cannot be read.
        paused_until: null: until somebody lets it go on, or it is not paused.
        pinned: generation that it stays at.
        approval_id: what somebody has to answer.
        heals: that are under way; predicted: drifts that are foreseen.
    """

    client_id: str
    stack_id: str
    environment: str
    state_version: str
    generation: int
    status: model.StackStatus
    agreement: Agreement
    health: Health
    drift_count: int
    drifts: dict[str, int]
    auto_heal: bool | None
    paused: str | None
    paused_until: str | None
    pinned: int | None
    plan_id: str | None
    approval_id: str | None
    heals: int
    predicted: int
    components: int
    last_verified: str | None
    updated_at: str
    error: str


class StackBoard(msgspec.Struct, frozen=True, kw_only=True):
    """Stacks by client and name.

    Attributes:
        next_cursor: to go on; null at the end. A page may be short, or empty, and have one.
        scanned: stacks that were looked at for it.
    """

    stacks: list[StackRow]
    next_cursor: str | None
    scanned: int


class DriftBoard(msgspec.Struct, frozen=True, kw_only=True):
    """Drifts of all stacks, those that last changed first; paged as a StackBoard."""

    drifts: list[shown_drifts.DriftView]
    next_cursor: str | None
    scanned: int


class HealFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How healing went; null where nothing was to be counted.

    Attributes:
        success_rate: share of those that ended well among those that ended.
        mean_s: from the beginning of an action until it was seen to have helped.
        mean_drift_s: from the first sight of a drift until it was healed.
    """

    actions: int
    open: int
    succeeded: int
    failed: int
    by_itself: int
    approved: int
    success_rate: float | None
    mean_s: float | None
    mean_drift_s: float | None


class HealBoard(msgspec.Struct, frozen=True, kw_only=True):
    """Actions that were begun, newest first; paged as a StackBoard.

    Attributes:
        figures: over the newest actions of the range, at most a thousand; not of the filter.
    """

    heals: list[shown_plans.HealView]
    next_cursor: str | None
    scanned: int
    figures: HealFigures


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """An event that an action should bring about.

    Attributes:
        state: `arrived`; `late`: it came after the window; `awaited`; `missing`: it did not come
            and will not.
        after_s: from the beginning of the action.
        is_expected: false: it came all the same.
    """

    event_type: str
    state: Literal["arrived", "late", "awaited", "missing"]
    at: str | None
    after_s: float | None
    position: int | None
    is_expected: bool
    summary: str


class HealRun(msgspec.Struct, frozen=True, kw_only=True):
    """One action with what it should bring about, and what came.

    Attributes:
        window_s: in which what is expected should come.
        others: the other actions of its plan that were begun.
    """

    heal: shown_plans.HealView
    action: shown_plans.ActionView
    window_s: float
    events: list[Expected]
    others: list[shown_plans.HealView]


def stack_row(known: reading.Known, now: clocks.Timestamp) -> StackRow:
    """A stack on a line."""
    state = known.state
    loud = loud_drifts(state)
    counts = dict.fromkeys(model.SEVERITIES, 0)
    for drift in loud:
        counts[drift.severity] += 1
    held = state.suspended if state.is_suspended(now) else None
    asked = state.approval is not None and state.approval.status == "pending"
    return StackRow(
        client_id=state.client_id,
        stack_id=state.stack_id,
        environment=state.environment,
        state_version=state.version,
        generation=state.generation,
        status=state.status,
        agreement=agreement(state, loud),
        health=health(state, loud, now),
        drift_count=len(loud),
        drifts={str(severity): count for severity, count in counts.items()},
        auto_heal=None if known.policy is None else heals_anything(known.policy),
        paused=None if held is None else held.mode,
        paused_until=None if held is None else showing.at(held.until),
        pinned=state.pinned,
        plan_id=None if state.plan is None else state.plan.plan_id,
        approval_id=state.approval.approval_id if asked and state.approval else None,
        heals=len(state.open_heals()),
        predicted=len(state.predictions),
        components=0 if known.declared is None else len(tuple(known.declared.components())),
        last_verified=showing.at(known.last_verified),
        updated_at=clocks.to_rfc3339(state.updated_at),
        error=state.error,
    )


def loud_drifts(state: stack.Stack) -> list[model.Drift]:
    """Open drifts that are neither only suspected nor ignored."""
    return [
        each
        for each in state.drifts.values()
        if each.is_open and each.state not in shown_drifts.QUIET
    ]


def agreement(state: stack.Stack, loud: Sequence[model.Drift]) -> Agreement:
    """Whether a stack is as declared."""
    if loud:
        return "drifted"
    is_seen = state.observed_generation == state.generation and not state.unknown
    return "in_sync" if is_seen else "unknown"


def health(state: stack.Stack, loud: Sequence[model.Drift], now: clocks.Timestamp) -> Health:
    """Whether a stack works, whatever was declared."""
    if state.is_suspended(now):
        return "paused"
    if state.error or state.status == "error":
        return "failed"
    if state.open_heals():
        return "healing"
    if "absent" in state.presence.values() or any(each.severity in _GRAVE for each in loud):
        return "degraded"
    return "healthy" if state.presence else "unknown"


def heals_anything(rules: policy.Policy) -> bool:
    """Whether something may be healed without asking."""
    heal = rules.auto_heal
    return "heal" in heal.modes.values() or (heal.enabled and bool(heal.allowed_drift_types))


def stack_fields(row: StackRow) -> Mapping[str, Any]:
    """The fields of a stack that a filter may name."""
    return {
        "agreement": row.agreement,
        "health": row.health,
        "status": row.status,
        "severity": [name for name, count in row.drifts.items() if count],
        "environment": row.environment,
        "client": row.client_id,
        "stack": row.stack_id,
        "version": row.state_version,
        "drifts": row.drift_count,
        "heals": "asked" if row.approval_id else "auto" if row.auto_heal else "off",
        "waiting": row.approval_id is not None,
    }


def heal_fields(row: shown_plans.HealView) -> Mapping[str, Any]:
    """The fields of a heal that a filter may name."""
    return {
        "status": row.status,
        "how": "approved" if row.approved_by else "manual" if row.manual else "self",
        "kind": row.kind,
        "target": row.target,
        "stack": row.stack_id,
        "client": row.client_id,
        "actor": row.actor,
    }


def figures(heals: Sequence[model.Heal], healed: Sequence[model.Drift]) -> HealFigures:
    """How healing went, of these actions and these healed drifts."""
    well = [each for each in heals if each.status in _ENDED_WELL]
    badly = sum(each.status in _ENDED_BADLY for each in heals)
    ended = len(well) + badly
    took = [_seconds(each.started_at, each.ended_at) for each in well if each.ended_at]
    drifted = [_seconds(each.detected_at, each.closed_at) for each in healed if each.closed_at]
    return HealFigures(
        actions=len(heals),
        open=sum(each.is_open for each in heals),
        succeeded=len(well),
        failed=badly,
        by_itself=sum(not each.approved_by and not each.manual for each in heals),
        approved=sum(bool(each.approved_by) for each in heals),
        success_rate=len(well) / ended if ended else None,
        mean_s=_mean(took),
        mean_drift_s=_mean(drifted),
    )


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


def _seconds(since: int, until: int) -> float:
    return (until - since) / clocks.SECOND_US


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An event about an action."""

    type: str
    position: int
    at: clocks.Timestamp
    summary: str


_ENDINGS: Final = (
    events.HEAL_SUCCEEDED,
    events.HEAL_FAILED,
    events.HEAL_UNVERIFIED,
    events.HEAL_AVOIDED,
)


def checklist(heal: model.Heal, told: Sequence[Told], window_s: float) -> list[Expected]:
    """What an action should bring about beside what came, in the order of arrival.

    Args:
        heal: the action.
        told: events about it, in the order of the log.
        window_s: in which what is expected should come.
    """
    wanted = list(heal.action.expected_events)
    found = []
    for each in told:
        is_expected = each.type in wanted
        if is_expected:
            wanted.remove(each.type)
        after = _seconds(heal.started_at, each.at)
        found.append(
            Expected(
                event_type=each.type,
                state="late" if is_expected and after > window_s else "arrived",
                at=clocks.to_rfc3339(each.at),
                after_s=round(after, 3),
                position=each.position,
                is_expected=is_expected,
                summary=each.summary,
            )
        )
    is_over = any(each.type in _ENDINGS for each in told) or not heal.is_open
    return [*found, *(_awaited(kind, is_over=is_over) for kind in wanted)]


def _awaited(kind: str, *, is_over: bool) -> Expected:
    return Expected(
        event_type=kind,
        state="missing" if is_over else "awaited",
        at=None,
        after_s=None,
        position=None,
        is_expected=True,
        summary="",
    )
