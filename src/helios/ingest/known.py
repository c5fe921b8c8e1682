"""Two ways to know the sources that doors ask for: a dictionary, and the table of declarations."""

import asyncio
import contextlib

from helios.ingest import directory, sources
from helios.kernel import errors
from helios.providers import ports as providers

START_S = 5.0
"""Longest wait of a delivery for a server that starts to know its sources. Then it must come
again."""


class Known:
    """`sources.Sources` for who knows his sources, and for tests."""

    def __init__(self, *found: sources.Found) -> None:
        self._found: dict[tuple[str, str], sources.Found | sources.Removed] = {}
        for one in found:
            self.put(one)

    def put(self, found: sources.Found) -> None:
        """Add a source, or replace it."""
        self._found[found.declared.client_id, found.declared.name] = found

    def remove(self, client_id: str, name: str) -> None:
        """Remember that a source was removed."""
        before = self._found.get((client_id, name))
        if isinstance(before, sources.Found):
            self._found[client_id, name] = sources.Removed(answers=before.provider.answers)

    async def find(self, client_id: str, name: str) -> sources.Found | sources.Removed | None:
        """See `sources.Sources.find`."""
        return self._found.get((client_id, name))

    async def find_any(
        self, client_id: str, name: str
    ) -> sources.Found | sources.Fetching | sources.Removed | None:
        """See `sources.AnySource.find_any`."""
        return await self.find(client_id, name)


class Table:
    """`sources.Sources` over the table of declarations.

    A source that is only fetched has no door, which is told like a source that is not there.
    """

    def __init__(self, table: directory.Sources) -> None:
        self._table = table

    async def find(self, client_id: str, name: str) -> sources.Found | sources.Removed | None:
        """See `sources.Sources.find`."""
        found = await self.find_any(client_id, name)
        return None if isinstance(found, sources.Fetching) else found

    async def find_any(
        self, client_id: str, name: str
    ) -> sources.Found | sources.Fetching | sources.Removed | None:
        """See `sources.AnySource.find_any`."""
        if not self._table.is_filled:
            await self._filled()
        try:
            found = self._table.find(client_id, name)
        except directory.RemovedError as error:
            return sources.Removed(answers=self._answers(error.provider))
        except errors.NotFoundError:
            return None
        if found.kind.adapter is None:
            return sources.Fetching(
                declared=found.declared, options=found.source.options, again=found.kind.again
            )
        return sources.Found(
            declared=found.declared, source=found.source, provider=found.kind.adapter
        )

    async def _filled(self) -> None:
        """Wait for the table: who sends now and never again would lose what it sends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self._table.wait_for(0)

    def _answers(self, provider: str) -> providers.AnswerPolicy:
        try:
            adapter = self._table.kinds.get(provider).adapter
        except errors.HeliosError:
            adapter = None
        return providers.AnswerPolicy() if adapter is None else adapter.answers
