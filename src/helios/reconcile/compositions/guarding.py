"""What stands in the way of a plan just now.

Pure. Nothing here drops what is to be done: a blocker says until when it stands, if that is known,
and what somebody can do about it. It is asked again before each action, so that a switch thrown
meanwhile holds from the next action on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    breakers,
    budgets,
    fights,
    fuse,
    guards,
    model,
    policy,
    stack,
    windows,
)

_SETTLED: frozenset[model.DriftState] = frozenset(("suspected", "ignored", "acknowledged"))
_BAD = ("high", "critical")


class _Case(msgspec.Struct, kw_only=True):
    """A plan with all that decides on it.

    Attributes:
        under_way: actions of ours that have no end yet.
        heals: of the last hour.
        taken: breakers that are half open whose one action is in this plan.
        held: ids of actions that something stands in the way of.
    """

    plan: model.Plan
    state: stack.Stack
    rules: policy.Policy
    found: guards.Guards
    now: clocks.Timestamp
    manual: bool
    under_way: tuple[guards.Recent, ...] = ()
    heals: list[guards.Recent] = []
    taken: set[str] = set()
    held: dict[str, clocks.Timestamp | None] = {}


def blockers(
    plan: model.Plan,
    state: stack.Stack,
    rules: policy.Policy,
    found: guards.Guards,
    now: clocks.Timestamp,
    *,
    manual: bool,
) -> tuple[model.Blocker, ...]:
    """All that stands in the way of a plan's actions that were not begun, the gravest first.

    `found` are the guards of the client, `joined` with those for all. `manual`: an operator has
    ordered it, which goes through windows that let him, and through a fight.
    """
    heals = _heals(found, state)
    case = _Case(
        plan=plan,
        state=state,
        rules=rules,
        found=found,
        now=now,
        manual=manual,
        under_way=tuple(each for each in heals if each.ended_at is None),
        heals=heals,
    )
    everything = [*_switches(case), *_suspensions(case)]
    begun = {heal.action.id for heal in state.heals}
    for action in sorted(plan.actions, key=lambda each: each.wave):
        if action.id in begun or action.kind == "notify_only":
            continue
        stand = [msgspec.structs.replace(each, action_id=action.id) for each in _of(case, action)]
        if stand:
            case.held[action.id] = max(
                (each.until for each in stand if each.until is not None), default=None
            )
        else:
            _let(case, action)
        everything += stand
    return tuple(sorted(everything, key=lambda each: _ORDER.index(each.code)))


_ORDER: Sequence[model.BlockerCode] = (
    "kill_switch",
    "suspended",
    "fuse_blown",
    "window_closed",
    "breaker_open",
    "budget_spent",
    "contested",
    "approval_missing",
    "dependency_unhealthy",
    "pinned",
)


def _of(case: _Case, action: model.Action) -> Iterator[model.Blocker]:
    yield from _fuses(case, action)
    yield from _windows(case, action)
    yield from _breakers(case, action)
    yield from _budgets(case, action)
    yield from _fights(case, action)
    yield from _approvals(case, action)
    yield from _dependencies(case, action)


def _let(case: _Case, action: model.Action) -> None:
    """What is let through takes a token, and the one place of a half-open breaker."""
    case.heals.append(_wanted(case, action))
    case.taken.update(_half_open(case, action))


def _heals(found: guards.Guards, state: stack.Stack) -> list[guards.Recent]:
    """Heals of the last hour: as the guards know them, and as the stack does, which is ahead."""
    known = {each.action_id: each for part in reversed(found.both()) for each in part.heals}
    for heal in state.heals:
        known[heal.action.id] = guards.recent_of(heal, state.client_id, state.stack_id)
    return [each for each in known.values() if each.outcome != "avoided"]


def _wanted(case: _Case, action: model.Action) -> guards.Recent:
    return guards.Recent(
        action_id=action.id,
        at=case.now,
        tenant=case.state.client_id,
        stack=case.state.stack_id,
        component=action.target,
        provider=action.provider,
        kind=action.kind,
        risk=action.risk,
        outcome="planned",
    )


# -- of everything ------------------------------------------------------------------------------


def _switches(case: _Case) -> Iterator[model.Blocker]:
    for part in case.found.both():
        switch = part.kill_switch
        if switch is not None:
            whom = "all clients" if part is case.found.shared else case.state.client_id
            yield model.Blocker(
                code="kill_switch",
                detail=f"healing of {whom} was stopped by {switch.actor}: {switch.reason}",
                remedy="turn the kill switch off",
            )


def _suspensions(case: _Case) -> Iterator[model.Blocker]:
    for suspended in (case.state.suspended, *(part.suspended for part in case.found.both())):
        if suspended is not None and suspended.holds(case.now):
            yield model.Blocker(
                code="suspended",
                detail=f"suspended by {suspended.actor}: {suspended.reason}",
                until=suspended.until,
                remedy="resume it",
            )


# -- of one action ------------------------------------------------------------------------------


def _drifts(case: _Case, action: model.Action) -> list[model.Drift]:
    found = (case.state.drifts.get(drift_id) for drift_id in action.drift_ids)
    return [drift for drift in found if drift is not None]


def _fuses(case: _Case, action: model.Action) -> Iterator[model.Blocker]:
    client = case.state.client_id
    words = {
        word
        for drift in _drifts(case, action)
        for word in fuse.row_of(client, case.state.stack_id, drift, action.provider).words
    }
    for part in case.found.both():
        name = case.state.stack_id
        if part is case.found.shared:
            name = f"{client}/{name}"
        for fuse_id, each in part.fuses.items():
            if each.reset_at is None and (each.by in words or name in each.stacks):
                yield model.Blocker(
                    code="fuse_blown",
                    detail=f"{each.count} stacks drifted at once by {each.by}",
                    remedy=f"find out why, then agree that healing goes on: fuse {fuse_id}",
                )


def _windows(case: _Case, action: model.Action) -> Iterator[model.Blocker]:
    severities = [drift.severity for drift in _drifts(case, action)]
    subject = windows.Subject(
        stack=case.state.stack_id,
        provider=action.provider,
        severity=max(severities, key=model.SEVERITIES.index, default="low"),
        action=action.kind,
        lasts=int(action.timeout_s * clocks.SECOND_US),
        manual=case.manual,
    )
    declared = [each for part in case.found.both() for each in part.windows.values()]
    found = windows.closed((*case.rules.windows, *declared), subject, case.now)
    if found is not None:
        yield found


def _scopes(case: _Case, action: model.Action) -> tuple[str, ...]:
    return guards.scopes_of(case.state.stack_id, action.target, action.provider, action.kind)


def _standing(case: _Case, action: model.Action) -> Iterator[tuple[str, guards.Breaker]]:
    """The breakers that an action goes through and that are not closed, by scope."""
    for part in case.found.both():
        for scope in _scopes(case, action):
            breaker = part.breakers.get(scope)
            if breaker is not None and breaker.uid in (None, "", case.state.uid):
                yield scope, breaker


def _half_open(case: _Case, action: model.Action) -> set[str]:
    return {scope for scope, each in _standing(case, action) if each.at(case.now) == "half_open"}


def _breakers(case: _Case, action: model.Action) -> Iterator[model.Blocker]:
    forced: Mapping[str, bool] = {
        scope: each.at(case.now) == "forced_closed" for scope, each in _standing(case, action)
    }
    for scope, breaker in _standing(case, action):
        at = breaker.at(case.now)
        if at == "half_open":
            others = case.under_way
            is_taken = breakers.is_taken(breaker, scope, action.id, others, case.now)
            if not is_taken and scope not in case.taken:
                continue
            detail = f"breaker {scope} lets one action through, and another one is it"
            until = None
        elif at in ("open", "forced_open"):
            detail = f"breaker {scope} is open ({breaker.reason}): {breaker.detail}"
            until = breaker.half_open_at if at == "open" else breaker.forced_until
        else:
            continue
        if not forced.get(scope):
            yield model.Blocker(
                code="breaker_open",
                detail=detail.rstrip(": "),
                until=until,
                remedy=f"mend the cause and reset breaker {scope}, or wait",
            )


def _budgets(case: _Case, action: model.Action) -> Iterator[model.Blocker]:
    components = len(case.state.presence)
    wanted = _wanted(case, action)
    spent = budgets.spent(case.heals, wanted, case.now, components=components)
    if spent is not None:
        yield model.Blocker(
            code="budget_spent",
            detail=f"{spent.limit} actions an hour of {spent.scope} are spent",
            until=spent.until,
            remedy="wait, and find out why so much is to be healed",
        )


def _fights(case: _Case, action: model.Action) -> Iterator[model.Blocker]:
    if case.manual:
        return
    for drift_id in action.drift_ids:
        fight = fights.contested(case.state, drift_id, case.now)
        if fight is not None:
            yield model.Blocker(
                code="contested",
                detail=fight.detail,
                until=fight.until,
                remedy="agree on who owns it: change the declaration, or ignore the field",
            )


def _approvals(case: _Case, action: model.Action) -> Iterator[model.Blocker]:
    if not action.requires_approval:
        return
    approval = case.state.approval
    asked = approval is not None and approval.digest == case.plan.digest
    if asked and approval is not None and approval.status == "granted":
        return
    named = f": helios approve {approval.approval_id}" if asked and approval is not None else ""
    yield model.Blocker(
        code="approval_missing",
        detail=action.approval_reason,
        remedy=f"have it approved{named}",
    )


def _dependencies(case: _Case, action: model.Action) -> Iterator[model.Blocker]:
    mended = {each.target: each.id for each in case.plan.actions}
    for before in action.depends_on:
        if before in case.held:
            target = next(t for t, action_id in mended.items() if action_id == before)
            yield _waits(f"{target} has to be mended first", case.held[before])
    for address in action.needs:
        if mended.get(address) in action.depends_on:
            continue
        reason = _unhealthy(case.state, address)
        if reason is not None:
            yield _waits(f"it relies on {address}, {reason}", None)


def _waits(detail: str, until: clocks.Timestamp | None) -> model.Blocker:
    return model.Blocker(
        code="dependency_unhealthy", detail=detail, until=until, remedy="mend that first"
    )


def _unhealthy(state: stack.Stack, address: str) -> str | None:
    """Why a component cannot be relied on; None: it can, or nothing is known of it."""
    presence = state.presence.get(address)
    if presence == "absent":
        return "which is not there"
    if presence == "unknown":
        return "which cannot be looked at"
    for drift in _worst_first(state.drifts.values()):
        if drift.component == address and drift.severity in _BAD and drift.state not in _SETTLED:
            return f"which has drifted ({drift.cause})"
    return None


def _worst_first(drifts: Iterable[model.Drift]) -> list[model.Drift]:
    return sorted(drifts, key=lambda each: -model.SEVERITIES.index(each.severity))
