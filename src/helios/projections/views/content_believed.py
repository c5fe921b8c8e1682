"""What content there is as far as events tell; pollers compare it with what a provider lists."""

from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.projections import ports
from helios.projections.views import content

PAGE = 1_000

Key: TypeAlias = tuple[str, str, str, str]
"""Type, id, language (empty: none), stage."""

_PAGE = (
    "SELECT type, id, locale, stage, version, changed_at, refreshed_at FROM {t}content "
    "WHERE tenant = ? AND source = ? AND gone = 0 AND (type, id, locale, stage) > (?, ?, ?, ?) "
    f"ORDER BY type, id, locale, stage LIMIT {PAGE}"
)
_INVALID = (
    "SELECT type, id, locale, stage FROM {t}content WHERE tenant = ? AND source = ? AND gone = 0 "
    "AND refreshed_at = 0 ORDER BY type, id, locale, stage LIMIT ?"
)


class Believed:
    """`ingest.comparing.Believed` over the view of content.

    Args:
        store: where the view is.
    """

    def __init__(self, store: ports.ViewStore) -> None:
        self._store = store

    async def believed(
        self, tenant: str, source: str
    ) -> AsyncIterator[tuple[Key, str, clocks.Timestamp, clocks.Timestamp]]:
        """What is there: which, in which version, since when, and when it was last heard of.

        Raises:
            StorageError: it cannot be read now.
        """
        after: Key = ("", "", "", "")
        while True:
            rows = await self._store.query(content.NAME, _PAGE, (tenant, source, *after))
            for row in rows:
                after = (row[0], row[1], row[2], row[3])
                yield after, row[4], clocks.Timestamp(row[5]), clocks.Timestamp(row[6])
            if len(rows) < PAGE:
                return

    async def invalid(self, tenant: str, source: str, limit: int) -> Sequence[Key]:
        """What is there and not to be trusted. Raises StorageError."""
        rows = await self._store.query(content.NAME, _INVALID, (tenant, source, limit))
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    def confirmation(
        self, tenant: str, source: str, types: Sequence[str], as_of: clocks.Timestamp
    ) -> envelope.NewEvent:
        """The event that says: then the provider had what is known, of these types."""
        said = content.Confirmation(source=source, types=tuple(types), as_of=as_of)
        return envelope.NewEvent(
            id=f"content-confirmed/{source}/{as_of}",
            source=content.SOURCE,
            type=content.CONFIRMED,
            tenant=tenant,
            aggregate_type=content.AGGREGATE_TYPE,
            aggregate_id=source,
            occurred_at=as_of,
            actor="service:helios",
            payload=jsonio.encode(said),
        )
