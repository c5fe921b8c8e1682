"""Push subscriptions: messages brought to an HTTP address, again and again until it takes them."""

import asyncio
import base64
import contextlib
from typing import Any

import httpx
import msgspec
import structlog

from helios.demo.clouds import pubsub_queue as queues
from helios.demo.clouds import pubsub_specs as specs
from helios.demo.clouds import pubsub_state as states
from helios.demo.clouds import tokens
from helios.kernel import clock as clocks

TAKEN = frozenset((102, 200, 201, 202, 204))
"""Answers that count as an acknowledgement. All others give the message back."""

AT_ONCE_MAX = 32
"""Requests under way for one subscription. Above: the rest waits."""

_log = structlog.get_logger("helios.demo.pubsub")


def request(
    spec: Any, delivery: queues.Delivery, signer: tokens.Signer
) -> tuple[dict[str, str], bytes]:
    """Headers and body of one push, wrapped or not as the subscription says."""
    config = spec.push_config
    headers: dict[str, str] = {}
    if config.oidc_token.service_account_email:
        token = signer.token(
            audience=config.oidc_token.audience or config.push_endpoint,
            email=config.oidc_token.service_account_email,
        )
        headers["Authorization"] = f"Bearer {token}"
    message = delivery.message
    if config.WhichOneof("wrapper") != "no_wrapper":
        headers["Content-Type"] = "application/json"
        return headers, _wrapped(spec, delivery)
    if config.no_wrapper.write_metadata:
        headers |= {
            "x-goog-pubsub-subscription-name": spec.name,
            "x-goog-pubsub-message-id": message.id,
            "x-goog-pubsub-publish-time": clocks.to_rfc3339(message.published_at),
        }
        if message.ordering_key:
            headers["x-goog-pubsub-ordering-key"] = message.ordering_key
        headers |= dict(message.attributes)
    return headers, message.data


def _wrapped(spec: Any, delivery: queues.Delivery) -> bytes:
    message = delivery.message
    at = clocks.to_rfc3339(message.published_at)
    # The cloud says both twice, in both spellings.
    inner: dict[str, Any] = {
        "data": base64.b64encode(message.data).decode(),
        "messageId": message.id,
        "message_id": message.id,
        "publishTime": at,
        "publish_time": at,
    }
    if message.attributes:
        inner["attributes"] = dict(message.attributes)
    if message.ordering_key:
        inner["orderingKey"] = message.ordering_key
    body: dict[str, Any] = {"message": inner, "subscription": spec.name}
    if specs.dead_letter_topic(spec):
        body["deliveryAttempt"] = delivery.attempt
    return msgspec.json.encode(body)


class Pushing:
    """Pushes for every push subscription there is, as they come and go."""

    def __init__(
        self, state: states.State, signer: tokens.Signer, client: httpx.AsyncClient
    ) -> None:
        self._state = state
        self._signer = signer
        self._client = client
        self._under_way: dict[str, set[asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Push until cancelled."""
        try:
            while True:
                for name, spec in list(self._state.subscriptions.items()):
                    if spec.push_config.push_endpoint:
                        self._begin(name, spec)
                await self._state.changes.wait(self._next_at())
        finally:
            tasks = [task for group in self._under_way.values() for task in group]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _next_at(self) -> clocks.Timestamp | None:
        times = [
            at
            for name, spec in self._state.subscriptions.items()
            if spec.push_config.push_endpoint and (at := self._state.next_at(name)) is not None
        ]
        return min(times, default=None)

    def _begin(self, name: str, spec: Any) -> None:
        tasks = self._under_way.setdefault(name, set())
        free = AT_ONCE_MAX - len(tasks)
        if free <= 0:
            return
        now = self._state.clock.now()
        for delivery in self._state.broker.take(name, now, holder="push", count=free):
            task = asyncio.ensure_future(self._push(name, spec, delivery))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _push(self, name: str, spec: Any, delivery: queues.Delivery) -> None:
        headers, body = request(spec, delivery, self._signer)
        reason: object
        try:
            answer = await self._client.post(
                spec.push_config.push_endpoint,
                content=body,
                headers=headers,
                timeout=spec.ack_deadline_seconds,
            )
            reason = answer.status_code
        except (httpx.HTTPError, ValueError) as error:  # attributes need not fit into headers
            reason = type(error).__name__
        with contextlib.suppress(Exception):  # the subscription may be gone
            if reason in TAKEN:
                self._state.ack(name, [delivery.ack_id])
            else:
                _log.info("push refused", subscription=name, answer=reason)
                self._state.modify(name, [delivery.ack_id], 0)
