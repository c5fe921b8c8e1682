"""A topic of an Event Grid namespace as a source, by pulling.

Event Grid has no way back of its own: what is acknowledged is gone. A replay therefore reads the
dead letters that it put into a storage container, if that is named: all that it gave up, for
whatever reason, and nothing else.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from azure.eventgrid.aio import EventGridConsumerClient

from helios.drivers.azure import burials, connecting
from helios.drivers.azure import messages as grid_messages
from helios.drivers.azure import options as azure_options
from helios.ingest import lending, sources
from helios.kernel import errors
from helios.providers import ports

FIRST_WAIT_S = 10
"""How long the first call waits, which shows whether we may call; Event Grid takes no less."""

REPLAY_BATCH = 100


class EventGridSource(lending.Lending):
    """A `sources.Runner`.

    Args:
        tools: what it is given; `tools.source.credentials` may have a key, or names of Entra.

    Raises:
        InvalidInputError: options or credentials that are not understood.
    """

    def __init__(self, tools: sources.Tools) -> None:
        self._options = azure_options.parse(tools.declared.options)
        connecting.check(tools.source.credentials)
        super().__init__(tools, self._connected, receivers=self._options.receivers)

    async def replay(self, what: sources.Replay) -> sources.Replayed:
        """Hand in what Event Grid gave up since a time.

        Raises:
            InvalidInputError: ids, no time, or the dead letters are not named or may not be read.
            StorageError, OverloadError, OutboundError: the storage or the log is away.
        """
        if what.ids or what.since is None:
            raise errors.InvalidInputError(
                "Event Grid can replay since a time only: it looks no events up by their ids"
            )
        if self._options.dead_letters_url is None:
            raise errors.InvalidInputError(
                "Event Grid forgets what was acknowledged; only what it gave up can be had again: "
                "name the container of the subscription's dead letters "
                "(options.dead_letters_url), or publish anew"
            )
        total = sources.Replayed()
        batch: list[sources.Fetched] = []
        async with self._container(self._options.dead_letters_url) as container:
            async for blob in container.blobs():
                if blob.at < what.since or not self._is_ours(blob.name):
                    continue
                batch.append(grid_messages.buried(blob.name, await container.read(blob)))
                if len(batch) == REPLAY_BATCH:
                    total, batch = await lending.again(self.tools, batch, total), []
            return await lending.again(self.tools, batch, total) if batch else total

    def _is_ours(self, name: str) -> bool:
        place = f"/{self._options.topic}/{self._options.subscription}/"
        return place.lower() in f"/{name}".lower()

    @contextlib.asynccontextmanager
    async def _container(self, url: str) -> AsyncIterator[burials.Container]:
        given, client = self.tools.source.credentials, self.tools.api.client
        if connecting.SAS in given:
            yield burials.Container(client, url, sas=given[connecting.SAS].text.strip())
            return
        if connecting.ACCESS_KEY in given:
            # The key is Event Grid's and no use at the storage.
            yield burials.Container(client, url)
            return
        with connecting.told():
            async with connecting.credential(given) as credential:
                token = (await credential.get_token(burials.SCOPE)).token
        yield burials.Container(client, url, token=token)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[lending.Queue]:
        given, guard = self.tools.source.credentials, self.tools.api.client
        with connecting.told():
            async with connecting.client(self._options, given, guard) as client:
                yield Subscription(client, self._options)


class Subscription:
    """A `lending.Queue`."""

    is_proven = False

    def __init__(self, client: EventGridConsumerClient, options: azure_options.Options) -> None:
        self._client = client
        self._options = options
        self._wait_s = FIRST_WAIT_S
        self.batch_max = options.batch_max
        self.lease_s = float(options.lease_s)

    async def receive(self) -> Sequence[lending.Message]:
        answers: list[bytes] = []

        def keep(response: Any) -> None:
            answers.append(response.http_response.content)

        with connecting.told():
            try:
                await self._client.receive(
                    max_events=self._options.batch_max,
                    max_wait_time=self._wait_s,
                    raw_response_hook=keep,
                )
            except (ValueError, TypeError, KeyError):
                # The SDK cannot read one of the events; it is ours to say which.
                if not answers:
                    raise
        self._wait_s = self._options.wait_s
        return grid_messages.read(answers[-1], self._options)

    async def acknowledge(self, messages: Sequence[lending.Message]) -> None:
        dead: list[str] = []
        done: list[str] = []
        for message in messages:
            is_dead = isinstance(message.fetched.received, ports.UnprocessableError)
            (dead if is_dead else done).append(message.handle)
        # What it says of a lock that ended is no trouble: the event comes again.
        with connecting.told():
            if done:
                await self._client.acknowledge(lock_tokens=done)
            if dead:
                await self._client.reject(lock_tokens=dead)

    async def release(self, messages: Sequence[lending.Message]) -> None:
        with connecting.told():
            await self._client.release(lock_tokens=[m.handle for m in messages])

    async def extend(self, messages: Sequence[lending.Message]) -> None:
        with connecting.told():
            await self._client.renew_locks(lock_tokens=[m.handle for m in messages])

    async def rest(self) -> None:
        return None

    async def waiting(self) -> int | None:
        # Only Azure Monitor knows, minutes later.
        return None
