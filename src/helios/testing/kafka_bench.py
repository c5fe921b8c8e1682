"""A bench for tests against a real Kafka: topics, a small gate on a real log, sources, a sink."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import confluent_kafka
from confluent_kafka import admin, cimpl

from helios.drivers.kafka import options, sink, source
from helios.drivers.sqlite import log_storage
from helios.eventlog import envelope, log
from helios.ingest import sources
from helios.kernel import clock, errors
from helios.providers import ports as providers

WAIT_S = 60.0
_numbers = itertools.count(1)


def fresh(name: str) -> str:
    """A name that no other test of any run uses."""
    return f"{name}.{os.getpid()}.{next(_numbers)}"


def make_topic(server: str, *, partitions: int = 1, name: str | None = None) -> str:
    """Make a topic and return its name."""
    topic = name or fresh("orders")
    client = admin.AdminClient({"bootstrap.servers": server})
    (done,) = client.create_topics([cimpl.NewTopic(topic, partitions, 1)]).values()
    done.result(WAIT_S)
    return topic


def committed(server: str, group: str, topic: str) -> dict[int, int]:
    """What the broker holds as the group's offsets; empty: it knows no such group."""
    client = admin.AdminClient({"bootstrap.servers": server})
    asked = [confluent_kafka.ConsumerGroupTopicPartitions(group)]
    (done,) = client.list_consumer_group_offsets(asked).values()
    told = done.result(WAIT_S).topic_partitions or []
    return {one.partition: one.offset for one in told if one.topic == topic and one.offset >= 0}


def groups(server: str) -> set[str]:
    """The consumer groups that the broker knows."""
    client = admin.AdminClient({"bootstrap.servers": server})
    return {one.group_id for one in client.list_consumer_groups().result(WAIT_S).valid}


def produce(server: str, topic: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write records (key, value, headers, partition, timestamp) and wait until all are there."""
    producer = confluent_kafka.Producer({"bootstrap.servers": server, "linger.ms": 2})
    failed: list[Any] = []
    for row in rows:
        producer.produce(
            topic, on_delivery=lambda error, _: failed.append(error) if error else None, **row
        )
        producer.poll(0)
    assert producer.flush(WAIT_S) == 0
    assert not failed, failed


class LogGate:
    """A gate that appends to a log of its own and keeps dead letters in a list.

    Not the product's gate but its contract, small enough to see through: durable on return,
    duplicates told by the log, what cannot be read set aside.
    """

    def __init__(self, a_log: log.Log) -> None:
        self.log = a_log
        self.dead: list[sources.Fetched] = []
        self.calls = self.seen = self.stored = 0
        self.refuse: Callable[[], None] = lambda: None

    async def admit(
        self, source: sources.Declared, fetched: list[sources.Fetched]
    ) -> list[sources.Outcome]:
        self.calls += 1
        self.refuse()
        events: list[envelope.NewEvent] = []
        sizes: list[int] = []
        for one in fetched:
            if isinstance(one.received, providers.UnprocessableError):
                self.dead.append(one)
                sizes.append(-1)
            else:
                made = [_event(source, received) for received in one.received]
                events += made
                sizes.append(len(made))
        results = await self._append(events)
        outcomes = []
        for size in sizes:
            took: tuple[sources.Result, ...] = ("dead",)
            if size >= 0:
                took = tuple(results[:size])
                results = results[size:]
            outcomes.append(sources.Outcome(results=took))
        self.seen += len(fetched)
        self.stored += sum(one.results.count("stored") for one in outcomes)
        return outcomes

    async def _append(self, events: list[envelope.NewEvent]) -> list[sources.Result]:
        if not events:
            return []
        unique = {event.id: event for event in events}
        appended = await self.log.append(list(unique.values()))
        again = dict(zip(unique, appended.duplicates, strict=True))
        results: list[sources.Result] = []
        for event in events:
            results.append("duplicate" if again[event.id] else "stored")
            again[event.id] = True
        return results


def _event(source: sources.Declared, received: providers.Received) -> envelope.NewEvent:
    assert received.id is not None
    return envelope.NewEvent(
        id=received.id,
        source=source.name,
        type=received.type,
        occurred_at=received.occurred_at or clock.Timestamp(0),
        aggregate_type=received.aggregate_type or "source",
        aggregate_id=received.aggregate_id or source.name,
        payload=received.payload,
    )


@contextlib.asynccontextmanager
async def open_log(folder: Path) -> AsyncIterator[log.Log]:
    """A log in a file of the folder."""
    system = clock.SystemClock()
    storage = log_storage.SqliteLogStorage(str(folder / "log.db"), system, prewarm_pages=0)
    a_log = log.Log(storage, system)
    await a_log.open()
    try:
        yield a_log
    finally:
        await a_log.close()


@contextlib.asynccontextmanager
async def open_gate(folder: Path) -> AsyncIterator[LogGate]:
    """A gate on a log in the folder."""
    async with open_log(folder) as a_log:
        yield LogGate(a_log)


async def events_of(a_log: log.Log) -> list[envelope.Event]:
    """All events of a log, in order."""
    found: list[envelope.Event] = []
    while True:
        page = await a_log.read(found[-1].position if found else envelope.Position(0))
        if not page.events:
            return found
        found += page.events


def make_source(
    server: str,
    gate: sources.Gate,
    *,
    group: str | None = None,
    paused: bool = False,
    **given: Any,
) -> source.KafkaSource:
    """A source of these options that does not run yet."""
    settings = {"bootstrap": server, "session_s": 6.0, "group": group or fresh("group"), **given}
    declared = sources.Declared(name="kafka", provider="kafka", options=settings, paused=paused)
    tools = sources.Tools(
        declared=declared,
        source=providers.Source(name="kafka", tenant="default", provider="kafka"),
        gate=gate,
        clock=clock.SystemClock(),
        random=lambda: 0.5,
        # Kafka calls no API of a provider.
        api=cast("providers.Api", None),
    )
    return source.KafkaSource(tools)


@contextlib.asynccontextmanager
async def running(a_source: sources.Runner) -> AsyncIterator[None]:
    """A source that runs until the end of the block."""
    task = asyncio.create_task(a_source.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Any], what: str) -> None:
    """Look again and again; a condition may be a coroutine function."""
    deadline = asyncio.get_running_loop().time() + WAIT_S
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert asyncio.get_running_loop().time() < deadline, f"not within {WAIT_S} s: {what}"
        await asyncio.sleep(0.02)


def overloaded() -> None:
    """Refuse as a gate does that is full: for `LogGate.refuse`."""
    raise errors.OverloadError("full", retry_after_s=0.1)


def a_sink(server: str, **given: Any) -> sink.KafkaSink:
    """A sink that is not closed by itself."""
    return sink.KafkaSink(options.parse_connection({"bootstrap": server}), **given)
