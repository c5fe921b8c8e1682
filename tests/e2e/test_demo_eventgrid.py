"""The Event Grid demo server as the vendor's unmodified SDK and webhooks see it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

import httpx
import pytest
from azure.core import exceptions as azure_errors
from azure.core.credentials import AzureKeyCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent
from azure.eventgrid import aio as azure
from starlette import responses

from helios.demo.clouds import drops, eventgrid, eventgrid_queue
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.testing import runner_bench as bench

Work = Callable[[eventgrid.Server, Any], Awaitable[None]]
Run = Callable[..., None]


@pytest.fixture
def on_eventgrid(clouds: ModuleType) -> Run:
    """Run a function against an Event Grid server."""

    async def main(work: Work, drop: str, pace: float) -> None:
        clock = clouds.Steps()
        async with eventgrid.serve(clock, drop=drops.parse(drop), pace=pace) as server:
            await work(server, clock)

    def run(work: Work, *, drop: str = "0", pace: float = 1.0) -> None:
        asyncio.run(main(work, drop, pace))

    return run


@contextlib.asynccontextmanager
async def _namespace(server: eventgrid.Server) -> AsyncIterator[tuple[Any, Any]]:
    key = AzureKeyCredential(server.key)
    publisher = azure.EventGridPublisherClient(server.url, key, namespace_topic="orders")
    consumer = azure.EventGridConsumerClient(
        server.url, key, namespace_topic="orders", subscription="helios"
    )
    async with publisher, consumer:
        yield publisher, consumer


def _events(count: int) -> list[CloudEvent[Any]]:
    return [
        CloudEvent(type="order.placed", source="/shop", data={"n": number}, id=str(number))
        for number in range(count)
    ]


def test_event_grid_delivers_what_was_published_until_it_is_acknowledged(on_eventgrid: Run) -> None:
    async def work(server: eventgrid.Server, clock: Any) -> None:
        server.create_subscription("orders", "helios")
        async with _namespace(server) as (publisher, consumer):
            await publisher.send(_events(1)[0])
            await publisher.send(_events(5)[1:])
            got = await consumer.receive(max_events=100, max_wait_time=10)
            assert [detail.event.data for detail in got] == [{"n": n} for n in range(5)]
            assert {detail.broker_properties.delivery_count for detail in got} == {1}
            tokens = [detail.broker_properties.lock_token for detail in got]
            done = await consumer.acknowledge(lock_tokens=[*tokens[:3], "unknown"])
            assert done.succeeded_lock_tokens == tokens[:3]
            (failed,) = done.failed_lock_tokens
            assert (failed.lock_token, failed.error.code) == ("unknown", "TokenLost")
            clock.forward(60)
            again = await consumer.receive(max_events=100, max_wait_time=10)
            assert [detail.event.id for detail in again] == ["3", "4"]
            assert {detail.broker_properties.delivery_count for detail in again} == {2}

    on_eventgrid(work)


def test_event_grid_releases_renews_and_rejects_as_it_is_told(on_eventgrid: Run) -> None:
    async def work(server: eventgrid.Server, clock: Any) -> None:
        server.create_subscription("orders", "helios")
        async with _namespace(server) as (publisher, consumer):
            await publisher.send(_events(3))
            got = await consumer.receive(max_events=3, max_wait_time=10)
            released, renewed, rejected = (d.broker_properties.lock_token for d in got)
            await consumer.release(lock_tokens=[released], release_delay=60)
            clock.forward(50)
            await consumer.renew_locks(lock_tokens=[renewed])
            await consumer.reject(lock_tokens=[rejected])
            clock.forward(10)
            (back,) = await consumer.receive(max_events=3, max_wait_time=10)
            assert back.event.id == "0"
            done = await consumer.acknowledge(lock_tokens=[renewed])
            assert done.succeeded_lock_tokens == [renewed]
            (dead,) = await _dead_letters(server)
            assert dead["event"]["id"] == "2"
            assert dead["deadletterProperties"]["deliveryattempts"] == 1

    on_eventgrid(work)


async def _dead_letters(server: eventgrid.Server) -> list[Any]:
    async with httpx.AsyncClient(trust_env=False) as client:
        asked = {"restype": "container", "comp": "list"}
        listing = (await client.get(server.dead_letters_url, params=asked)).text
        names = [part.split("</Name>")[0] for part in listing.split("<Name>")[1:]]
        return [(await client.get(f"{server.dead_letters_url}/{name}")).json() for name in names]


def test_event_grid_gives_up_what_was_received_too_often(on_eventgrid: Run) -> None:
    async def work(server: eventgrid.Server, clock: Any) -> None:
        rules = eventgrid_queue.Rules(attempts_max=2, lock_us=clocks.SECOND_US)
        server.create_subscription("orders", "helios", rules)
        async with _namespace(server) as (publisher, consumer):
            await publisher.send(_events(1))
            for count in (1, 2):
                (got,) = await consumer.receive(max_events=9, max_wait_time=10)
                assert got.broker_properties.delivery_count == count
                clock.forward(1)
            (dead,) = await _dead_letters(server)
            assert dead["deadletterProperties"]["deliveryattempts"] == 2
            assert dead["event"]["data"] == {"n": 0}

    on_eventgrid(work)


def test_event_grid_locks_nothing_for_a_receiver_that_left(on_eventgrid: Run) -> None:
    async def work(server: eventgrid.Server, _clock: Any) -> None:
        server.create_subscription("orders", "helios")
        path = "/topics/orders/eventsubscriptions/helios:receive?api-version=1&maxWaitTime=120"
        host = httpx.URL(server.url)
        reader, writer = await asyncio.open_connection(host.host, host.port)
        key = f"Authorization: SharedAccessKey {server.key}"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n{key}\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert await reader.read() == b""
        async with _namespace(server) as (publisher, consumer):
            await publisher.send(_events(1))
            (found,) = await consumer.receive(max_wait_time=10)
            assert found.broker_properties.delivery_count == 1

    on_eventgrid(work)


def test_event_grid_ends_while_somebody_waits_for_events(
    on_eventgrid: Run, caplog: pytest.LogCaptureFixture
) -> None:
    waiting: list[asyncio.Task[Any]] = []

    async def work(server: eventgrid.Server, _clock: Any) -> None:
        server.create_subscription("orders", "helios")
        async with _namespace(server) as (publisher, consumer):
            await publisher.send(_events(1))
            await consumer.receive(max_wait_time=10)

        async def wait() -> None:
            async with _namespace(server) as (_, consumer):
                assert await consumer.receive(max_wait_time=120) == []

        before = server.state.changes.awaited
        waiting.append(asyncio.ensure_future(wait()))
        await bench.until(lambda: server.state.changes.awaited > before, "it waits")

    on_eventgrid(work)
    assert waiting[0].done()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_event_grid_gives_dropped_events_only_as_dead_letters(on_eventgrid: Run) -> None:
    async def work(server: eventgrid.Server, _clock: Any) -> None:
        server.create_subscription("orders", "helios")
        async with _namespace(server) as (publisher, consumer):
            await publisher.send(_events(10))
            got = await consumer.receive(max_events=100, max_wait_time=10)
            assert [detail.event.id for detail in got] == ["0", "1", "2", "3", "5", "6", "7", "8"]
        dead = await _dead_letters(server)
        assert sorted(letter["event"]["id"] for letter in dead) == ["4", "9"]
        assert [dropped.id for dropped in server.dropped] == ["4", "9"]

    on_eventgrid(work, drop="1/5")


def test_event_grid_lets_nobody_in_without_the_key(on_eventgrid: Run) -> None:
    async def work(server: eventgrid.Server, _clock: Any) -> None:
        server.create_subscription("orders", "helios")
        server.key = "wrong"
        async with _namespace(server) as (publisher, consumer):
            with pytest.raises(azure_errors.ClientAuthenticationError):
                await publisher.send(_events(1))
            with pytest.raises(azure_errors.ClientAuthenticationError):
                await consumer.receive(max_events=1, max_wait_time=10)

    on_eventgrid(work)


def _validating(request: Any, body: Any) -> responses.Response:
    """Answers the handshake of Event Grid's own schema."""
    if request.headers.get("aeg-event-type") != "SubscriptionValidation":
        return responses.Response(status_code=200)
    return responses.JSONResponse({"validationResponse": body[0]["data"]["validationCode"]})


