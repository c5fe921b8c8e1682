"""The Pub/Sub demo server as the vendor's unmodified SDK sees it."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import httpx
import pytest
from google.api_core import exceptions as google_errors
from google.cloud import pubsub_v1
from google.oauth2 import id_token
from starlette import responses

from helios.demo.clouds import drops, pubsub
from helios.kernel import clock as clocks

PROJECT = "demo"
WAIT_S = 60.0
Work = Callable[[Any, pubsub.Server, Callable[[float], None]], None]


@pytest.fixture
def on_pubsub(monkeypatch: pytest.MonkeyPatch, clouds: ModuleType) -> Callable[..., None]:
    """Run a function against a Pub/Sub server, on a thread: its SDK blocks."""

    def run(work: Work,
            *, drop: str = "0") -> None:  # fmt: skip
        async def main() -> None:
            clock, loop = clouds.Steps(), asyncio.get_running_loop()

            def forward(seconds: float) -> None:
                done = threading.Event()
                loop.call_soon_threadsafe(clock.forward, seconds)
                loop.call_soon_threadsafe(done.set)
                assert done.wait(WAIT_S)

            async with pubsub.serve(clock, drop=drops.parse(drop)) as server:
                monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
                google = clouds.Google()
                try:
                    await asyncio.to_thread(work, google, server, forward)
                finally:
                    await asyncio.to_thread(google.close)

        asyncio.run(main())

    return run


def _bodies(messages: list[Any]) -> list[str]:
    return [message.message.data.decode() for message in messages]


def test_pubsub_delivers_what_was_published_with_its_attributes(on_pubsub: Any) -> None:
    def work(google: Any, _server: Any, _forward: Any) -> None:
        google.create()
        (published,) = google.publish("one", type="order.placed")
        (got,) = google.pull()
        assert got.message.message_id == published
        assert dict(got.message.attributes) == {"type": "order.placed"}
        google.ack(got)
        assert google.pull() == []

    on_pubsub(work)


def test_pubsub_streams_two_thousand_messages_to_a_subscriber(on_pubsub: Any) -> None:
    def work(google: Any, server: pubsub.Server, _forward: Any) -> None:
        google.create()
        published = google.publish(*(str(number) for number in range(2_000)))
        got: list[str] = []
        complete = threading.Event()

        def take(message: Any) -> None:
            got.append(message.message_id)
            message.ack()
            if len(got) == len(published):
                complete.set()

        flow = pubsub_v1.types.FlowControl(max_messages=100)
        pulling = google.subscriber.subscribe(google.name, take, flow_control=flow)
        assert complete.wait(WAIT_S)
        pulling.cancel()
        pulling.result(WAIT_S)
        assert sorted(got) == sorted(published)
        assert server.state.broker.subscription(google.name).queue.owed == 0

    on_pubsub(work)


def test_pubsub_never_gives_a_stream_more_than_it_said_it_can_hold(on_pubsub: Any) -> None:
    def work(google: Any, server: pubsub.Server, _forward: Any) -> None:
        google.create()
        google.publish(*(str(number) for number in range(50)))
        # As the SDK begins a stream, without the buffer that it puts in front of us.
        begin = pubsub_v1.types.StreamingPullRequest(
            subscription=google.name, stream_ack_deadline_seconds=10, max_outstanding_messages=7
        )
        going = threading.Event()

        def said() -> Iterator[Any]:
            yield begin
            going.wait(WAIT_S)

        stream = google.subscriber.streaming_pull(said(), timeout=WAIT_S)
        first = next(iter(stream)).received_messages
        assert len(first) == 7
        google.ack(*first[:3])
        assert len(next(iter(stream)).received_messages) == 3
        queue = server.state.broker.subscription(google.name).queue
        assert queue.held("stream-1")[0] == 7
        going.set()
        stream.cancel()

    on_pubsub(work)


def test_pubsub_delivers_again_what_was_not_acknowledged_in_time(on_pubsub: Any) -> None:
    def work(google: Any, _server: Any, forward: Callable[[float], None]) -> None:
        google.create(ack_deadline_seconds=10)
        google.publish("one")
        (first,) = google.pull()
        assert google.pull() == []
        forward(10)
        (second,) = google.pull()
        assert second.message.message_id == first.message.message_id
        assert second.ack_id != first.ack_id
        google.ack(first)
        google.nack(second)
        (third,) = google.pull()
        google.ack(third)
        forward(10)
        assert google.pull() == []

    on_pubsub(work)


def test_pubsub_buries_what_failed_too_often_and_says_where_it_came_from(on_pubsub: Any) -> None:
    def work(google: Any, _server: Any, _forward: Any) -> None:
        dead, watcher = f"projects/{PROJECT}/topics/dead", f"projects/{PROJECT}/subscriptions/dead"
        google.publisher.create_topic(request={"name": dead})
        google.subscriber.create_subscription(request={"name": watcher, "topic": dead})
        google.create(dead_letter_policy={"dead_letter_topic": dead, "max_delivery_attempts": 5})
        google.publish("one", type="order.placed")
        attempts = []
        for _ in range(5):
            (got,) = google.pull()
            attempts.append(got.delivery_attempt)
            google.nack(got)
        assert attempts == [1, 2, 3, 4, 5]
        assert google.pull() == []
        (buried,) = google.pull(name=watcher)
        assert buried.message.data == b"one"
        found = dict(buried.message.attributes)
        assert found["type"] == "order.placed"
        assert found["CloudPubSubDeadLetterSourceSubscription"] == "helios"
        assert found["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"

    on_pubsub(work)


def test_pubsub_keeps_the_order_of_a_key_over_failures(on_pubsub: Any) -> None:
    def work(google: Any, _server: Any, _forward: Any) -> None:
        google.create(enable_message_ordering=True)
        google.publish("a1", "a2", "a3", key="a")
        google.publish("b1", key="b")
        first = google.pull(2)
        assert _bodies(first) == ["a1", "a2"]
        rest = google.pull()
        assert _bodies(rest) == ["b1"], "the key has some out, so no more of it may go"
        google.ack(first[1])
        google.nack(first[0])
        again = google.pull()
        assert _bodies(again) == ["a1", "a2", "a3"], "all after the failed one comes again"
        google.ack(*again, *rest)
        assert google.pull() == []

    on_pubsub(work)


def test_pubsub_delivers_acknowledged_messages_again_after_a_seek(on_pubsub: Any) -> None:
    def work(google: Any, _server: Any, forward: Callable[[float], None]) -> None:
        google.create(retain_acked_messages=True)
        google.publish("early")
        google.ack(*google.pull())
        forward(100)
        middle = datetime.now(UTC) + timedelta(seconds=50)
        google.publish("late")
        google.ack(*google.pull())
        google.subscriber.seek(request={"subscription": google.name, "time": middle})
        assert _bodies(google.pull()) == ["late"]
        far = datetime.now(UTC) + timedelta(days=1)
        google.subscriber.seek(request={"subscription": google.name, "time": far})
        google.publish("skipped")
        assert google.pull() == []

    on_pubsub(work)


def test_pubsub_drops_every_nth_message_until_somebody_seeks(on_pubsub: Any) -> None:
    def work(google: Any, server: pubsub.Server, _forward: Any) -> None:
        google.create(retain_acked_messages=True)
        published = google.publish(*(str(number) for number in range(30)))
        got = google.pull()
        assert len(got) == 27
        google.ack(*got)
        missing = [published[index] for index in (9, 19, 29)]
        assert [dropped.id for dropped in server.dropped] == missing
        told = httpx.get(server.url + drops.PATH, trust_env=False).json()
        assert [dropped["id"] for dropped in told] == missing
        begin = datetime.now(UTC) - timedelta(hours=1)
        google.subscriber.seek(request={"subscription": google.name, "time": begin})
        again = {message.message.message_id for message in google.pull()}
        assert again == set(published)

    on_pubsub(work, drop="1/10")


def test_pubsub_refuses_what_it_does_not_do_instead_of_ignoring_it(on_pubsub: Any) -> None:
    def work(google: Any, _server: Any, _forward: Any) -> None:
        google.create()
        google.name += "-other"
        with pytest.raises(google_errors.MethodNotImplemented, match="filter"):
            google.subscribe(filter='attributes.type = "order.placed"')
        with pytest.raises(google_errors.InvalidArgument, match="ack_deadline_seconds"):
            google.subscribe(ack_deadline_seconds=5)
        with pytest.raises(google_errors.NotFound):
            google.pull()
        with pytest.raises(google_errors.AlreadyExists):
            google.publisher.create_topic(request={"name": google.topic})

    on_pubsub(work)


def test_pubsub_lists_changes_and_deletes_topics_and_subscriptions(on_pubsub: Any) -> None:
    def work(google: Any, _server: Any, _forward: Any) -> None:
        google.create()
        project = {"project": f"projects/{PROJECT}"}
        assert [topic.name for topic in google.publisher.list_topics(request=project)] == [
            google.topic
        ]
        subscribed = google.publisher.list_topic_subscriptions(request={"topic": google.topic})
        assert list(subscribed) == [google.name]
        changed = google.subscriber.update_subscription(
            request={
                "subscription": {"name": google.name, "ack_deadline_seconds": 33},
                "update_mask": {"paths": ["ack_deadline_seconds"]},
            }
        )
        assert changed.ack_deadline_seconds == 33
        google.publisher.delete_topic(request={"topic": google.topic})
        (left,) = google.subscriber.list_subscriptions(request=project)
        assert left.topic == "_deleted-topic_"
        google.subscriber.delete_subscription(request={"subscription": google.name})
        assert list(google.subscriber.list_subscriptions(request=project)) == []

    on_pubsub(work)


def test_pubsub_pushes_with_a_token_that_google_s_own_library_accepts(
    monkeypatch: pytest.MonkeyPatch, clouds: ModuleType
) -> None:
    statuses = iter((500, 429, 204))

    async def main() -> None:
        receiver = clouds.Receiver(
            lambda _request, _body: responses.Response(status_code=next(statuses))
        )
        async with receiver.serving() as hook, pubsub.serve(clocks.SystemClock()) as server:
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
            google = clouds.Google()
            token = {"service_account_email": "push@demo.example"}
            push = {"push_endpoint": hook, "oidc_token": token}

            def work() -> None:
                google.create(push_config=push)
                with pytest.raises(google_errors.FailedPrecondition):
                    google.pull()
                google.publish("one", type="order.placed")

            await asyncio.to_thread(work)
            await receiver.until(3)
            request, body = receiver.got[-1]
            bearer = request.headers["authorization"].removeprefix("Bearer ")
            claims = await asyncio.to_thread(_verified, bearer, hook, server.jwks_url)
            assert claims["email"] == "push@demo.example"
            assert claims["email_verified"] is True
            assert body["message"]["data"] == "b25l"
            assert body["message"]["attributes"] == {"type": "order.placed"}
            assert body["subscription"] == google.name
            assert len({got["message"]["messageId"] for _, got in receiver.got}) == 1
            async with asyncio.timeout(WAIT_S):
                while server.state.broker.subscription(google.name).queue.owed:
                    await server.state.changes.wait()
            await asyncio.to_thread(google.close)

    asyncio.run(main())


def _verified(token: str, audience: str, jwks_url: str) -> Mapping[str, Any]:
    # What the library asks its transport for, with the client that we have.
    def get(url: str, **_options: Any) -> Any:
        answer = httpx.get(url, trust_env=False)

        class Answer:
            status = answer.status_code
            data = answer.content

        return Answer()

    fetch: Any = get

    return id_token.verify_token(token, fetch, audience=audience, certs_url=jwks_url)
