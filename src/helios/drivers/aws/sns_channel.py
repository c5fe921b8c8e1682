"""Delivers events to a topic of Amazon SNS."""

import contextlib
from collections.abc import Mapping
from typing import Any, Self

from helios.drivers.aws import sessions
from helios.fanout import channels, subscriber
from helios.kernel import outbound, secret

BODY_BYTES_MAX = 256 << 10
"""One message of SNS, by its documentation. Above: it can never arrive."""


class SnsChannel:
    """`channels.Channel` for `subscriber.Sns`; made by `opened`."""

    def __init__(
        self, declared: subscriber.Sns, client: Any, stack: contextlib.AsyncExitStack
    ) -> None:
        self._declared = declared
        self._client = client
        self._stack = stack

    @classmethod
    async def opened(
        cls,
        declared: subscriber.Sns,
        secrets: Mapping[str, secret.Secret],
        guard: outbound.Outbound,
    ) -> Self:
        """Make a client of SNS.

        Raises:
            StorageError: the SDK is not installed.
            OutboundError: the endpoint may not be called.
        """
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                sessions.client(
                    "sns",
                    region=declared.region,
                    credentials=secrets,
                    guard=guard,
                    endpoint_url=declared.endpoint_url,
                    read_s=channels.TIMEOUT_S,
                )
            )
            return cls(declared, client, stack.pop_all())

    async def deliver(self, message: channels.Message) -> None:
        outgoing = message.outgoing
        body = message.body() if outgoing is None else outgoing.body
        if len(body) > BODY_BYTES_MAX:
            raise channels.DeliveryError(
                f"{len(body)} bytes; a message of SNS has at most {BODY_BYTES_MAX}"
            )
        event = message.event
        attributes = {"id": message.id, "type": event.type, "source": event.source}
        group = event.aggregate_id
        if outgoing is not None:
            attributes = {"id": message.id, "type": outgoing.type, **outgoing.attributes}
            group = outgoing.key
        request: dict[str, Any] = {
            "TopicArn": self._declared.topic_arn,
            "Message": body.decode(),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
                if value
            },
        }
        if self._declared.topic_arn.endswith(".fifo"):
            request["MessageGroupId"] = group[:128]
            request["MessageDeduplicationId"] = message.id
        try:
            await self._client.publish(**request)
        except sessions.failures() as error:
            raise channels.DeliveryError(sessions.said(error)) from error

    async def close(self) -> None:
        await self._stack.aclose()