def test_a_webhook_that_answers_with_the_code_gets_events(
    on_eventgrid: Run, clouds: ModuleType
) -> None:
    async def work(server: eventgrid.Server, _clock: Any) -> None:
        endpoint = server.create_custom_topic("shop")
        receiver = clouds.Receiver(_validating)
        key = AzureKeyCredential(server.key)
        async with receiver.serving() as hook:
            secret = {"x-secret": "s3cret"}
            state = await server.subscribe("shop", "helios", hook, headers=secret)
            assert state == "Active"
            async with azure.EventGridPublisherClient(endpoint, key) as publisher:
                event = EventGridEvent("orders/1", "order.placed", {"n": 1}, "1.0", id="one")
                await publisher.send(event)
            await receiver.until(2)
        request, (got,) = receiver.got[-1]
        assert (got["id"], got["data"], got["metadataVersion"]) == ("one", {"n": 1}, "1")
        assert got["topic"].endswith("/topics/shop")
        assert request.headers["aeg-event-type"] == "Notification"
        assert request.headers["aeg-subscription-name"] == "HELIOS"
        assert request.headers["aeg-delivery-count"] == "0"
        assert request.headers["x-secret"] == "s3cret"

    on_eventgrid(work)


def test_a_webhook_that_allows_the_origin_gets_cloud_events(
    on_eventgrid: Run, clouds: ModuleType
) -> None:
    def answer(request: Any, _body: Any) -> responses.Response:
        allowed = {"WebHook-Allowed-Origin": request.headers.get("WebHook-Request-Origin", "")}
        return responses.Response(headers=allowed if request.method == "OPTIONS" else None)

    async def work(server: eventgrid.Server, _clock: Any) -> None:
        endpoint = server.create_custom_topic("shop", "CloudEventSchemaV1_0")
        receiver = clouds.Receiver(answer)
        key = AzureKeyCredential(server.key)
        async with receiver.serving() as hook:
            schema = "CloudEventSchemaV1_0"
            assert await server.subscribe("shop", "helios", hook, schema=schema) == "Active"
            async with azure.EventGridPublisherClient(endpoint, key) as publisher:
                await publisher.send(_events(1))
            await receiver.until(2)
        request, got = receiver.got[-1]
        assert request.headers["content-type"].startswith("application/cloudevents+json")
        assert (got["id"], got["source"], got["data"]) == ("0", "/shop", {"n": 0})

    on_eventgrid(work)


