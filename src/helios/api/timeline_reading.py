"""Reads what the timeline of a key is made of: verdicts, their events, and what was tried."""

from collections.abc import Sequence

from helios.api import links, scoping, services, timeline
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.projections.views import event_mirror
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import repairs, verdicts


async def read(parts: services.Services, client_id: str, name: str, key: str) -> timeline.Read:
    """What there is of a key.

    Raises:
        NotFoundError: no event of the key is known to the contract.
    """
    current = await parts.verdicts.latest(client_id, name, key)
    if not current:
        raise errors.NotFoundError(
            f"contract {name[:80]!r} of client {client_id[:80]} knows no event of key {key[:80]!r}"
        )
    history = await parts.verdicts.history(client_id, name, key)
    newest = max(current, key=lambda each: each.window_start)
    of = await _contract(parts, newest)
    ids = [each.id for each in history[-limits.TIMELINE_EVENTS_MAX :]]
    return timeline.Read(
        contract=of,
        current=current,
        history=history,
        events=await _events(parts, of, client_id, current),
        watermark=parts.verdicts.watermark(client_id, name),
        repairs=await _tried(parts, client_id, ids),
        alerts=await _told(parts, client_id, ids),
    )


async def _contract(parts: services.Services, seen: verdicts.Verdict) -> contracts.Contract:
    """The contract as it was when this was judged."""
    # As the view of verdicts has it, so that it is there whenever the verdict is.
    for each in await parts.standing.declared():
        row = each.row
        if (row.tenant, row.name, row.version) == (
            seen.tenant,
            seen.contract,
            seen.contract_version,
        ):
            return each.parsed
    raise errors.NotFoundError(f"contract {seen.contract[:80]!r} has no such version any more")


async def _events(
    parts: services.Services,
    of: contracts.Contract,
    client_id: str,
    current: Sequence[verdicts.Verdict],
) -> dict[str, list[envelope.Event]]:
    """The events of each leg, by event time."""
    found: dict[str, list[envelope.Event]] = {}
    left = limits.TIMELINE_EVENTS_MAX
    for leg in of.legs:
        ids = dict.fromkeys(
            event_id for each in current for event_id in each.events.get(leg.name, ())
        )
        wanted = list(ids)[-max(0, left) :] if left > 0 else []
        left -= len(wanted)
        events = [await _event(parts, client_id, leg.source, each) for each in wanted]
        seen = [each for each in events if each is not None]
        found[leg.name] = sorted(seen, key=lambda each: (each.occurred_at, each.position))
    return found


async def _event(
    parts: services.Services, client_id: str, source: str | None, event_id: str
) -> envelope.Event | None:
    if source is not None:
        return await parts.log.find(client_id, source, event_id)
    entries = await event_mirror.by_id(parts.store, client_id, event_id)
    read_ = await parts.log.read_at([each.position for each in entries[:1]])
    return read_[0] if read_ else None


async def _tried(
    parts: services.Services, client_id: str, ids: Sequence[str]
) -> list[timeline.Tried]:
    if not ids:
        return []
    rows = await parts.store.query(
        repairs.NAME,
        "SELECT verdict, leg, number, outcome, detail, at, position FROM {t}attempts "
        f"WHERE tenant = ? AND verdict IN ({scoping.marks(ids)}) ORDER BY position LIMIT ?",
        (client_id, *ids, limits.TIMELINE_EVENTS_MAX),
    )
    return [
        timeline.Tried(
            verdict_id=row[0],
            leg=row[1],
            number=row[2],
            outcome=row[3],
            detail=row[4],
            at=clocks.to_rfc3339(clocks.Timestamp(row[5])),
            link=links.event(row[6]),
        )
        for row in rows
    ]


async def _told(
    parts: services.Services, client_id: str, ids: Sequence[str]
) -> list[timeline.Told]:
    if not ids:
        return []
    rows = await parts.store.query(
        repairs.NAME,
        "SELECT verdict, reason, at, position FROM {t}alerts "
        f"WHERE tenant = ? AND verdict IN ({scoping.marks(ids)}) ORDER BY position LIMIT ?",
        (client_id, *ids, limits.TIMELINE_EVENTS_MAX),
    )
    return [
        timeline.Told(
            verdict_id=row[0],
            reason=row[1],
            at=clocks.to_rfc3339(clocks.Timestamp(row[2])),
            link=links.event(row[3]),
        )
        for row in rows
    ]
