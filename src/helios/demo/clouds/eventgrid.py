"""The Event Grid server as a whole: namespace topics to pull from, custom topics with webhooks.

The unmodified SDK talks to it at `url`; namespace topics with the key in `Authorization`, custom
topics at `url + "/api/events"` with the key in `aeg-sas-key`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
from starlette import types

from helios.demo.clouds import drops, http_server
from helios.demo.clouds import eventgrid_events as events
from helios.demo.clouds import eventgrid_push as pushes
from helios.demo.clouds import eventgrid_queue as queues
from helios.demo.clouds import eventgrid_state as states
from helios.demo.clouds import eventgrid_web as web
from helios.kernel import clock as clocks
from helios.kernel import ids

KEY = "aGVsaW9zLWRlbW8ta2V5"
"""The access key unless another is given. It protects nothing but a test."""


class Server:
    """A running server.

    Attributes:
        url: the endpoint.
        key: the access key.
        state: all it holds.
    """

    def __init__(self, url: str, key: str, state: states.State, site: web.Site) -> None:
        self.url = url
        self.key = key
        self.state = state
        self._site = site

    @property
    def dead_letters_url(self) -> str:
        """The storage container of the dead letters."""
        return self.url + web.CONTAINER

    @property
    def dropped(self) -> Sequence[drops.Dropped]:
        """Events that were taken and not delivered."""
        return tuple(self.state.dropped)

    def create_subscription(self, topic: str, name: str, rules: queues.Rules | None = None) -> None:
        """Make a namespace topic, if there is none, and a pull subscription of it."""
        self.state.create_topic(topic)
        self.state.create_subscription(topic, name, rules)

    def create_custom_topic(self, name: str, schema: events.Schema = "EventGridSchema") -> str:
        """Make a custom topic; returns the endpoint for its publishers."""
        self.state.create_custom_topic(name, schema)
        return f"{self.url}/{name}/api/events"

    async def subscribe(self, topic: str, name: str, endpoint: str, **options: Any) -> str:
        """Make a webhook subscription of a custom topic, handshake included.

        Args:
            topic: the custom topic.
            name: of the subscription.
            endpoint: URL of the webhook.
            options: see `eventgrid_web.Push`.

        Returns:
            Its state: `Active`, or `AwaitingManualAction` until the webhook calls back.

        Raises:
            InvalidInputError: the webhook refused.
            NotFoundError: there is no such topic.
        """
        wanted = web.Push(endpoint=endpoint, **options)
        return (await self._site.subscribe(topic, name, wanted, url=self.url)).state


@contextlib.asynccontextmanager
async def serve(
    clock: clocks.Clock,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    key: str = KEY,
    pace: float = 1.0,
    drop: drops.Share = drops.NOTHING,
) -> AsyncIterator[Server]:
    """Serve Event Grid while the block runs.

    Args:
        clock: what locks, lifetimes and pauses are counted by.
        host: address to listen on.
        port: TCP port; 0 takes a free one.
        key: the access key.
        pace: pauses between tries of a webhook are divided by this.
        drop: which events to give up unseen; they are found among the dead letters.

    Raises:
        StorageError: the address cannot be had; says why.
    """
    state = states.State(clock, ids.Uuid7Ids(clock), drop)
    # A proxy of the environment has no part in what stays on this machine.
    async with httpx.AsyncClient(trust_env=False) as client:
        pushing = pushes.Pushing(state, client)
        site = web.Site(state, pushing, key=key, pace=pace)
        application: types.ASGIApp = site.application()
        async with http_server.serving(application, host=host, port=port) as url:
            running = asyncio.ensure_future(pushing.run())
            try:
                yield Server(url, key, state, site)
            finally:
                site.close()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
