"""Questions in GraphQL, and following what changes."""

import contextlib
from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Any

import msgspec

from helios.api import wire
from helios.api.feed import changes
from helios.api.routes import graph as graph_routes
from helios.calls import base
from helios.kernel import errors

_DEADLINE = 504
_STREAM = "/api/v1/events/stream"
_decode = msgspec.json.Decoder(graph_routes.Answered).decode


class LiveCalls(base.Calls):
    """The client's methods for GraphQL and for the live feed."""

    async def graphql(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
    ) -> graph_routes.Answered:
        """Ask a question.

        Args:
            query: a document; see `GET /graphql/schema`.
            variables: by name.
            operation_name: which operation of the document, where there are several.

        Returns:
            The data, and errors of fields that could not be answered.

        Raises:
            InvalidInputError: it was not asked: malformed, or above a limit.
            DeadlineError: it took too long.
        """
        body = {"query": query, "variables": variables, "operationName": operation_name}
        answer = await self._request("POST", graph_routes.PATH, json=body)
        if answer.headers.get("content-type", "").partition(";")[0] != "application/json":
            answer = self._fetched(answer)
        found = _decode(answer.content)
        if not answer.is_error:
            return found
        text = "; ".join(str(msgspec.json.decode(each["message"])) for each in found.errors)
        if answer.status_code == _DEADLINE:
            raise errors.DeadlineError(text)
        raise errors.InvalidInputError(text)

    async def stream(
        self, **query: str | int | None
    ) -> AsyncGenerator[tuple[str, wire.EventView], None]:
        """Events as they come, each with the id to resume after it."""
        place = ""
        async with contextlib.aclosing(self._followed(_STREAM, query)) as lines:
            async for line in lines:
                if line.startswith("id: "):
                    place = line[4:]
                elif line.startswith("data: "):
                    yield place, msgspec.json.decode(line[6:], type=wire.EventView)

    async def live(
        self,
        topics: Collection[str] = ("events",),
        *,
        cursor: str | None = None,
        **filters: str | None,
    ) -> AsyncGenerator[changes.Flush, None]:
        """What changes, as it does; one message in 100 ms at most.

        Args:
            topics: of what, such as `verdicts` and `drifts`; see `helios.api.feed.topics`.
            cursor: of the last message seen, to go on after it; None: from now on.
            filters: as of `GET /api/v1/events`; all but `client_id` hold for `events` alone.
        """
        query = {"topics": ",".join(topics), "cursor": cursor, **filters}
        async with contextlib.aclosing(self._followed(_STREAM, query)) as lines:
            async for line in lines:
                if line.startswith("data: "):
                    yield changes.read(line[6:])
