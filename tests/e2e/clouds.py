"""What the tests of the demo clouds share: time put forward by hand, SDKs, a webhook."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from google.cloud import pubsub_v1
from starlette import applications, requests, responses, routing

from helios.demo.clouds import http_server
from helios.testing import steps

PROJECT = "demo"
WAIT_S = 60.0


Steps = steps.Steps


class Google:
    """A publisher and a subscriber of the official SDK."""

    def __init__(self) -> None:
        self.publisher = pubsub_v1.PublisherClient(
            publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
        )
        self.subscriber = pubsub_v1.SubscriberClient()
        self.topic = f"projects/{PROJECT}/topics/orders"
        self.name = f"projects/{PROJECT}/subscriptions/helios"

    def create(self, **options: Any) -> None:
        self.publisher.create_topic(request={"name": self.topic})
        self.subscribe(**options)

    def subscribe(self, **options: Any) -> None:
        made = {"name": self.name, "topic": self.topic, **options}
        self.subscriber.create_subscription(request=made)

    def publish(self, *bodies: str, key: str = "", **attributes: str) -> list[str]:
        waiting = [
            self.publisher.publish(self.topic, body.encode(), ordering_key=key, **attributes)
            for body in bodies
        ]
        return [future.result(WAIT_S) for future in waiting]

    def pull(self, count: int = 100, name: str | None = None) -> list[Any]:
        asked = {"subscription": name or self.name, "max_messages": count}
        answer = self.subscriber.pull(request=asked, timeout=1.0)
        return list(answer.received_messages)

    def ack(self, *messages: Any) -> None:
        ids = [message.ack_id for message in messages]
        self.subscriber.acknowledge(request={"subscription": self.name, "ack_ids": ids})

    def nack(self, *messages: Any) -> None:
        self.subscriber.modify_ack_deadline(
            request={
                "subscription": self.name,
                "ack_ids": [message.ack_id for message in messages],
                "ack_deadline_seconds": 0,
            }
        )

    def close(self) -> None:
        self.publisher.stop()
        self.publisher.transport.close()
        self.subscriber.close()


class Receiver:
    """A webhook that answers as it is told, and keeps what it got."""

    def __init__(self, answer: Callable[[requests.Request, Any], responses.Response]) -> None:
        self.got: list[tuple[requests.Request, Any]] = []
        self._answer = answer
        self._arrived = asyncio.Event()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async def take(request: requests.Request) -> responses.Response:
            body = await request.body()
            found = msgspec.json.decode(body) if body else None
            answer = self._answer(request, found)
            self.got.append((request, found))
            self._arrived.set()
            return answer

        methods = ["POST", "OPTIONS"]
        site = applications.Starlette(routes=[routing.Route("/hook", take, methods=methods)])
        async with http_server.serving(site, host="127.0.0.1", port=0) as url:
            yield f"{url}/hook"

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.got) < count:
                self._arrived.clear()
                await self._arrived.wait()
