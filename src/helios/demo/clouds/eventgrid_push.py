"""Event Grid's calls to webhooks: the proof that they want its events, then the events.

Both handshakes are the cloud's: an event that must be answered with the code in it, or OPTIONS as
CloudEvents has it. A webhook that answers neither at once may still prove itself by calling the
address it was given, for a while.
"""

import asyncio
import hmac
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
import structlog

from helios.demo.clouds import eventgrid_hooks as hooks
from helios.demo.clouds import eventgrid_state as states
from helios.kernel import clock as clocks
from helios.kernel import errors

ANSWER_S = 30.0
"""How long a webhook has to answer."""

MANUAL_US = 10 * 60 * clocks.SECOND_US
"""How long it may take to call the address it was given."""

AT_ONCE_MAX = 32
"""Requests under way for one subscription. Above: the rest waits."""

ORIGIN = "eventgrid.azure.net"
RATE = "120"
VALIDATE_PATH = "/validate"

_JSON = "application/json; charset=utf-8"
_CLOUD_EVENT = "application/cloudevents+json; charset=utf-8"
_CLOUD_EVENTS = "application/cloudevents-batch+json; charset=utf-8"

_log = structlog.get_logger("helios.demo.eventgrid")


class Pushing:
    """Speaks to the webhooks of all custom topics."""

    def __init__(self, state: states.State, client: httpx.AsyncClient) -> None:
        self._state = state
        self._client = client
        self._under_way: dict[tuple[str, str], set[asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                for webhook in self._active():
                    self._begin(webhook)
                times = [at for w in self._active() if (at := w.hook.next_at()) is not None]
                await self._state.changes.wait(min(times, default=None))
        finally:
            tasks = [task for group in self._under_way.values() for task in group]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def validate(self, webhook: states.Webhook, url: str) -> None:
        """Ask a new webhook whether it wants events; its state says what it answered.

        Args:
            webhook: the new one.
            url: of this server, for the address that it may call instead.

        Raises:
            InvalidInputError: it refused, or cannot be reached; the subscription is not made.
        """
        state = self._state
        webhook.code, webhook.created_at = state.ids.new().upper(), state.clock.now()
        back = f"{url}{VALIDATE_PATH}?topic={webhook.topic}&id={webhook.name}&code={webhook.code}"
        ask = self._ask_event if webhook.hook.rules.schema == "EventGridSchema" else self._ask
        try:
            proven = await ask(webhook, back)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            proven = None
            _log.info("webhook not reached", subscription=webhook.name, error=type(error).__name__)
        if proven is None:
            webhook.state = "Failed"
            raise errors.InvalidInputError(
                "the attempt to validate the endpoint failed: it must answer the handshake",
                field=webhook.endpoint.partition("?")[0],
            )
        # It may have called back while it was being asked.
        if webhook.state == "Validating":
            webhook.state = "Active" if proven else "AwaitingManualAction"
        state.changes.tell()

    async def farewell(self, webhook: states.Webhook) -> None:
        """Tell a webhook that its subscription is gone, as far as it listens."""
        if webhook.hook.rules.schema != "EventGridSchema":
            return
        event = self._own_event(
            webhook,
            "Microsoft.EventGrid.SubscriptionDeletedEvent",
            {"eventSubscriptionId": f"{self._resource(webhook)}/{webhook.name}"},
        )
        try:
            await self._post(webhook, [event], "SubscriptionDeletion", count=0)
        except httpx.HTTPError as error:
            _log.info("webhook not told", subscription=webhook.name, error=type(error).__name__)

    def called_back(self, topic: str, name: str, code: str) -> bool:
        """A webhook called the address it was given; whether that proves it."""
        state = self._state
        target = state.custom_topics.get(topic)
        webhook = target.webhooks.get(name) if target is not None else None
        if webhook is None or not hmac.compare_digest(webhook.code.encode(), code.encode()):
            return False
        asked_at = webhook.created_at
        if asked_at is None or state.clock.now() - asked_at > MANUAL_US:
            return False
        webhook.state = "Active"
        state.changes.tell()
        return True

    async def _ask_event(self, webhook: states.Webhook, back: str) -> bool | None:
        """Whether the code came back; None: refused."""
        data = {"validationCode": webhook.code, "validationUrl": back}
        event = self._own_event(webhook, "Microsoft.EventGrid.SubscriptionValidationEvent", data)
        answer = await self._post(webhook, [event], "SubscriptionValidation", count=0)
        if answer.status_code != 200:
            return None
        try:
            body = msgspec.json.decode(answer.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        said = body.get("validationResponse") if isinstance(body, dict) else None
        return said == webhook.code if said is not None else False

    async def _ask(self, webhook: states.Webhook, back: str) -> bool | None:
        """Whether our origin is allowed; None: refused."""
        headers = {
            "WebHook-Request-Origin": ORIGIN,
            "WebHook-Request-Callback": back,
            "WebHook-Request-Rate": RATE,
        }
        answer = await self._client.request(
            "OPTIONS", webhook.endpoint, headers=headers | dict(webhook.headers), timeout=ANSWER_S
        )
        if not answer.is_success:
            return None
        allowed = answer.headers.get("WebHook-Allowed-Origin", "")
        return allowed in ("*", ORIGIN)

    def _own_event(self, webhook: states.Webhook, kind: str, data: Any) -> dict[str, Any]:
        state = self._state
        return {
            "id": state.ids.new(),
            "topic": self._resource(webhook),
            "subject": "",
            "data": data,
            "eventType": kind,
            "eventTime": clocks.to_rfc3339(state.clock.now()),
            "metadataVersion": "1",
            "dataVersion": "2",
        }

    def _resource(self, webhook: states.Webhook) -> str:
        return self._state.custom_topic(webhook.topic).resource

    def _active(self) -> list[states.Webhook]:
        return [
            webhook
            for topic in self._state.custom_topics.values()
            for webhook in topic.webhooks.values()
            if webhook.state == "Active"
        ]

    def _begin(self, webhook: states.Webhook) -> None:
        tasks = self._under_way.setdefault((webhook.topic, webhook.name), set())
        while len(tasks) < AT_ONCE_MAX:
            attempt = webhook.hook.take(self._state.clock.now())
            self._state.bury_hook(webhook)
            if attempt is None:
                return
            task = asyncio.ensure_future(self._deliver(webhook, attempt))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _deliver(self, webhook: states.Webhook, attempt: hooks.Try) -> None:
        outcome: hooks.Outcome
        try:
            answer = await self._post(
                webhook, list(attempt.events), "Notification", count=attempt.count
            )
            outcome = answer.status_code
        except httpx.TimeoutException:
            outcome = "TimedOut"
        except httpx.HTTPError:
            outcome = "SocketError"
        webhook.hook.done(attempt.ordinals, outcome, self._state.clock.now())
        self._state.bury_hook(webhook)
        self._state.changes.tell()

    async def _post(
        self, webhook: states.Webhook, sent: list[dict[str, Any]], kind: str, *, count: int
    ) -> httpx.Response:
        rules = webhook.hook.rules
        headers: dict[str, str] = {
            "aeg-event-type": kind,
            "aeg-subscription-name": webhook.name.upper(),
            "aeg-delivery-count": str(count),
        }
        body: Any = sent
        if rules.schema == "EventGridSchema":
            headers |= _versions(sent[0]) | {"Content-Type": _JSON}
        elif rules.batch_max > 1:
            headers["Content-Type"] = _CLOUD_EVENTS
        else:
            headers["Content-Type"] = _CLOUD_EVENT
            (body,) = sent
        return await self._client.post(
            webhook.endpoint,
            content=msgspec.json.encode(body),
            headers=headers | dict(webhook.headers),
            timeout=ANSWER_S,
        )


def _versions(event: Mapping[str, Any]) -> dict[str, str]:
    return {
        "aeg-data-version": event["dataVersion"].encode("ascii", "replace").decode(),
        "aeg-metadata-version": event["metadataVersion"],
    }
