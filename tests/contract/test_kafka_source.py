"""A Kafka topic as a source, against a real broker: order, commits, rebalances, poison, lag."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from types import ModuleType

import confluent_kafka
import pytest

from helios.drivers.kafka import source
from helios.eventlog import envelope
from helios.ingest import sources
from helios.kernel import clock, errors
from helios.providers import ports as providers
from helios.testing import kafka_bench as bench

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

CONSUMER = """
import asyncio, pathlib, sys
from helios.testing import kafka_bench as bench

async def main(server, folder, topic, group):
    async with bench.open_gate(pathlib.Path(folder)) as gate:
        real = gate.log.append
        async def append(events):
            done = await real(events)
            print(len(events), flush=True)
            return done
        gate.log.append = append
        await bench.make_source(server, gate, topics=[topic], group=group, batch_max=7).run()

asyncio.run(main(*sys.argv[1:]))
"""


def order(number: int, **more: object) -> dict[str, object]:
    value = json.dumps({"number": number}).encode()
    return {"key": f"o-{number % 5}".encode(), "value": value, **more}


def numbers(events: list[envelope.Event]) -> list[int]:
    return [event.data()["number"] for event in events]


def test_each_partition_keeps_its_order_and_is_committed_to_its_end(
    kafka_server: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        topic, group = bench.make_topic(kafka_server, partitions=3), bench.fresh("group")
        bench.produce(kafka_server, topic, [order(n, partition=n % 3) for n in range(900)])
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(kafka_server, gate, topics=[topic], group=group)
            async with bench.running(a_source):
                await bench.until(lambda: gate.stored == 900, "all handed in")
                ends = {0: 300, 1: 300, 2: 300}
                await bench.until(
                    lambda: bench.committed(kafka_server, group, topic) == ends, "all committed"
                )
            found = numbers(await bench.events_of(gate.log))
        assert sorted(found) == list(range(900))
        for partition in range(3):
            mine = [number for number in found if number % 3 == partition]
            assert mine == sorted(mine)

    asyncio.run(scenario())


def test_nothing_is_committed_before_it_is_durable(kafka_server: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        topic, group = bench.make_topic(kafka_server), bench.fresh("group")
        bench.produce(kafka_server, topic, [order(n) for n in range(50)])
        async with bench.open_gate(tmp_path) as gate:
            gate.refuse = bench.overloaded
            a_source = bench.make_source(kafka_server, gate, topics=[topic], group=group)
            async with bench.running(a_source):
                await bench.until(lambda: gate.calls >= 3, "three tries")
                status = await a_source.status()
                assert (status.state, status.detail) == ("waiting", "full")
                assert status.lag == 50
                assert bench.committed(kafka_server, group, topic) == {}
                gate.refuse = lambda: None
                await bench.until(lambda: gate.stored == 50, "all handed in")
            assert bench.committed(kafka_server, group, topic) == {0: 50}
            assert numbers(await bench.events_of(gate.log)) == list(range(50))

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_killed_consumer_loses_nothing_and_its_successor_doubles_nothing(
    kafka_server: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        topic, group = bench.make_topic(kafka_server, partitions=2), bench.fresh("group")
        script = tmp_path / "consumer.py"
        script.write_text(CONSUMER)
        for round_ in range(3):
            rows = [order(round_ * 1000 + n, partition=n % 2) for n in range(1000)]
            bench.produce(kafka_server, topic, rows)
            words = (kafka_server, str(tmp_path), topic, group)
            child = await asyncio.create_subprocess_exec(
                sys.executable, str(script), *words, stdout=asyncio.subprocess.PIPE
            )
            assert child.stdout is not None
            for _ in range(20):
                assert await asyncio.wait_for(child.stdout.readline(), bench.WAIT_S)
            child.send_signal(signal.SIGKILL)
            await child.wait()
        async with bench.open_gate(tmp_path) as gate:
            before = len(await bench.events_of(gate.log))
            assert 0 < before < 3000
            a_source = bench.make_source(kafka_server, gate, topics=[topic], group=group)
            async with bench.running(a_source):
                await bench.until(lambda: before + gate.stored == 3000, "the rest")
            found = numbers(await bench.events_of(gate.log))
        assert sorted(found) == list(range(3000))
        for partition in range(2):
            mine = [number for number in found if number % 2 == partition]
            assert mine == sorted(mine)

    asyncio.run(scenario())


def test_two_members_share_the_partitions_and_hand_them_over_without_reading_twice(
    kafka_server: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        topic, group = bench.make_topic(kafka_server, partitions=4), bench.fresh("group")
        bench.produce(kafka_server, topic, [order(n, partition=n % 4) for n in range(400)])
        async with bench.open_gate(tmp_path) as gate:
            first = bench.make_source(kafka_server, gate, topics=[topic], group=group)
            second = bench.make_source(kafka_server, gate, topics=[topic], group=group)
            async with bench.running(first):
                await bench.until(lambda: gate.stored == 400, "the first member reads all")
                async with bench.running(second):
                    await bench.until(lambda: _shares(first, second), "two partitions each")
                    rows = [order(400 + n, partition=n % 4) for n in range(400)]
                    bench.produce(kafka_server, topic, rows)
                    await bench.until(lambda: gate.stored == 800, "both read")
                    one, two = await first.status(), await second.status()
                    assert (one.fetched, two.fetched) == (600, 200)
                bench.produce(
                    kafka_server, topic, [order(800 + n, partition=n % 4) for n in range(400)]
                )
                await bench.until(lambda: gate.stored == 1200, "the first one has all again")
                assert (await first.status()).duplicates == 0
            found = numbers(await bench.events_of(gate.log))
        assert sorted(found) == list(range(1200))

    async def _shares(first: source.KafkaSource, second: source.KafkaSource) -> bool:
        sizes = [len(await one.lags()) for one in (first, second)]
        return sizes == [2, 2]

    asyncio.run(scenario())


def test_records_held_for_a_full_log_are_dropped_when_their_partition_goes_to_another(
    kafka_server: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        topic, group = bench.make_topic(kafka_server, partitions=2), bench.fresh("group")
        bench.produce(kafka_server, topic, [order(n, partition=n % 2) for n in range(200)])
        places = [tmp_path / name for name in ("full", "free")]
        for place in places:
            place.mkdir()
        async with bench.open_gate(places[0]) as full, bench.open_gate(places[1]) as gate:
            full.refuse = bench.overloaded
            stuck = bench.make_source(kafka_server, full, topics=[topic], group=group)
            free = bench.make_source(kafka_server, gate, topics=[topic], group=group)
            async with bench.running(stuck):
                await bench.until(lambda: full.calls >= 2, "it is stuck")
                async with bench.running(free):
                    await bench.until(lambda: gate.stored == 100, "one partition moved")
                    full.refuse = lambda: None
                    await bench.until(lambda: full.stored == 100, "the other one stayed")
                    ends = {0: 100, 1: 100}
                    await bench.until(
                        lambda: bench.committed(kafka_server, group, topic) == ends, "all committed"
                    )

    asyncio.run(scenario())


def test_poison_goes_aside_with_its_bytes_and_blocks_nothing(
    kafka_server: str, tmp_path: Path
) -> None:
    poison = [b"{not json", b"\xff\xfe", b"", b'{"a":1,"a":2}', b"[" * 200]

    async def scenario() -> None:
        topic, group = bench.make_topic(kafka_server), bench.fresh("group")
        rows = [{"key": b"k", "value": one, "headers": [("h", b"v")]} for one in poison]
        bench.produce(kafka_server, topic, [order(1), *rows, order(2)])
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(kafka_server, gate, topics=[topic], group=group)
            async with bench.running(a_source):
                await bench.until(lambda: gate.stored == 2, "the good ones")
                status = await a_source.status()
            assert (status.fetched, status.dead) == (7, 5)
            assert [dead.body for dead in gate.dead] == poison
            assert [dead.origin for dead in gate.dead] == [f"{topic}/0/{n}" for n in range(1, 6)]
            for dead in gate.dead:
                assert isinstance(dead.received, providers.UnprocessableError)
                assert dead.received.reason == "invalid_json"
                assert dict(dead.headers)["h"] == "v"
                assert dict(dead.headers)["kafka-key"] == "k"
            assert bench.committed(kafka_server, group, topic) == {0: 7}

    asyncio.run(scenario())


def test_both_modes_of_cloudevents_are_read_and_deduplicated_by_source_and_id(
    kafka_server: str, tmp_path: Path
) -> None:
    event = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order.placed"}
    structured = {
        "value": json.dumps({**event, "data": {"number": 1}}).encode(),
        "headers": [("content-type", b"application/cloudevents+json; charset=UTF-8")],
    }
    binary = {
        "value": b'{"number": 2}',
        "headers": [
            ("content-type", b"application/json"),
            *((f"ce_{name}", text.encode()) for name, text in {**event, "id": "e-2"}.items()),
        ],
    }
    damaged = {"value": b"{}", "headers": [("ce_specversion", b"1.0"), ("ce_id", b"e-3")]}

    async def scenario() -> None:
        topic = bench.make_topic(kafka_server)
        bench.produce(kafka_server, topic, [structured, binary, structured, binary, damaged])
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(kafka_server, gate, topics=[topic])
            async with bench.running(a_source):
                await bench.until(lambda: gate.seen == 5, "all handed in")
            events = await bench.events_of(gate.log)
            assert [(one.id, one.type, one.data()) for one in events] == [
                ("e-1", "order.placed", {"number": 1}),
                ("e-2", "order.placed", {"number": 2}),
            ]
            (dead,) = gate.dead
            assert isinstance(dead.received, providers.UnprocessableError)
            assert dead.received.reason == "invalid_cloudevent"

    asyncio.run(scenario())


def test_a_tombstone_is_the_event_that_its_key_is_gone(kafka_server: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        topic = bench.make_topic(kafka_server)
        bench.produce(kafka_server, topic, [order(1), {"key": b"o-1"}, {"key": None}])
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(kafka_server, gate, topics=[topic], event_type="order")
            async with bench.running(a_source):
                await bench.until(lambda: gate.seen == 3, "all handed in")
            placed, gone = await bench.events_of(gate.log)
            assert (placed.type, gone.type) == ("order", "order.deleted")
            assert placed.aggregate_id == gone.aggregate_id == "o-1"
            assert gone.data() == {"key": "o-1"}
            (dead,) = gate.dead
            assert isinstance(dead.received, providers.UnprocessableError)
            assert dead.received.reason == "tombstone_without_key"

    asyncio.run(scenario())


def test_lag_is_told_for_each_partition_and_a_pause_lets_it_grow(
    kafka_server: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        topic = bench.make_topic(kafka_server, partitions=2)
        bench.produce(kafka_server, topic, [order(n, partition=0) for n in range(30)])
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(kafka_server, gate, topics=[topic], paused=True)
            async with bench.running(a_source):

                async def lags() -> list[int]:
                    return [one.lag for one in await a_source.lags()]

                async def lag_is(expected: list[int]) -> bool:
                    return await lags() == expected

                await bench.until(lambda: lag_is([30, 0]), "it is a member")
                assert (await a_source.status()).state == "paused"
                assert gate.calls == 0
                a_source.resume()
                await bench.until(lambda: lag_is([0, 0]), "caught up")
                status = await a_source.status()
                assert (status.state, status.lag, status.lag_s) == ("running", 0, 0.0)
                assert gate.stored == 30
                a_source.pause()
                await bench.until(lambda: _is_paused(a_source), "paused")
                bench.produce(kafka_server, topic, [order(n, partition=1) for n in range(7)])
                await bench.until(lambda: lag_is([0, 7]), "it grows")
                assert gate.stored == 30
                assert (await a_source.status()).lag == 7
                a_source.resume()
                await bench.until(lambda: lag_is([0, 0]), "caught up again")
            assert gate.stored == 37

    async def _is_paused(a_source: sources.Runner) -> bool:
        status = await a_source.status()
        return status.state == "paused"

    asyncio.run(scenario())


def test_topics_that_fit_the_pattern_are_found_while_it_runs(
    kafka_server: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        base = bench.fresh("shop")
        group = bench.fresh("group")
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(
                kafka_server, gate, pattern=f"{base}\\.[a-z]+", topics_every_s=0.5, group=group
            )
            async with bench.running(a_source):
                await bench.until(lambda: _waits(a_source), "no topic yet")
                for name in ("orders", "stock"):
                    topic = bench.make_topic(kafka_server, name=f"{base}.{name}")
                    bench.produce(kafka_server, topic, [order(1)])
                    await bench.until(lambda: gate.stored == 1, f"{name} is read")
                    gate.stored = 0

    async def _waits(a_source: sources.Runner) -> bool:
        status = await a_source.status()
        return status.state == "waiting" and "no topic fits" in status.detail

    asyncio.run(scenario())


def test_a_replay_reads_again_since_a_time_and_leaves_the_group_alone(
    kafka_server: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        topic, group = bench.make_topic(kafka_server, partitions=2), bench.fresh("group")
        rows = [
            order(n, partition=n % 2, timestamp=1_700_000_000_000 + n * 1000) for n in range(100)
        ]
        bench.produce(kafka_server, topic, rows)
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(kafka_server, gate, topics=[topic], group=group)
            async with bench.running(a_source):
                await bench.until(lambda: gate.stored == 100, "all handed in")
            offsets = bench.committed(kafka_server, group, topic)
            since = clock.Timestamp((1_700_000_000_000 + 60_000) * 1000)
            same = await a_source.replay(sources.Replay(since=since))
            assert same == sources.Replayed(fetched=40, duplicates=40)
            later = await a_source.replay(sources.Replay(since=clock.Timestamp(since * 2)))
            assert later == sources.Replayed()
        other = tmp_path / "empty"
        other.mkdir()
        async with bench.open_gate(other) as empty:
            a_source = bench.make_source(kafka_server, empty, topics=[topic], group=group)
            lost = await a_source.replay(sources.Replay(since=since))
            assert lost == sources.Replayed(fetched=40, stored=40)
            assert sorted(numbers(await bench.events_of(empty.log))) == list(range(60, 100))
            ids = (f"{topic}/0/3", f"{topic}-0-1", f"{topic}/1/0", f"{topic}/1/999")
            named = await a_source.replay(sources.Replay(ids=ids))
            assert named == sources.Replayed(fetched=3, stored=3)
            with pytest.raises(errors.InvalidInputError, match="does not read the topic"):
                await a_source.replay(sources.Replay(ids=("other/0/1",)))
            with pytest.raises(errors.InvalidInputError, match="since a time, or"):
                await a_source.replay(sources.Replay())
        assert bench.committed(kafka_server, group, topic) == offsets
        assert not [name for name in bench.groups(kafka_server) if name == f"{group}.replay"]

    asyncio.run(scenario())


def test_transactions_that_were_aborted_are_not_read_and_leave_no_lag(
    kafka_server: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        topic = bench.make_topic(kafka_server)
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": kafka_server, "transactional.id": bench.fresh("tx")}
        )
        producer.init_transactions(bench.WAIT_S)
        for number in range(4):
            producer.begin_transaction()
            producer.produce(topic, json.dumps({"number": number}).encode())
            if number % 2:
                producer.flush(bench.WAIT_S)
                producer.abort_transaction(bench.WAIT_S)
            else:
                producer.commit_transaction(bench.WAIT_S)
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(kafka_server, gate, topics=[topic])
            async with bench.running(a_source):
                await bench.until(lambda: gate.stored == 2, "the committed ones")

                async def is_at_end() -> bool:
                    return (await a_source.status()).lag == 0

                await bench.until(is_at_end, "no lag")
            assert numbers(await bench.events_of(gate.log)) == [0, 2]

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_broker_that_dies_and_comes_back_is_waited_for(
    kafka_script: ModuleType, tmp_path: Path
) -> None:
    if not kafka_script.find_jars():
        pytest.skip("no Kafka here: run `scripts/kafka.py install`")
    folder = tmp_path / "broker"

    async def scenario() -> None:
        server = await asyncio.to_thread(kafka_script.start, folder)
        topic, group = bench.make_topic(server), bench.fresh("group")
        bench.produce(server, topic, [order(1)])
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(server, gate, topics=[topic], group=group)
            async with bench.running(a_source):
                await bench.until(lambda: gate.stored == 1, "the first")
                kafka_script.halt(folder)

                async def waits() -> bool:
                    return (await a_source.status()).state == "waiting"

                await bench.until(waits, "it tells that the broker is away")
                assert (await a_source.status()).lag is None
                await asyncio.to_thread(kafka_script.restart, folder)

                async def runs() -> bool:
                    return (await a_source.status()).state == "running"

                await bench.until(runs, "it is back")
                bench.produce(server, topic, [order(2)])
                await bench.until(lambda: gate.stored == 2, "the second")
            assert bench.committed(server, group, topic) == {0: 2}

    try:
        asyncio.run(scenario())
    finally:
        kafka_script.stop(folder)


@pytest.mark.slow
def test_a_source_that_ends_while_the_broker_is_away_does_not_hang(
    kafka_script: ModuleType, tmp_path: Path
) -> None:
    if not kafka_script.find_jars():
        pytest.skip("no Kafka here: run `scripts/kafka.py install`")
    folder = tmp_path / "broker"

    async def scenario() -> float:
        server = await asyncio.to_thread(kafka_script.start, folder)
        topic = bench.make_topic(server)
        bench.produce(server, topic, [order(1)])
        loop = asyncio.get_running_loop()
        async with bench.open_gate(tmp_path) as gate:
            a_source = bench.make_source(server, gate, topics=[topic])
            async with bench.running(a_source):
                await bench.until(lambda: gate.stored == 1, "the first")
                kafka_script.halt(folder)
                began = loop.time()
        return loop.time() - began

    try:
        assert asyncio.run(scenario()) < 15
    finally:
        kafka_script.stop(folder)
