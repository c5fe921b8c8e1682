"""The event mirror."""

from helios.api.routes import mirror as routes
from helios.calls import base


class MirrorCalls(base.Calls):
    """The client's methods for the mirror."""

    async def mirror(self, **query: str | int | None) -> routes.MirrorPage:
        """One page of the mirror, newest first; parameters as of `GET /api/v1/mirror`."""
        return await self._get(routes.MirrorPage, "/api/v1/mirror", query)
