"""Test messages to people."""

from helios.api.routes import notices as routes
from helios.calls import base


class NoticeCalls(base.Calls):
    """The client's methods for what people are told."""

    async def notify_test(
        self, client_id: str, stack_id: str, channel: str | None = None
    ) -> routes.Tried:
        """Send a test message to the channels of a stack, or to one. Raises NotFoundError."""
        path = routes.PATH.format(client=base.segment(client_id), stack=base.segment(stack_id))
        return await self._send(routes.Tried, "POST", path, json={"channel": channel})
