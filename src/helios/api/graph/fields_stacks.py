"""Fields of declared stacks: drifts, plans, approvals, and what was done."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from helios.api import drifts as shown_drifts
from helios.api import plans as shown_plans
from helios.api import stacks as shown_stacks
from helios.api.graph import context, naming, pages
from helios.reconcile.compositions import exporting, reading, reading_many

STACK, DRIFT, PLAN = "Stack", "Drift", "Plan"
APPROVAL, RECONCILIATION = "Approval", "Reconciliation"
_PLACE = (int, str)


async def stack(
    _: Any, info: Any, *, stack_id: str, client_id: str | None = None
) -> shown_stacks.StackSummary | None:
    """A declared stack."""
    return await _stack(context.of(info), (context.owner(client_id), stack_id))


async def _stack(at: context.Context, name: context.Named) -> shown_stacks.StackSummary | None:
    known = await at.stacks.load(name)
    return None if known is None else shown_stacks.of_summary(known)


async def stacks(
    _: Any, info: Any, *, first: int | None = None, after: str | None = None, **where: Any
) -> pages.Connection:
    """Declared stacks by client and name."""
    count = pages.size(first)
    place = naming.read_cursor(STACK, after, (str, str))
    found = await reading.stacks(
        context.of(info).parts.store,
        context.client(where.get("client_id")),
        environment=where.get("environment"),
        status=where.get("status"),
        after=("", "") if place is None else (place[0], place[1]),
        limit=count + 1,
    )
    edges = [
        pages.Edge(naming.made(STACK, each.client_id, each.stack_id), shown_stacks.summary(each))
        for each in found
    ]
    return pages.page(edges, count)


# -- what a stack has ------------------------------------------------------------------------------


async def _known(seen: Any, info: Any) -> reading.Known | None:
    return await context.of(info).stacks.load((seen.client_id, seen.stack_id))


def _state(attribute: str) -> Callable[..., Any]:
    """A field that the state of a stack has as it is."""

    async def resolve(seen: Any, info: Any) -> Any:
        known = await _known(seen, info)
        return None if known is None else getattr(known.state, attribute)

    return resolve


async def conditions(seen: Any, info: Any) -> list[shown_stacks.ConditionView]:
    """The aspects of how a stack stands."""
    known = await _known(seen, info)
    return [] if known is None else [shown_stacks.condition(e) for e in known.state.conditions]


async def record(seen: Any, info: Any) -> Any:
    """The whole StateRecord."""
    known = await _known(seen, info)
    if known is None:
        return None
    store, state = context.of(info).parts.store, known.state
    text = await reading.text(store, state.client_id, state.stack_id, state.generation)
    rules = await reading.policy_text(store, state.client_id, state.stack_id)
    tree = exporting.record(state, text, policy_text=rules, last_verified=known.last_verified)
    return shown_stacks.record(known, tree)


async def open_drifts(seen: Any, info: Any) -> list[shown_drifts.DriftView]:
    """What a stack differs in now."""
    known = await _known(seen, info)
    return [] if known is None else shown_drifts.drift_status(known).drift_details


async def plan_at_hand(seen: Any, info: Any) -> shown_plans.PlanView | None:
    """The plan that a stack has now."""
    known = await _known(seen, info)
    if known is None or known.state.plan is None:
        return None
    return shown_plans.plan(known.state.plan)


async def approval_at_hand(seen: Any, info: Any) -> shown_plans.ApprovalView | None:
    """The question about the plan at hand."""
    known = await _known(seen, info)
    if known is None or known.state.approval is None:
        return None
    return shown_plans.approval(known.state.approval, seen.stack_id)


async def versions(seen: Any, info: Any) -> list[shown_stacks.VersionView]:
    """What was declared, newest first."""
    known = await _known(seen, info)
    if known is None:
        return []
    return [shown_stacks.version(known.state, e) for e in reversed(known.state.versions)]


# -- lists -----------------------------------------------------------------------------------------


async def _drift(_: context.Context, found: reading_many.Found) -> shown_drifts.DriftView:
    return shown_drifts.drift(found.client_id, found.stack_id, found.record)


async def _plan(at: context.Context, found: reading_many.Found) -> shown_plans.PlanView:
    """A plan, and why it is void: also one that another has taken the place of is."""
    known = await at.stacks.load((found.client_id, found.stack_id))
    current = None if known is None else known.state.plan
    if current is not None and current.plan_id == found.id:
        return shown_plans.plan(found.record)
    return shown_plans.plan(found.record, found.note or "superseded")


async def _approval(_: context.Context, found: reading_many.Found) -> shown_plans.ApprovalView:
    return shown_plans.approval(found.record, found.stack_id)


async def _heal(_: context.Context, found: reading_many.Found) -> shown_plans.HealView:
    return shown_plans.heal(found.client_id, found.stack_id, found.record)


async def _run(_: context.Context, found: reading_many.Found) -> shown_stacks.ReconciliationResult:
    return shown_stacks.result(found.record)


_SHOWN: dict[str, Callable[[context.Context, reading_many.Found], Any]] = {
    "drifts": _drift,
    "plans": _plan,
    "approvals": _approval,
    "heals": _heal,
    "runs": _run,
}


def _of_stack(table: str) -> Callable[..., Any]:
    """A field that lists records of a stack; those of many stacks are read at once."""

    async def resolve(
        seen: Any,
        info: Any,
        *,
        first: int | None = None,
        after: str | None = None,
        states: Sequence[str] | None = None,
    ) -> pages.Connection:
        at, count = context.of(info), pages.size(first)
        asked = context.Listing(
            table, _after(table, after), None if states is None else tuple(states), count + 1
        )
        found = await at.records(asked).load((seen.client_id, seen.stack_id))
        return await _page(at, table, found or [], count)

    return resolve


def _of_clients(table: str) -> Callable[..., Any]:
    """A field that lists records of all stacks of a client, or of all."""

    async def resolve(
        _: Any,
        info: Any,
        *,
        first: int | None = None,
        after: str | None = None,
        client_id: str | None = None,
        states: Sequence[str] | None = None,
        status: str | None = None,
    ) -> pages.Connection:
        at, count = context.of(info), pages.size(first)
        client = context.client(client_id)
        found = await reading_many.of_clients(
            at.parts.store,
            table,
            None if client is None else [client],
            before=_after(table, after),
            states=states if status is None else [status],
            limit=count + 1,
        )
        return await _page(at, table, found, count)

    return resolve


async def _page(
    at: context.Context, table: str, found: Sequence[reading_many.Found], count: int
) -> pages.Connection:
    edges = [
        pages.Edge(naming.made(table, each.position, each.id), await _SHOWN[table](at, each))
        for each in found[:count]
    ]
    return pages.page(edges, count, more=len(found) > count)


def _after(table: str, after: str | None) -> tuple[int, str] | None:
    place = naming.read_cursor(table, after, _PLACE)
    return None if place is None else (place[0], place[1])


async def plan(
    _: Any, info: Any, *, plan_id: str, client_id: str | None = None
) -> shown_plans.PlanView | None:
    """A plan by its id."""
    return await _plan_by(context.of(info), (context.owner(client_id), plan_id))


async def _plan_by(at: context.Context, name: context.Named) -> shown_plans.PlanView | None:
    """As `GET /api/v1/plans/{id}` has it."""
    found = await at.plans.load(name)
    return None if found is None else shown_plans.plan(found.record, found.note)


async def stack_of(seen: Any, info: Any) -> shown_stacks.StackSummary | None:
    """The stack that something is of."""
    return await _stack(context.of(info), (seen.client_id, seen.stack_id))


def result(seen: shown_stacks.ReconciliationResult, _: Any) -> Any:
    """All of what became of a reconciliation."""
    return seen


# -- ids -------------------------------------------------------------------------------------------


def _id(kind: str, *attributes: str) -> Callable[..., str]:
    def resolve(seen: Any, _: Any) -> str:
        return naming.made(kind, *(getattr(seen, each) for each in attributes))

    return resolve


async def stack_by_parts(at: context.Context, parts: Sequence[Any]) -> Any:
    """The stack of an id."""
    return await _stack(at, (parts[0], parts[1]))


async def drift_by_parts(at: context.Context, parts: Sequence[Any]) -> Any:
    """The drift of an id, in the occurrence that it names."""
    client_id, stack_id, drift_id, occurrence = parts
    found = await reading.drift(at.parts.store, client_id, stack_id, drift_id)
    shown = (shown_drifts.drift(client_id, stack_id, each) for each in found)
    return next((each for each in shown if each.occurrence == occurrence), None)


async def plan_by_parts(at: context.Context, parts: Sequence[Any]) -> Any:
    """The plan of an id."""
    return await _plan_by(at, (parts[0], parts[1]))


async def approval_by_parts(at: context.Context, parts: Sequence[Any]) -> Any:
    """The approval of an id."""
    found, stack_id = await reading.approval(at.parts.store, parts[0], parts[1])
    return shown_plans.approval(found, stack_id)


async def run_by_parts(at: context.Context, parts: Sequence[Any]) -> Any:
    """The reconciliation of an id."""
    found = await reading.reconciliation(at.parts.store, parts[0], parts[1])
    return None if found is None else shown_stacks.result(found)


QUERY = {
    "stack": stack,
    "stacks": stacks,
    "drifts": _of_clients("drifts"),
    "plan": plan,
    "approvals": _of_clients("approvals"),
}
FIELDS = {
    "Stack": {
        "id": _id(STACK, "client_id", "stack_id"),
        "conditions": conditions,
        "error": _state("error"),
        "position": _state("position"),
        "pinned": _state("pinned"),
        "record": record,
        "openDrifts": open_drifts,
        "drifts": _of_stack("drifts"),
        "plan": plan_at_hand,
        "plans": _of_stack("plans"),
        "approval": approval_at_hand,
        "approvals": _of_stack("approvals"),
        "reconciliations": _of_stack("runs"),
        "heals": _of_stack("heals"),
        "versions": versions,
    },
    "Drift": {
        "id": _id(DRIFT, "client_id", "stack_id", "drift_id", "occurrence"),
        "stack": stack_of,
    },
    "Plan": {"id": _id(PLAN, "client_id", "plan_id"), "stack": stack_of},
    "Approval": {"id": _id(APPROVAL, "client_id", "approval_id"), "stack": stack_of},
    "Reconciliation": {
        "id": _id(RECONCILIATION, "client_id", "reconciliation_id"),
        "result": result,
    },
}


def kinds() -> dict[type[msgspec.Struct], str]:
    """Names of what has an id, by the type that stands for it."""
    return {
        shown_stacks.StackSummary: STACK,
        shown_drifts.DriftView: DRIFT,
        shown_plans.PlanView: PLAN,
        shown_plans.ApprovalView: APPROVAL,
        shown_stacks.ReconciliationResult: RECONCILIATION,
    }
