"""Why something is as it is."""

from helios.api.routes import why as routes
from helios.calls import base
from helios.reconcile.compositions import story


class WhyCalls(base.Calls):
    """The client's method for causes."""

    async def why(
        self, key: str, client_id: str | None = None, *, after: int | None = None
    ) -> story.Story:
        """What led to something, back to the first event; not older than the position `after`.

        Raises NotFoundError when nothing is known by the key; says what keys look like.
        """
        return await self._send(
            story.Story,
            "GET",
            routes.PATH,
            params=base.given({"key": key, "client_id": client_id}),
            headers={} if after is None else {"helios-after": str(after)},
        )
