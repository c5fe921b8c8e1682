"""Subscribers and their deliveries."""

from collections.abc import Sequence

from helios.api.routes import subscribers as routes
from helios.calls import base

_PATH = "/api/v1/subscribers"


class SubscriberCalls(base.Calls):
    """The client's methods for subscribers."""

    async def declare_subscriber(
        self, text: str, *, dry_run: bool = False
    ) -> routes.DeclaredSubscriber:
        """Declare a subscriber, given as YAML; with `dry_run` only check it."""
        return await self._send(
            routes.DeclaredSubscriber,
            "PUT",
            _PATH,
            content=text.encode(),
            headers={"content-type": "application/yaml"},
            params={"dry_run": "true"} if dry_run else {},
        )

    async def subscribers(self, client_id: str | None = None) -> routes.SubscriberList:
        """The declared subscribers, of one client or of all."""
        return await self._get(routes.SubscriberList, _PATH, {"client_id": client_id})

    async def subscriber(self, name: str, client_id: str | None = None) -> routes.SubscriberView:
        """One subscriber and how its deliveries go. Raises NotFoundError."""
        path = f"{_PATH}/{base.segment(name)}"
        return await self._get(routes.SubscriberView, path, {"client_id": client_id})

    async def remove_subscriber(self, name: str, client_id: str | None = None) -> routes.Noted:
        """Remove a subscriber."""
        path = f"{_PATH}/{base.segment(name)}"
        query = base.given({"client_id": client_id})
        return await self._send(routes.Noted, "DELETE", path, params=query)

    async def disable_subscriber(self, name: str, client_id: str | None = None) -> routes.Noted:
        """Deliver nothing more to a subscriber; its place is kept."""
        path = f"{_PATH}/{base.segment(name)}/disable"
        query = base.given({"client_id": client_id})
        return await self._send(routes.Noted, "POST", path, params=query)

    async def enable_subscriber(
        self, name: str, client_id: str | None = None, *, skip: bool = False
    ) -> routes.Noted:
        """Go on delivering; with `skip` without what happened meanwhile."""
        path = f"{_PATH}/{base.segment(name)}/enable"
        query = base.given({"client_id": client_id})
        return await self._send(routes.Noted, "POST", path, params=query, json={"skip": skip})

    async def deliveries(
        self, name: str, client_id: str | None = None, *, limit: int = 100
    ) -> routes.DeliveryList:
        """Events that were set aside for a subscriber, oldest first."""
        path = f"{_PATH}/{base.segment(name)}/deliveries"
        return await self._get(routes.DeliveryList, path, {"client_id": client_id, "limit": limit})

    async def redeliver(
        self, name: str, positions: Sequence[int], client_id: str | None = None
    ) -> routes.Noted:
        """Try events that were set aside at once. Raises InvalidInputError for others."""
        path = f"{_PATH}/{base.segment(name)}/redeliver"
        query = base.given({"client_id": client_id})
        body = {"positions": list(positions)}
        return await self._send(routes.Noted, "POST", path, params=query, json=body)
