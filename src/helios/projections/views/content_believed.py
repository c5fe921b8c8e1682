"""What content there is as far as events tell; pollers compare it with what a provider lists."""

from collections.abc import AsyncIterator
from typing import TypeAlias

from helios.kernel import clock as clocks
from helios.projections import ports
from helios.projections.views import content

PAGE = 1_000

Key: TypeAlias = tuple[str, str, str, str]
"""Type, id, language (empty: none), stage."""

_PAGE = (
    "SELECT type, id, locale, stage, changed_at, refreshed_at FROM {t}content "
    "WHERE tenant = ? AND source = ? AND gone = 0 AND (type, id, locale, stage) > (?, ?, ?, ?) "
    f"ORDER BY type, id, locale, stage LIMIT {PAGE}"
)


class Believed:
    """`ingest.poller.Believed` over the view of content.

    Args:
        store: where the view is.
    """

    def __init__(self, store: ports.ViewStore) -> None:
        self._store = store

    async def believed(
        self, tenant: str, source: str
    ) -> AsyncIterator[tuple[Key, clocks.Timestamp]]:
        """What is there, each with the time its last event was appended.

        Raises:
            StorageError: it cannot be read now.
        """
        after: Key = ("", "", "", "")
        while True:
            rows = await self._store.query(content.NAME, _PAGE, (tenant, source, *after))
            for row in rows:
                after = (row[0], row[1], row[2], row[3])
                # An invalidation takes the second one back, and says nothing of what is there.
                yield after, clocks.Timestamp(max(row[4], row[5]))
            if len(rows) < PAGE:
                return
