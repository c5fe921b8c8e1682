"""A subscription of Pub/Sub as a source, by streaming pull.

The stream brings as much as it was told may be under way, and a task of its own takes it in.
Acknowledgements and extensions are calls beside it, because only those are answered.
"""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from google.api_core import exceptions
from google.pubsub_v1 import SubscriberAsyncClient, types

from helios.drivers.gcp import connecting
from helios.drivers.gcp import messages as pubsub_messages
from helios.drivers.gcp import options as gcp_options
from helios.ingest import lending, sources
from helios.kernel import clock as clocks
from helios.kernel import errors

BATCH_MAX = 500
"""Messages handed in together, and named in one call."""

CALL_S = 10.0
HEARTBEAT_S = 30.0
"""How often something is said on a stream, so that nothing between takes it for dead."""

QUIET_S = 1.0
"""How long a look into the stream waits: how soon a pause is noticed."""

STEADY_S = 5.0
"""A stream that lasted so long had worked: it is opened again at once, as Google closes each one
after a while."""

DRAIN_S = 0.5
"""Longest wait for what is under way when a stream is closed."""


class PubSubSource(lending.Lending):
    """A `sources.Runner`.

    Args:
        tools: what it is given; `tools.source.credentials` may have a `service_account`.

    Raises:
        InvalidInputError: options or credentials that are not understood.
    """

    def __init__(self, tools: sources.Tools) -> None:
        self._options = gcp_options.parse(tools.declared.options)
        connecting.check(tools.source.credentials)
        super().__init__(tools, self._connected)

    async def replay(self, what: sources.Replay) -> sources.Replayed:
        """Go back to a time, or to the snapshot; what is retained since then arrives again.

        Raises:
            InvalidInputError: ids, no time, or the subscription retains nothing.
            StorageError: Pub/Sub is away.
        """
        if what.ids or what.since is None:
            raise errors.InvalidInputError(
                "Pub/Sub can replay since a time only: it looks no messages up by their ids"
            )
        target: dict[str, Any] = {"time": clocks.to_datetime(what.since)}
        if self._options.snapshot_path is not None:
            target = {"snapshot": self._options.snapshot_path}
        async with self._client() as client:
            found = await _described(client, self._options.path)
            if "time" in target and found is not None and not _retains(found):
                raise errors.InvalidInputError(
                    f"{self._options.path} forgets what was acknowledged: switch on "
                    "retain_acked_messages, or message retention of its topic"
                )
            request = {"subscription": self._options.path, **target}
            await client.seek(request=request, timeout=CALL_S)
        return sources.Replayed(complete=False)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[lending.Queue]:
        async with self._client() as client:
            await _described(client, self._options.path)
            queue = Subscription(client, self._options, self.tools.clock)
            try:
                yield queue
            finally:
                await queue.rest()

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[SubscriberAsyncClient]:
        given, guard = self.tools.source.credentials, self.tools.api.client
        with connecting.told():
            async with connecting.client(self._options, given, guard) as client:
                yield client


