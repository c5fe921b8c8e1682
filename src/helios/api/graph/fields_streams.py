"""Fields of contracts over streams and of their verdicts."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from helios.api import wire
from helios.api.graph import context, fields_events, naming, pages
from helios.api.routes import contracts as contract_routes
from helios.api.routes import verdicts as verdict_routes
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections.views import contracts
from helios.reconcile.streams import verdicts

CONTRACT, VERDICT = "Contract", "Verdict"
_LISTED = ("matched", "mismatched", "partial")


class Seen(msgspec.Struct, frozen=True):
    """A verdict, as the routes show it and as it was judged."""

    view: verdict_routes.VerdictView
    verdict: verdicts.Verdict


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """The events of one leg; `places` is None where they have to be looked for by id."""

    name: str
    event_ids: list[str]
    client_id: str
    places: Sequence[int] | None


def _show(found: verdicts.Verdict) -> Seen:
    return Seen(verdict_routes.view(found), found)


def _contract(found: contracts.Contract) -> contract_routes.ContractView:
    return contract_routes.ContractView(
        name=found.name,
        client_id=found.client_id,
        version=found.version,
        position=found.position,
        declared_at=clocks.to_rfc3339(found.declared_at),
        withdrawn=found.is_withdrawn,
        yaml=found.yaml,
    )


async def contract(
    _: Any, info: Any, *, name: str, client_id: str | None = None
) -> contract_routes.ContractView | None:
    """The version of a contract that applies now."""
    found = await context.of(info).contracts.load((context.owner(client_id), name))
    return None if found is None else _contract(found)


async def all_contracts(
    _: Any,
    info: Any,
    *,
    first: int | None = None,
    after: str | None = None,
    client_id: str | None = None,
) -> pages.Connection:
    """Contracts that apply now, by client and name."""
    count = pages.size(first)
    place = naming.read_cursor(CONTRACT, after, (str, str))
    found = await contracts.all_current(context.of(info).parts.store, context.client(client_id))
    past = ("", "") if place is None else (place[0], place[1])
    later = [each for each in found if (each.client_id, each.name) > past]
    edges = [
        pages.Edge(naming.made(CONTRACT, each.client_id, each.name), _contract(each))
        for each in later[: count + 1]
    ]
    return pages.page(edges, count)


async def listing(
    _: Any, info: Any, *, first: int | None = None, after: str | None = None, **where: Any
) -> pages.Connection:
    """Current verdicts, newest first."""
    statuses = where.get("statuses")
    if statuses is not None and not set(statuses) <= set(_LISTED):
        raise errors.InvalidInputError(
            "pending keys are not listed; ask for the key", field="statuses"
        )
    count = pages.size(first)
    page = await context.of(info).parts.verdicts.page(
        context.client(where.get("client_id")),
        contract=where.get("contract"),
        statuses=cast("Sequence[verdicts.Status] | None", statuses),
        start=wire.when(where.get("since"), "since"),
        end=wire.when(where.get("until"), "until"),
        after=after,
        limit=count,
    )
    edges = [
        pages.Edge(place, _show(each))
        for place, each in zip(page.places, page.verdicts, strict=True)
    ]
    return pages.page(edges, count, more=page.next is not None)


async def key(
    _: Any, info: Any, *, key: str, contract: str | None = None, client_id: str | None = None
) -> list[Seen]:
    """The verdicts of a key that nothing supersedes."""
    parts = context.of(info).parts
    found = await parts.verdicts.latest(context.owner(client_id), contract, key)
    return [_show(each) for each in found]


async def counts(_: Any, info: Any, *, client_id: str | None = None) -> list[dict[str, Any]]:
    """How many current verdicts there are of each status."""
    found = await context.of(info).parts.verdicts.counts(context.client(client_id))
    return [{"status": status, "count": count} for status, count in sorted(found.items())]


async def of_contract(
    seen: contract_routes.ContractView, info: Any, **asked: Any
) -> pages.Connection:
    """Verdicts of one contract."""
    return await listing(None, info, client_id=seen.client_id, contract=seen.name, **asked)


async def legs(seen: Seen, info: Any) -> list[Leg]:
    """The events of each leg that has any."""
    verdict = seen.verdict
    places = await context.of(info).legs.load(verdict.place)
    return [
        Leg(
            name=name,
            event_ids=ids,
            client_id=verdict.tenant,
            places=None if places is None else places.get(name, ()),
        )
        for name, ids in verdict.events.items()
    ]


async def events_of(leg: Leg, info: Any) -> list[fields_events.Shown]:
    """The events of a leg; by id where the verdict is still pending."""
    at = context.of(info)
    if leg.places is None:
        named = [(leg.client_id, each) for each in leg.event_ids]
        found = await at.named.load_all(named)
    else:
        found = await at.events.load_all(list(leg.places))
    ordered = sorted(found, key=lambda each: each.position)
    return [fields_events.show(each) for each in ordered]


async def declared(seen: Seen, info: Any) -> contract_routes.ContractView | None:
    """The contract as it applies now."""
    found = await context.of(info).contracts.load((seen.verdict.tenant, seen.verdict.contract))
    return None if found is None else _contract(found)


def id_of_contract(seen: contract_routes.ContractView, _: Any) -> str:
    """The opaque id of a contract."""
    return naming.made(CONTRACT, seen.client_id, seen.name)


def id_of_verdict(seen: Seen, _: Any) -> str:
    """The opaque id of a verdict."""
    return naming.made(VERDICT, *seen.verdict.place)


async def contract_by_parts(
    at: context.Context, parts: Sequence[Any]
) -> contract_routes.ContractView | None:
    """The contract of an id."""
    found = await at.contracts.load((parts[0], parts[1]))
    return None if found is None else _contract(found)


async def verdict_by_parts(at: context.Context, parts: Sequence[Any]) -> Seen | None:
    """The verdict of an id, superseded or not, or pending."""
    tenant, name, of_key = parts[:3]
    reader = at.parts.verdicts
    known, now = await asyncio.gather(
        reader.history(tenant, name, of_key), reader.latest(tenant, name, of_key)
    )
    return next((_show(each) for each in (*known, *now) if list(each.place) == list(parts)), None)


QUERY = {
    "contract": contract,
    "contracts": all_contracts,
    "verdicts": listing,
    "key": key,
    "verdictCounts": counts,
}
FIELDS = {
    "Contract": {"id": id_of_contract, "verdicts": of_contract},
    "Verdict": {
        "id": id_of_verdict,
        "verdictId": lambda seen, _: seen.view.id,
        "legs": legs,
        "declared": declared,
    },
    "Leg": {"events": events_of},
}
