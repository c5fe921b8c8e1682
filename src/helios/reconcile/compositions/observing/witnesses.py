"""What the log tells of a provider: that it sent something lately speaks for it.

That it sent nothing says nothing: a shop may be quiet, an editor on holiday.
"""

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections.views import event_mirror
from helios.reconcile.compositions import model
from helios.reconcile.compositions.observing import cache, looking

LATELY = clocks.Timestamp(24 * 3600 * clocks.SECOND_US)


async def events(view: looking.View, source: str | None) -> tuple[model.Evidence, ...]:
    """The last event of a source in the last 24 hours, as a witness; empty when there is none."""
    if source is None:
        return ()
    tools, client_id = view.tools, view.stack.client_id

    async def ask() -> cache.Kept[event_mirror.Entry | None]:
        page = await event_mirror.by_provider(
            tools.store,
            client_id,
            source,
            since=clocks.Timestamp(view.now() - LATELY),
            until=clocks.Timestamp(view.now() + 1),
            limit=1,
        )
        return cache.Kept(value=page.entries[0] if page.entries else None)

    try:
        entry = await tools.cache.get(("event", client_id, source), ask, since=view.since)
    except errors.HeliosError:
        # The view is being built, the database is away: a witness less.
        return ()
    if entry is None:
        return ()
    return (
        model.Evidence(
            kind="signed_event",
            witness=f"event:{source}",
            at=entry.timestamp,
            detail=entry.event_type,
            event_id=entry.event_id,
            position=entry.position,
        ),
    )
