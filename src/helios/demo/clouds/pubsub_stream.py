"""StreamingPull: messages as they come, as many at once as the subscriber said it can hold."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from google.pubsub_v1.types import pubsub as types

from helios.demo.clouds import pubsub_rpc as rpc
from helios.demo.clouds import pubsub_specs as specs
from helios.demo.clouds import pubsub_state as states
from helios.kernel import clock as clocks
from helios.kernel import errors

BATCH_MESSAGES_MAX = 500
"""Messages in one answer. Above: they come in the next."""

BATCH_BYTES_MAX = 3 << 20
"""Bytes in one answer. Above: they come in the next."""


class Stream:
    """One subscriber that holds a stream open."""

    def __init__(self, state: states.State, first: Any) -> None:
        self._state = state
        self._name: str = first.subscription
        self._spec = rpc.pulled(state, self._name)
        self._holder = state.holder("stream")
        self._count_max: int = first.max_outstanding_messages
        self._bytes_max: int = first.max_outstanding_bytes
        self._lease_s = 0
        self.heard(first)

    def heard(self, request: Any) -> None:
        """Take in what the subscriber says on its stream.

        Raises:
            InvalidInputError: a deadline out of bounds, or lists that do not fit together.
        """
        if request.stream_ack_deadline_seconds:
            least, most = specs.ACK_DEADLINE_S
            if not least <= request.stream_ack_deadline_seconds <= most:
                raise errors.InvalidInputError(
                    f"stream_ack_deadline_seconds: expected {least} to {most}"
                )
            self._lease_s = request.stream_ack_deadline_seconds
        if len(request.modify_deadline_ack_ids) != len(request.modify_deadline_seconds):
            raise errors.InvalidInputError("modify_deadline_seconds: one is needed per ack id")
        if request.ack_ids:
            self._state.ack(self._name, request.ack_ids)
        for ack_id, seconds in zip(
            request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True
        ):
            rpc.check_deadline(seconds)
            self._state.modify(self._name, [ack_id], seconds)

    async def next(self) -> Any:
        """The next answer; waits until there is one.

        Raises:
            NotFoundError: the subscription is gone.
        """
        while True:
            # Described anew: it may have become a push subscription meanwhile.
            self._spec = rpc.pulled(self._state, self._name)
            taken = self._take()
            if taken:
                return types.StreamingPullResponse.pb()(
                    received_messages=[rpc.received(self._spec, delivery) for delivery in taken],
                    subscription_properties=types.StreamingPullResponse.SubscriptionProperties.pb()(
                        message_ordering_enabled=self._spec.enable_message_ordering
                    ),
                )
            await self._state.changes.wait(self._state.next_at(self._name))

    def _take(self) -> list[Any]:
        queue = self._state.broker.subscription(self._name).queue
        now = self._state.clock.now()
        queue.advance(now)
        count, size = queue.held(self._holder)
        count_left = self._count_max - count if self._count_max > 0 else BATCH_MESSAGES_MAX
        size_left = self._bytes_max - size if self._bytes_max > 0 else BATCH_BYTES_MAX
        if count_left <= 0 or size_left <= 0:
            return []
        return self._state.broker.take(
            self._name,
            now,
            holder=self._holder,
            count=min(count_left, BATCH_MESSAGES_MAX),
            size_max=min(size_left, BATCH_BYTES_MAX),
            lease_us=self._lease_s * clocks.SECOND_US or None,
        )


class Streaming:
    """The handler of StreamingPull."""

    def __init__(self, state: states.State) -> None:
        self._state = state

    async def handle(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Serve one stream until the subscriber leaves or something is wrong with it."""
        try:
            first = await anext(requests, None)
            if first is None:
                return
            stream = Stream(self._state, first)
            await self._converse(stream, requests, context)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - becomes a status, or is raised again
            await rpc.refuse(context, error)

    async def _converse(self, stream: Stream, requests: AsyncIterator[Any], context: Any) -> None:
        async def listen() -> None:
            async for request in requests:
                stream.heard(request)

        async def speak() -> None:
            while True:
                await context.write(await stream.next())

        both = {asyncio.ensure_future(listen()), asyncio.ensure_future(speak())}
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in both:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*both, return_exceptions=True)