class Subscription:
    """A `lending.Queue`."""

    batch_max = BATCH_MAX
    # Who may look at the subscription need not be one who may pull from it.
    is_proven = False

    def __init__(
        self, client: SubscriberAsyncClient, options: gcp_options.Options, clock: clocks.Clock
    ) -> None:
        self._client = client
        self._options = options
        self._clock = clock
        self.lease_s = float(options.lease_s)
        self._stream: _Stream | None = None

    async def receive(self) -> Sequence[lending.Message]:
        if self._stream is None:
            self._stream = _Stream(self._client, self._options, self._clock)
        stream = self._stream
        found = await stream.take(BATCH_MAX)
        if found or not stream.is_over:
            return found
        self._stream = None
        error = stream.error
        if stream.was_steady and (error is None or _is_passing(error)):
            return ()
        if error is None:
            raise errors.StorageError("Pub/Sub ended the stream as soon as it began")
        with connecting.told():
            raise error

    async def acknowledge(self, messages: Sequence[lending.Message]) -> None:
        ids = [message.handle for message in messages]
        request = {"subscription": self._options.path, "ack_ids": ids}
        with connecting.told(), _too_late():
            await self._client.acknowledge(request=request, timeout=CALL_S)

    async def release(self, messages: Sequence[lending.Message]) -> None:
        await self._lend(messages, 0)

    async def extend(self, messages: Sequence[lending.Message]) -> None:
        # What waits behind them would come again otherwise, once for each extension.
        waiting = self._stream.waiting if self._stream is not None else []
        await self._lend([*messages, *waiting], self._options.lease_s)

    async def rest(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            left = await stream.close()
            with contextlib.suppress(errors.HeliosError, TimeoutError):
                await asyncio.wait_for(self.release(left), DRAIN_S)

    async def waiting(self) -> int | None:
        # Only Cloud Monitoring knows, minutes later.
        return None

    async def _lend(self, messages: Sequence[lending.Message], seconds: int) -> None:
        for begin in range(0, len(messages), BATCH_MAX):
            ids = [message.handle for message in messages[begin : begin + BATCH_MAX]]
            request = {
                "subscription": self._options.path,
                "ack_ids": ids,
                "ack_deadline_seconds": seconds,
            }
            with connecting.told(), _too_late():
                await self._client.modify_ack_deadline(request=request, timeout=CALL_S)


class _Stream:
    """One streaming pull, with a task that takes in what comes.

    Attributes:
        error: why it broke, once it has.
    """

    def __init__(
        self, client: SubscriberAsyncClient, options: gcp_options.Options, clock: clocks.Clock
    ) -> None:
        self.error: Exception | None = None
        self._client = client
        self._options = options
        self._clock = clock
        self._began = clock.monotonic()
        self._buffer: collections.deque[lending.Message] = collections.deque()
        self._came = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.ensure_future(self._listen())

    @property
    def is_over(self) -> bool:
        return self._task.done() and not self._buffer

    @property
    def was_steady(self) -> bool:
        return self._clock.monotonic() - self._began >= STEADY_S

    @property
    def waiting(self) -> list[lending.Message]:
        return list(self._buffer)

    async def take(self, count: int) -> list[lending.Message]:
        """What has come; waits a little for it."""
        if not self._buffer and not self._task.done():
            self._came.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), QUIET_S)
        return [self._buffer.popleft() for _ in range(min(count, len(self._buffer)))]

    async def close(self) -> list[lending.Message]:
        """End it; returns what came and was not taken."""
        self._closing.set()
        try:
            await asyncio.wait([self._task], timeout=DRAIN_S)
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        return list(self._buffer)

    async def _listen(self) -> None:
        try:
            # The SDK's own limit would end the stream in the midst of things.
            stream = await self._client.streaming_pull(
                requests=self._said(), retry=None, timeout=None
            )
            async for response in stream:
                for each in types.StreamingPullResponse.pb(response).received_messages:
                    self._buffer.append(pubsub_messages.read(each, self._options))
                self._came.set()
        except Exception as error:  # noqa: BLE001 - raised by who takes what came
            self.error = error
        finally:
            self._came.set()

    async def _said(self) -> AsyncIterator[Any]:
        """What we say on the stream: what we want, and that we are there still."""
        yield types.StreamingPullRequest(
            subscription=self._options.path,
            stream_ack_deadline_seconds=self._options.lease_s,
            max_outstanding_messages=self._options.outstanding_max,
            max_outstanding_bytes=self._options.outstanding_bytes_max,
        )
        while True:
            try:
                await asyncio.wait_for(self._closing.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield types.StreamingPullRequest()
            else:
                return


def _too_late() -> contextlib.AbstractContextManager[None]:
    """Of a loan that has ended, where delivery is exactly once: the message comes again."""
    return contextlib.suppress(exceptions.InvalidArgument, exceptions.FailedPrecondition)


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, (exceptions.ServerError, exceptions.Aborted, exceptions.Cancelled))


def _retains(found: types.Subscription) -> bool:
    return bool(found.retain_acked_messages or found.topic_message_retention_duration)


async def _described(client: SubscriberAsyncClient, path: str) -> types.Subscription | None:
    """The subscription as it was made; None: we may not ask, as who may only consume.

    Raises:
        InvalidInputError: there is none.
        StorageError: Pub/Sub is away.
    """
    with connecting.told():
        try:
            return await client.get_subscription(
                request={"subscription": path}, retry=None, timeout=CALL_S
            )
        except exceptions.PermissionDenied:
            return None
