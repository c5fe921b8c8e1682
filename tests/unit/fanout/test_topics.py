"""Subscribing to topics: what is told of events, in place of the events."""

import asyncio
import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.aws import sns_channel
from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.fanout import channels, events, subscriber, view, worker
from helios.kernel import errors, ids, jsonio
from helios.projections import catalog
from helios.reconcile.bus import commands, outward
from helios.testing import log_samples, memory_log

YAML = """\
apiVersion: helios.io/v1
kind: Subscriber
metadata: {name: others, client_id: acme}
spec:
  start: beginning
  events: {topics: [blackwell-state-commands, blackwell-state-events]}
  deliver: {type: webhook, url: "https://a.example/hook", secret: "secret:s"}
"""


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("{topics: [orders]}", "blackwell-drift-events"),
        ("{topics: []}", "at least one"),
        ("{topics: [blackwell-heal-events, blackwell-heal-events]}", "each topic once"),
        ("{topics: [blackwell-heal-events], types: [A]}", "either topics"),
    ],
)
def test_a_declaration_names_known_topics_and_nothing_beside(wanted: str, message: str) -> None:
    text = YAML.replace("{topics: [blackwell-state-commands, blackwell-state-events]}", wanted)
    with pytest.raises(errors.InvalidInputError, match=message):
        subscriber.parse(text)


class Endpoint:
    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.refuses = 0

    async def deliver(self, message: channels.Message) -> None:
        self.ids.append(message.id)
        if self.refuses:
            self.refuses -= 1
            raise channels.DeliveryError("not now")
        self.bodies.append(json.loads(message.body()))

    async def close(self) -> None: ...


class Clock(log_samples.SteppedClock):
    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(0)


def deliver(tmp_path: Path, endpoint: Endpoint, *, out: channels.Outward | None) -> None:
    async def main() -> None:
        clock = Clock()
        a_log = log.Log(memory_log.MemoryLogStorage(), clock)
        store = view_store.SqliteViewStore(str(tmp_path / "views.db"))
        await a_log.open()
        await store.open()
        views = catalog.Catalog([view.VIEW], a_log, store, clock=log_samples.SteppedClock())
        await views.start()
        keeping = asyncio.ensure_future(views.run())
        id_source = ids.Uuid7Ids(clock, random.Random(1))
        said = events.Declared(name="others", yaml=YAML, hash="h", start="beginning")
        declared = envelope.NewEvent(
            id="d",
            source=events.SOURCE,
            type=events.DECLARED,
            occurred_at=clock.now(),
            tenant="acme",
            aggregate_type=events.AGGREGATE_TYPE,
            aggregate_id="others",
            payload=jsonio.encode(said),
        )
        asked = commands.Issue(command_type="reconcile_client", client_id="acme", command_id="c1")
        made = commands.made([asked], now=clock.now(), id_source=id_source)
        issued = commands.issued(made, now=clock.now(), actor="a")
        await a_log.append([declared, *issued])
        await views.wait_for(view.NAME, await a_log.head())
        around = worker.Around(
            log=a_log,
            store=store,
            wait_for=views.wait_for,
            clock=clock,
            ids=id_source,
            random=lambda: 0.5,
            told=lambda _: None,
            outward=out,
        )
        try:
            row = await view.one(store, "acme", "others")
            one = worker.Worker(around, row, subscriber.parse(YAML), endpoint)
            running = asyncio.ensure_future(one.run())
            async with asyncio.timeout(20):
                while not endpoint.bodies:
                    await a_log.wait(envelope.Position(10**6), timeout_s=0.01)
                    clock.time += 60_000_000  # type: ignore[assignment]
                    await a_log.append([log_samples.event(clock.time)])
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await store.close()
            await a_log.close()

    asyncio.run(main())


def test_what_is_told_is_delivered_and_nothing_else(tmp_path: Path) -> None:
    endpoint = Endpoint()
    deliver(tmp_path, endpoint, out=outward.Outward())
    (body,) = endpoint.bodies
    assert (body["type"], body["topic"]) == ("reconcile_client", "blackwell-state-commands")
    assert body["data"]["command_id"] == "c1"
    assert body["attributes"]["priority"] == "medium"


def test_a_message_that_is_refused_comes_again_under_the_same_id(tmp_path: Path) -> None:
    endpoint = Endpoint()
    endpoint.refuses = 2
    deliver(tmp_path, endpoint, out=outward.Outward())
    assert len(endpoint.bodies) == 1
    assert len(set(endpoint.ids)) == 1
    assert len(endpoint.ids) == 3


def test_topics_need_somebody_who_makes_their_messages(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInputError, match="cannot be subscribed to here"):
        deliver(tmp_path, Endpoint(), out=None)


class Sdk:
    """What a channel asks of the SDK of SNS."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    async def publish(self, **request: Any) -> None:
        self.requests.append(request)


def told() -> channels.Message:
    asked = commands.Issue(command_type="reconcile_client", client_id="acme", command_id="c1")
    clock = log_samples.SteppedClock()
    id_source = ids.Uuid7Ids(clock, random.Random(1))
    made = commands.made([asked], now=clock.now(), id_source=id_source)
    new = commands.issued(made, now=clock.now(), actor="a")[1]
    event = envelope.placed(new, envelope.Position(2), 1, clock.now())
    (outgoing,) = outward.Outward().messages(event, ["blackwell-state-commands"])
    return channels.Message(id="msg_1", event=event, outgoing=outgoing)


def test_d46_attributes_are_those_of_the_message_on_a_topic_of_sns() -> None:
    sdk = Sdk()
    declared = subscriber.Sns(topic_arn="arn:aws:sns:eu-west-1:1:t.fifo", region="eu-west-1")
    channel = sns_channel.SnsChannel(declared, sdk, contextlib.AsyncExitStack())
    asyncio.run(channel.deliver(told()))
    (request,) = sdk.requests
    assert json.loads(request["Message"])["command_id"] == "c1"
    values = {n: v["StringValue"] for n, v in request["MessageAttributes"].items()}
    assert values == {
        "id": "msg_1",
        "type": "reconcile_client",
        "command_type": "reconcile_client",
        "client_id": "acme",
        "priority": "medium",
    }
    assert request["MessageGroupId"] == "acme"


def test_d46_attributes_are_headers_in_kafka() -> None:
    channel = pytest.importorskip(
        "helios.drivers.kafka.channel", reason="no SDK: pip install 'helios[kafka]'"
    )
    message = told()
    headers, body = channel._outgoing(message.event, message.outgoing)
    named = dict(headers)
    assert named["priority"] == b"medium"
    assert named["ce_type"] == b"reconcile_client"
    assert named["ce_source"] == b"/helios/blackwell-state-commands"
    assert json.loads(body)["command_id"] == "c1"
