"""Fields of what could not be taken, of the views, and of anything by its id."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from helios.api import dead_letters as shown
from helios.api.graph import (
    bounds,
    context,
    fields_events,
    fields_stacks,
    fields_streams,
    naming,
    pages,
)
from helios.api.routes import contracts as contract_routes
from helios.kernel import errors
from helios.projections.views import dead_letters

Find: TypeAlias = Callable[[context.Context, Sequence[Any]], Awaitable[Any]]

_BY_KIND: Mapping[str, tuple[int, Find]] = {
    fields_events.EVENT: (2, fields_events.by_parts),
    fields_streams.CONTRACT: (2, fields_streams.contract_by_parts),
    fields_streams.VERDICT: (5, fields_streams.verdict_by_parts),
    fields_stacks.STACK: (2, fields_stacks.stack_by_parts),
    fields_stacks.DRIFT: (4, fields_stacks.drift_by_parts),
    fields_stacks.PLAN: (2, fields_stacks.plan_by_parts),
    fields_stacks.APPROVAL: (2, fields_stacks.approval_by_parts),
    fields_stacks.RECONCILIATION: (2, fields_stacks.run_by_parts),
}
"""Parts of an id and how it is found, by kind."""


def kind_of(value: Any, *_: Any) -> str:
    """What a value with an id is called in the schema."""
    names: dict[type[Any], str] = {
        fields_events.Shown: fields_events.EVENT,
        fields_streams.Seen: fields_streams.VERDICT,
        contract_routes.ContractView: fields_streams.CONTRACT,
        **fields_stacks.kinds(),
    }
    return names[type(value)]


async def node(_: Any, info: Any, *, id: str) -> Any:  # noqa: A002 - name of the argument
    """Anything by its id; None: there is no such thing."""
    kind, parts = naming.read_id(id)
    length, find = _BY_KIND.get(kind, (0, None))
    if find is None or len(parts) != length:
        raise errors.InvalidInputError("none of ours; give it back as it came", field="id")
    try:
        return await find(context.of(info), parts)
    except errors.NotFoundError:
        return None


async def nodes(_: Any, info: Any, *, ids: Sequence[str]) -> list[Any]:
    """Several things by their ids."""
    if len(ids) > bounds.FIRST_MAX:
        raise errors.InvalidInputError(f"at most {bounds.FIRST_MAX}", field="ids")
    return list(await asyncio.gather(*(node(None, info, id=each) for each in ids)))


def _where(given: Mapping[str, Any]) -> dead_letters.Where:
    status: Any = given.get("status") or "open"
    return dead_letters.Where(
        client_id=context.client(given.get("client_id")),
        source=given.get("source"),
        reason=given.get("reason"),
        event_type=given.get("type"),
        status=None if status == "all" else status,
    )


async def letters(
    _: Any, info: Any, *, first: int | None = None, after: str | None = None, **where: Any
) -> pages.Connection:
    """What could not be taken, newest first."""
    count = pages.size(first)
    store = context.of(info).parts.store
    page = await dead_letters.page(store, _where(where), after=after, limit=count)
    edges = [pages.Edge(str(each.position), shown.letter(each)) for each in page.letters]
    return pages.page(edges, count, more=page.next_cursor is not None)


async def groups(
    _: Any, info: Any, *, first: int | None = None, **where: Any
) -> list[shown.GroupView]:
    """Dead letters by cause."""
    count = pages.size(first)
    found = await dead_letters.groups(context.of(info).parts.store, _where(where))
    return [shown.group(each) for each in found.groups[:count]]


def views(_: Any, info: Any) -> Sequence[Any]:
    """How the views are doing."""
    return context.of(info).parts.views.health()


QUERY = {
    "node": node,
    "nodes": nodes,
    "deadLetters": letters,
    "deadLetterGroups": groups,
    "views": views,
}
FIELDS = {"DeadLetter": {"letterId": lambda seen, _: seen.id}}