@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
def test_a_webhook_may_prove_itself_later_by_calling_back(
    on_eventgrid: Run, clouds: ModuleType, schema: str
) -> None:
    async def work(server: eventgrid.Server, clock: Any) -> None:
        server.create_custom_topic("shop")
        receiver = clouds.Receiver(lambda _request, _body: responses.Response(status_code=200))
        async with receiver.serving() as hook, httpx.AsyncClient(trust_env=False) as client:
            state = await server.subscribe("shop", "helios", hook, schema=schema)
            assert state == "AwaitingManualAction"
            request, body = receiver.got[-1]
            back = (
                request.headers.get("webhook-request-callback")
                or (body[0]["data"]["validationUrl"])
            )
            assert (await client.get(back + "x")).status_code == 404
            assert (await client.get(back)).status_code == 200
            assert server.state.webhook("shop", "helios").state == "Active"
            await server.subscribe("shop", "late", hook, schema=schema)
            request, body = receiver.got[-1]
            back = (
                request.headers.get("webhook-request-callback")
                or (body[0]["data"]["validationUrl"])
            )
            clock.forward(601)
            assert (await client.get(back)).status_code == 404

    on_eventgrid(work)


@pytest.mark.parametrize("status", [202, 401, 500])
def test_a_webhook_that_does_not_answer_with_200_gets_nothing(
    on_eventgrid: Run, clouds: ModuleType, status: int
) -> None:
    async def work(server: eventgrid.Server, _clock: Any) -> None:
        server.create_custom_topic("shop")
        receiver = clouds.Receiver(lambda _request, _body: responses.Response(status_code=status))
        async with receiver.serving() as hook:
            with pytest.raises(errors.InvalidInputError, match="validate"):
                await server.subscribe("shop", "helios", hook)
        assert server.state.custom_topic("shop").webhooks == {}

    on_eventgrid(work)


def test_deliveries_are_tried_again_but_never_after_a_refusal(
    on_eventgrid: Run, clouds: ModuleType
) -> None:
    statuses = {"again": iter((503, 500, 200)), "never": iter((400,))}

    def answer(request: Any, body: Any) -> responses.Response:
        if request.headers.get("aeg-event-type") == "SubscriptionValidation":
            return _validating(request, body)
        return responses.Response(status_code=next(statuses[body[0]["id"]]))

    async def work(server: eventgrid.Server, _clock: Any) -> None:
        endpoint = server.create_custom_topic("shop")
        receiver = clouds.Receiver(answer)
        key = AzureKeyCredential(server.key)
        async with receiver.serving() as hook:
            await server.subscribe("shop", "helios", hook)
            async with azure.EventGridPublisherClient(endpoint, key) as publisher:
                made = [EventGridEvent("s", "t", {}, "1", id=name) for name in statuses]
                await publisher.send(made)
            await receiver.until(5)
        tried = [(body[0]["id"], r.headers["aeg-delivery-count"]) for r, body in receiver.got[1:]]
        assert sorted(tried) == [("again", "0"), ("again", "1"), ("again", "2"), ("never", "0")]
        (dead,) = await _dead_letters(server)
        assert (dead[0]["id"], dead[0]["lastDeliveryOutcome"]) == ("never", "400")

    on_eventgrid(work, pace=1_000)
