"""What people may order of a stack, and the events that an order becomes.

Pure: the state in, events out, or a refusal that says what to do instead. What is so already needs
no event. Who may order what is checked before; that nothing was said of the stack since is checked
when the events are appended.
"""

from typing import Literal, Protocol

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.reconcile.compositions import (
    composition,
    events,
    guard_events,
    lifecycle,
    model,
    policy,
    refusals,
    rules,
    stack,
    telling,
    versions,
    writer,
)

REMOVALS_MAX = 10
REMOVALS_SHARE = 0.2
"""Components that a declaration takes away at once without being asked: so many, or that part."""
RULES_MAX = 200
"""Ignore rules of one stack, beside those of its policy. Above: refused."""

_WAITING = ("planned", "awaiting_approval")
_UNDER_WAY = ("healing", "verifying")


class AskedRule(Protocol):
    """An ignore rule as it is asked for; see `policy.IgnoreRule`."""

    @property
    def id(self) -> str: ...
    @property
    def component(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def effect(self) -> policy.Ignored: ...
    @property
    def owner(self) -> str: ...
    @property
    def reason(self) -> str: ...


# -- what is declared ----------------------------------------------------------------------------


def declare(
    state: stack.Stack,
    declared: composition.Composition,
    *,
    before: composition.Composition | None,
    id_source: ids.Ids,
    note: str = "",
    allow_removals: bool = False,
    if_match: int | None = None,
) -> list[writer.Said]:
    """Declare a stack; nothing when it is declared so already.

    Args:
        state: as it is, also of a stack of which nothing is known.
        declared: what is to be so from now on.
        before: what is declared now; None: nothing, or this version cannot read it.
        id_source: makes the name of a new incarnation.
        note: for people, kept with the version.
        allow_removals: also where it takes many components away at once.
        if_match: the generation that it replaces; None: any.

    Raises:
        ConflictError: another generation is declared than the one that is to be replaced.
        InvalidInputError: it is the declaration of another stack.
        StackPinnedError, RevisionRejectedError, RemovalsRefusedError: see there.
    """
    _refuse_other(state, declared.client_id, declared.stack_id)
    if state.client_id == guard_events.SYSTEM_TENANT:
        # Its breakers, fuses and heals would be those of all clients.
        raise errors.InvalidInputError(
            f"client {state.client_id} is kept for what holds for all: take another name",
            field="client_id",
        )
    _refuse_stale(state, if_match)
    if state.is_declared and state.hash == declared.hash:
        return []
    if state.pinned is not None and state.is_declared:
        raise refusals.StackPinnedError(
            f"{_name(state)} is pinned at {_version_of(state, state.pinned)}: `helios unpin "
            f"{_name(state)}` lets it take new versions again"
        )
    _refuse_rejected(state, declared)
    if not allow_removals:
        _refuse_removals(state, before, declared)
    return [_declared(state, declared, before, id_source, note=note)]


def remove(state: stack.Stack, *, reason: str) -> list[writer.Said]:
    """Keep a stack no more; nothing of it is deleted anywhere, and its history stays."""
    if not state.is_declared:
        return []
    return [(events.STACK_REMOVED, events.Noted(reason=reason))]


def set_policy(state: stack.Stack, declared: policy.Policy) -> list[writer.Said]:
    """Declare the policy of a stack.

    Raises:
        InvalidInputError: it is the policy of another stack.
        NotFoundError: the stack is not declared.
    """
    _refuse_other(state, declared.client_id, declared.stack_id)
    _refuse_undeclared(state)
    if state.policy_hash == declared.hash:
        return []
    said = events.PolicyDeclared(text=declared.text, hash=declared.hash)
    return [(events.POLICY_DECLARED, said)]


def unset_policy(state: stack.Stack) -> list[writer.Said]:
    """Have the defaults hold again."""
    if not state.policy_hash:
        return []
    return [(events.POLICY_DECLARED, events.PolicyDeclared(text="", hash=""))]


def rollback(
    state: stack.Stack,
    target: stack.Version,
    declared: composition.Composition,
    *,
    before: composition.Composition | None,
    id_source: ids.Ids,
    reason: str = "",
) -> list[writer.Said]:
    """Declare an earlier version again, stay at it, and take the one that is left never again.

    Args:
        state: as it is.
        target: the version to go back to; see `versions.named` and `versions.at`.
        declared: its content.
        before: what is declared now; None: this version of Helios cannot read it.
        id_source: as of `declare`.
        reason: for people.

    Raises:
        NotFoundError: the stack is not declared.
        RevisionRejectedError: that version was itself rolled back.
        NothingToDoError: its content is what is declared now.
    """
    _refuse_undeclared(state)
    if declared.hash == state.hash:
        raise refusals.NothingToDoError(
            f"{_name(state)} declares the content of {target.version} already; `helios pin "
            f"{_name(state)}` has it stay there"
        )
    _refuse_rejected(state, declared)
    why = reason or f"rollback to {target.version}"
    kind, said = _declared(state, declared, before, id_source, note=why, restores=target.generation)
    left = events.Rejected(hash=state.hash, version=state.version, reason=why)
    pinned = events.Pinned(generation=said.generation, version=said.version, reason=why)
    return [
        (kind, said),
        (events.REVISION_REJECTED, left),
        (events.STACK_PINNED, pinned),
    ]


def pin(state: stack.Stack, *, version: str | None = None, reason: str = "") -> list[writer.Said]:
    """Have a stack stay at its present version.

    Raises:
        NotFoundError: the stack is not declared, or has no such version.
        RefusedError: it is another version than the present one.
    """
    _refuse_undeclared(state)
    if version is not None:
        found = versions.named(state.versions, version)
        if found.generation != state.generation:
            raise refusals.RefusedError(
                f"{_name(state)} is at {state.version}: `helios rollback {_name(state)} --to "
                f"{found.version}` goes back to {found.version} and stays there"
            )
    if state.pinned == state.generation:
        return []
    said = events.Pinned(generation=state.generation, version=state.version, reason=reason)
    return [(events.STACK_PINNED, said)]


def unpin(state: stack.Stack, *, reason: str = "") -> list[writer.Said]:
    """Have a stack take new versions again, those that were rolled back too."""
    if state.pinned is None and not state.rejected:
        return []
    return [(events.STACK_UNPINNED, events.Noted(reason=reason))]


# -- what is said of drift -----------------------------------------------------------------------


def acknowledge(
    state: stack.Stack, drift_id: str, *, actor: str, reason: str = ""
) -> list[writer.Said]:
    """Take note of a drift: it stays, and is neither healed nor told of again.

    Raises:
        NotFoundError: the stack has none of that id.
        DriftClosedError: it is over.
        RefusedError: it is being healed.
    """
    drift = _answerable(state, drift_id)
    if drift.state == "acknowledged":
        return []
    why = f"acknowledged by {actor}: {reason}".rstrip(": ")
    return [*_unplanned(state, drift, why), _acknowledged(state, drift, why)]


def false_positive(
    state: stack.Stack, drift_id: str, *, actor: str, reason: str = "", now: clocks.Timestamp
) -> list[writer.Said]:
    """Say that a drift is none; how sure Helios is of the next one of its kind suffers.

    Raises as `acknowledge` does.
    """
    drift = _answerable(state, drift_id)
    why = f"false positive, says {actor}: {reason}".rstrip(": ")
    over = telling.closed(state, [drift_id], "false_positive", why, now=now, run_id=None)
    return [*_unplanned(state, drift, why), *over]


def cancel(state: stack.Stack, *, actor: str, reason: str = "") -> list[writer.Said]:
    """Give up the plan; what it was for is left to people, lest the next pass plan it again.

    An action that was begun ends, and is verified; none is begun after it.

    Raises:
        NothingToDoError: there is no plan.
    """
    if state.plan is None:
        under_way = state.open_heals()
        hint = f"; {under_way[0].action.id} is under way and cannot be stopped" if under_way else ""
        raise refusals.NothingToDoError(
            f"{_name(state)} has no plan that could be given up{hint}: `helios pause "
            f"{_name(state)}` keeps it from being healed"
        )
    why = f"cancelled by {actor}: {reason}".rstrip(": ")
    void = events.PlanVoided(plan_id=state.plan.plan_id, code="cancelled", detail=why)
    waiting = [each for each in state.drifts.values() if each.state in _WAITING]
    return [
        (events.PLAN_VOIDED, void),
        *(_acknowledged(state, drift, why) for drift in waiting),
    ]


def baseline(
    state: stack.Stack, *, reason: str, expires_at: clocks.Timestamp | None = None
) -> list[writer.Said]:
    """Take all present drifts as known; a new baseline replaces the one before.

    Raises:
        InvalidInputError: no reason is given.
        NotFoundError: the stack is not declared.
    """
    _refuse_undeclared(state)
    _need(reason, "reason", "say why what is there is as it should be")
    found = tuple(sorted({each.fingerprint for each in state.drifts.values()}))
    if not found and not state.baseline:
        return []
    said = events.Baseline(fingerprints=found, reason=reason, expires_at=expires_at)
    return [(events.BASELINE_TAKEN, said)]


def declare_rule(
    state: stack.Stack,
    asked: AskedRule,
    *,
    actor: str,
    expires_at: clocks.Timestamp | None,
    id_source: ids.Ids,
) -> list[writer.Said]:
    """Say that a difference is known; a rule of the same id is replaced.

    Raises:
        InvalidInputError: no reason, a wrong path, or it leaves out everything.
        NotFoundError: the stack is not declared.
        RefusedError: there are too many.
    """
    _refuse_undeclared(state)
    _need(asked.reason, "reason", "say why this difference is as it should be")
    if asked.component in ("", "*") and not rules.parse_path(asked.path):
        raise errors.InvalidInputError(
            "it leaves out everything: name a component, a path, or both", field="component"
        )
    rules.parse_path(asked.path)
    rule = policy.IgnoreRule(
        id=asked.id or f"rule-{id_source.new()[-12:]}",
        component=asked.component or "*",
        path=asked.path,
        effect=asked.effect,
        owner=asked.owner or actor,
        reason=asked.reason,
        expires_at=expires_at,
    )
    if rule in state.rules:
        return []
    if len(state.rules) >= RULES_MAX and all(each.id != rule.id for each in state.rules):
        raise refusals.RefusedError(
            f"{_name(state)} has {len(state.rules)} ignore rules: remove some with `helios drift "
            "ignore --remove`, or declare them in its policy"
        )
    return [(events.RULE_DECLARED, events.Rule(rule=rule))]


def remove_rule(state: stack.Stack, rule_id: str, *, reason: str = "") -> list[writer.Said]:
    """Have a rule hold no more.

    Raises:
        NotFoundError: the stack has no rule of that id of its own.
    """
    if all(each.id != rule_id for each in state.rules):
        raise errors.NotFoundError(
            f"{_name(state)} has no ignore rule {rule_id[:80]} of its own; one of its policy is "
            "removed there"
        )
    return [(events.RULE_REMOVED, events.RuleId(rule_id=rule_id, reason=reason))]


# -- whether anything is done --------------------------------------------------------------------


def suspend(
    state: stack.Stack,
    *,
    mode: Literal["heal_only", "all"],
    reason: str,
    until: clocks.Timestamp | None = None,
) -> list[writer.Said]:
    """Heal nothing, or do nothing at all, until a time or until it is resumed.

    Raises:
        InvalidInputError: no reason is given.
        NotFoundError: the stack is not declared.
    """
    _refuse_undeclared(state)
    _need(reason, "reason", "say why; whoever finds the stack suspended wants to know")
    held = state.suspended
    if held is not None and (held.mode, held.reason, held.until) == (mode, reason, until):
        return []
    return [(events.STACK_SUSPENDED, events.Suspended(mode=mode, reason=reason, until=until))]


def resume(state: stack.Stack, *, reason: str = "") -> list[writer.Said]:
    """Go on with a stack that was suspended; all of it is looked at anew."""
    if state.suspended is None:
        return []
    return [(events.STACK_RESUMED, events.Noted(reason=reason))]


# -- parts ---------------------------------------------------------------------------------------


def _name(state: stack.Stack) -> str:
    return f"{state.client_id}/{state.stack_id}"


def _version_of(state: stack.Stack, generation: int) -> str:
    found = next((each for each in state.versions if each.generation == generation), None)
    return found.version if found is not None else f"generation {generation}"


def _need(text: str, field: str, remedy: str) -> None:
    if not text.strip():
        raise errors.InvalidInputError(f"it is empty: {remedy}", field=field)


def _refuse_undeclared(state: stack.Stack) -> None:
    if not state.is_declared:
        raise errors.NotFoundError(f"{_name(state)} is not declared: `helios apply -f` declares it")


def _refuse_other(state: stack.Stack, client_id: str, stack_id: str) -> None:
    if (client_id, stack_id) != (state.client_id, state.stack_id):
        raise errors.InvalidInputError(
            f"this is about {client_id}/{stack_id}, and was sent to {_name(state)}: send it there, "
            "or change its metadata",
            field="metadata.stack_id" if client_id == state.client_id else "metadata.client_id",
        )


def _refuse_stale(state: stack.Stack, if_match: int | None) -> None:
    present = state.generation if state.is_declared else 0
    if if_match is not None and if_match != present:
        raise errors.ConflictError(
            f"{_name(state)} is at generation {present}, and not at {if_match}: somebody has "
            "declared it since; look at it again and decide again"
        )


def _refuse_rejected(state: stack.Stack, declared: composition.Composition) -> None:
    if declared.hash in state.rejected:
        raise refusals.RevisionRejectedError(
            f"this content was rolled back from {_name(state)} and must not come again: change "
            f"it, or allow it with `helios unpin {_name(state)}`"
        )


def _refuse_removals(
    state: stack.Stack,
    before: composition.Composition | None,
    declared: composition.Composition,
) -> None:
    """An empty or much smaller declaration is more often an accident than meant."""
    allow = "`helios apply --allow-removals` if it is meant"
    if not declared.components():
        raise refusals.RemovalsRefusedError(
            f"it declares nothing: {_name(state)} would be left without a component; {allow}"
        )
    if not state.is_declared:
        return
    if before is None:
        raise refusals.RemovalsRefusedError(
            f"what {_name(state)} declares now cannot be read by this version of Helios, so that "
            f"nobody can tell what would be removed; {allow}"
        )
    removed = versions.changes(before, declared).removed
    total = len(before.components())
    if len(removed) > REMOVALS_MAX or len(removed) > REMOVALS_SHARE * total:
        shown = ", ".join(removed[:5]) + (", …" if len(removed) > 5 else "")
        raise refusals.RemovalsRefusedError(
            f"it takes {len(removed)} of {total} components away from {_name(state)} ({shown}), "
            f"more than {REMOVALS_MAX} or {REMOVALS_SHARE:.0%}; {allow}"
        )


def _declared(
    state: stack.Stack,
    declared: composition.Composition,
    before: composition.Composition | None,
    id_source: ids.Ids,
    *,
    note: str,
    restores: int | None = None,
) -> tuple[str, events.Declared]:
    # Generations and versions go on over a removal: each names one content for ever.
    said = events.Declared(
        stack_id=state.stack_id,
        uid=state.uid if state.is_declared else id_source.new(),
        generation=state.generation + 1,
        version=versions.following(state.version, before if state.is_declared else None, declared),
        hash=declared.hash,
        text=declared.text,
        environment=declared.environment,
        note=note,
        restores=restores,
    )
    return (events.STACK_DECLARED, said)


def _answerable(state: stack.Stack, drift_id: str) -> model.Drift:
    drift = refusals.of_drift(state, drift_id)
    if drift.state in _UNDER_WAY:
        raise refusals.RefusedError(
            f"drift {drift_id} is being healed: wait until that has ended, or stop what would "
            f"come after it with `helios pause {_name(state)}`"
        )
    return drift


def _unplanned(state: stack.Stack, drift: model.Drift, why: str) -> list[writer.Said]:
    """The plan is void without this drift."""
    plan = state.plan
    if plan is None or drift.state not in _WAITING or drift.plan_id != plan.plan_id:
        return []
    void = events.PlanVoided(plan_id=plan.plan_id, code="superseded", detail=why)
    return [(events.PLAN_VOIDED, void)]


def _acknowledged(state: stack.Stack, drift: model.Drift, why: str) -> writer.Said:
    moved = lifecycle.Moved(
        event_type=events.DRIFT_ACKNOWLEDGED,
        drift=msgspec.structs.replace(drift, state="acknowledged", reason=why, plan_id=None),
        previous=drift.state,
    )
    return telling.drift(state, moved, None)
