"""Dedup by trust class, schemas and dead letters, over a log in memory."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.ingest import gate, sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.providers.ports import Trust, UnprocessableError
from helios.testing import gate_bench as kit

Scenario = Callable[[kit.Place], Awaitable[None]]


def run(scenario: Scenario) -> None:
    async def main() -> None:
        async with kit.place() as place:
            await scenario(place)
            assert place.counts.adds_up, place.counts.of

    asyncio.run(main())


@pytest.mark.parametrize("trust", list(Trust))
def test_the_same_delivery_twice_is_one_event_whatever_the_trust(trust: Trust) -> None:
    async def scenario(place: kit.Place) -> None:
        one = kit.arrived(kit.received("a"), trust=trust)
        assert await place.settle(one) == [["stored"]]
        assert await place.settle(one) == [["duplicate"]]
        assert len(await place.events()) == 1

    run(scenario)


@pytest.mark.parametrize("trust", list(Trust))
def test_a_delivery_without_an_id_is_known_by_its_body(trust: Trust) -> None:
    async def scenario(place: kit.Place) -> None:
        for body in (b"{}", b"{}", b'{"a":1}'):
            await place.settle(kit.arrived(kit.received(None, body), trust=trust, body=body))
        first, second = await place.events()
        assert first.id != second.id
        assert first.id.startswith(":")
        assert len(first.id) == 33

    run(scenario)


@pytest.mark.parametrize("trust", list(Trust))
@pytest.mark.parametrize("count", [gate.APPEND_EVENTS + 1, 2 * gate.APPEND_EVENTS])
def test_a_delivery_of_more_events_than_an_append_loses_none(count: int, trust: Trust) -> None:
    async def scenario(place: kit.Place) -> None:
        events = (kit.received(f"e{n}", b'{"n":%d}' % n) for n in range(count))
        many = kit.arrived(*events, trust=trust)
        for result in ("stored", "duplicate"):
            (results,) = await place.settle(many)
            assert set(results) == {result}
            assert await place.log.head() == count

    run(scenario)


def test_a_provider_tells_nothing_of_what_only_helios_tells_of() -> None:
    async def scenario(place: kit.Place) -> None:
        for kind in ("helios.site", "site"):
            event = kit.received(kind, aggregate_type=kind, aggregate_id="blog")
            assert await place.settle(kit.arrived(event)) == [["stored"]]
        told = [(event.aggregate_type, event.aggregate_id) for event in await place.events()]
        assert told == [("source", "shop"), ("site", "blog")]

    run(scenario)


def test_a_signed_id_decides_alone_though_the_body_differs_between_tries() -> None:
    async def scenario(place: kit.Place) -> None:
        await place.settle(kit.arrived(kit.received("a", b'{"try":1}'), body=b'{"try":1}'))
        again = kit.arrived(kit.received("a", b'{"try":2}'), body=b'{"try":2}')
        assert await place.settle(again) == [["duplicate"]]
        assert await place.letters() == []

    run(scenario)


@pytest.mark.parametrize("trust", [Trust.HEADER_ID, Trust.SIGNED_ID_WEAK_DIGEST])
def test_another_body_under_an_id_is_quarantined_once(trust: Trust) -> None:
    async def scenario(place: kit.Place) -> None:
        await place.settle(kit.arrived(kit.received("a", b'{"n":1}'), trust=trust, body=b"1"))
        forged = kit.arrived(kit.received("a", b'{"n":2}'), trust=trust, body=b"2")
        assert await place.settle(forged) == [["dead"]]
        assert await place.settle(forged) == [["dead"]]
        (event,) = await place.events()
        (letter,) = await place.letters()
        assert event.payload == b'{"n":1}'
        assert (letter["reason"], letter["event_id"], letter["body"]) == ("conflict", "a", "Mg==")

    run(scenario)


def test_a_body_that_comes_again_under_another_header_id_is_no_second_event() -> None:
    async def scenario(place: kit.Place) -> None:
        for event_id in ("a", "b", None, "a"):
            again = kit.arrived(kit.received(event_id), trust=Trust.HEADER_ID)
            await place.settle(again)
        (event,) = await place.events()
        assert event.id == "a"
        assert await place.letters() == []
        assert place.counts.of["suspected"] == 2
        assert place.counts.of["duplicate"] == 3

    run(scenario)


def test_one_state_sent_under_two_topics_is_two_events() -> None:
    async def scenario(place: kit.Place) -> None:
        for event_id, topic in (("a", "orders/create"), ("b", "orders/paid")):
            event = kit.received(event_id, type=topic, scope=topic)
            await place.settle(kit.arrived(event, trust=Trust.HEADER_ID))
        assert [event.type for event in await place.events()] == ["orders/create", "orders/paid"]

    run(scenario)


def test_a_digest_is_forgotten_after_its_time_and_the_id_never() -> None:
    async def scenario(place: kit.Place) -> None:
        one = kit.arrived(kit.received("a"), trust=Trust.HEADER_ID)
        other = kit.arrived(kit.received("b"), trust=Trust.HEADER_ID)
        await place.settle(one)
        place.clock.time = clocks.Timestamp(place.clock.time + 7 * 86_400 * clocks.SECOND_US)
        assert await place.settle(other) == [["duplicate"]]
        place.clock.time = clocks.Timestamp(place.clock.time + 86_400 * clocks.SECOND_US)
        assert await place.settle(one) == [["duplicate"]]

    run(scenario)


def test_a_weak_id_counts_together_with_the_body() -> None:
    async def scenario(place: kit.Place) -> None:
        for body in (b"1", b"2", b"1"):
            await place.settle(kit.arrived(kit.received("x"), trust=Trust.WEAK_ID, body=body))
        assert [event.id.partition(":")[0] for event in await place.events()] == ["x", "x"]

    run(scenario)


def test_an_id_of_two_scopes_is_two_events_and_stays_so() -> None:
    async def scenario(place: kit.Place) -> None:
        for _ in range(2):
            for scope in ("/eu", "/us"):
                await place.settle(kit.arrived(kit.received("1", scope=scope)))
        assert [event.id for event in await place.events()] == ["1", "/us|1"]

    run(scenario)


def test_an_id_of_two_scopes_in_one_delivery_is_two_events() -> None:
    async def scenario(place: kit.Place) -> None:
        both = kit.arrived(*(kit.received("1", scope=scope) for scope in ("/eu", "/us", "/eu")))
        assert await place.settle(both) == [["stored", "stored", "duplicate"]]
        assert await place.settle(both) == [["duplicate"] * 3]

    run(scenario)


def test_events_of_one_delivery_are_appended_together_and_the_bad_one_set_aside() -> None:
    source = sources.Declared(
        name="shop",
        provider="sample",
        schemas={"order.paid": {"properties": {"n": {"type": "integer"}}}},
        environment="prod",
    )

    async def scenario(place: kit.Place) -> None:
        events = [
            kit.received(str(n), b'{"n":%s}' % value)
            for n, value in enumerate((b"1", b'"x"', b"3"))
        ]
        batch = kit.arrived(*events, source=source, body=b"[...]")
        (settled,) = await place.gate.settle([batch])
        assert [one.result for one in settled] == ["stored", "dead", "stored"]
        assert place.counts.of["appends"] == 1
        (letter,) = await place.letters()
        assert letter["detail"] == 'payload.n: the value is not of type "integer"'
        assert (letter["index"], letter["bytes"]) == (1, 5)
        mended = msgspec.structs.replace(source, schemas={}, version=2)
        again = msgspec.structs.replace(batch, source=mended)
        assert await place.settle(again) == [["duplicate", "stored", "duplicate"]]

    run(scenario)


def test_a_whole_delivery_that_was_dead_is_taken_once_its_schema_is_mended() -> None:
    strict = sources.Declared(name="shop", provider="sample", schemas={"order.paid": False})

    async def scenario(place: kit.Place) -> None:
        one = kit.arrived(kit.received("a"), source=strict, trust=Trust.HEADER_ID)
        assert await place.settle(one) == [["dead"]]
        mended = msgspec.structs.replace(strict, schemas={}, version=2)
        assert await place.settle(msgspec.structs.replace(one, source=mended)) == [["stored"]]

    run(scenario)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"payload": b"[1]"}, "payload"),
        ({"payload": b'{"a":'}, "payload"),
        ({"payload": b'{"a":"%s"}' % (b"x" * (1 << 20))}, "payload"),
        ({"type": ""}, "type"),
        ({"type": "a\0b"}, "type"),
        ({"event_id": "i" * 600}, "id"),
        ({"aggregate_type": "order", "aggregate_id": "\ud800"}, "aggregate_id"),
    ],
)
def test_what_the_log_cannot_keep_is_set_aside_and_the_others_are_taken(
    given: dict[str, Any], said: str
) -> None:
    async def scenario(place: kit.Place) -> None:
        bad = kit.received(**{"event_id": "bad", **given})
        batch = kit.arrived(kit.received("good"), bad)
        assert await place.settle(batch) == [["stored", "dead"]]
        (letter,) = await place.letters()
        assert letter["reason"] == "invalid_event"
        assert letter["detail"].startswith(said)

    run(scenario)


def test_a_delivery_that_cannot_be_read_is_one_letter_however_often_it_comes() -> None:
    async def scenario(place: kit.Place) -> None:
        for _ in range(3):
            broken = kit.arrived(body=b"\xff\x00", dead=UnprocessableError("invalid_json", "no"))
            assert await place.settle(broken) == [["dead"]]
        (letter,) = await place.letters()
        assert (letter["reason"], letter["body"]) == ("invalid_json", "/wA=")

    run(scenario)


def test_a_delivery_without_events_is_told_as_ignored() -> None:
    async def scenario(place: kit.Place) -> None:
        assert await place.settle(kit.arrived()) == [["ignored"]]

    run(scenario)


def test_a_time_in_the_future_is_cut_and_the_claim_is_kept() -> None:
    async def scenario(place: kit.Place) -> None:
        later = clocks.Timestamp(kit.NOW + 3_600 * clocks.SECOND_US)
        event = kit.received("a", occurred_at=later, time="as it was written")
        await place.settle(kit.arrived(event))
        (kept,) = await place.events()
        assert kept.occurred_at == kit.NOW + 300 * clocks.SECOND_US
        assert json.loads(kept.metadata)["claimed_occurred_at"] == "as it was written"

    run(scenario)


def test_what_a_provider_says_cannot_pass_for_what_the_gate_says() -> None:
    async def scenario(place: kit.Place) -> None:
        event = kit.received("a", metadata={"digest": "forged", "provider": "forged", "more": 1})
        await place.settle(kit.arrived(event))
        (kept,) = await place.events()
        said = json.loads(kept.metadata)
        assert (said["provider"], said["more"]) == ("sample", 1)
        assert said["digest"] != "forged"

    run(scenario)


def test_what_was_fetched_is_handed_in_together() -> None:
    async def scenario(place: kit.Place) -> None:
        fetched = [
            sources.Fetched(origin=f"queue/{n}", body=b"{}", received=(kit.received(str(n % 3)),))
            for n in range(5)
        ]
        broken = sources.Fetched(
            origin="queue/5", body=b"?", received=UnprocessableError("invalid_json", "no")
        )
        outcomes = await place.gate.admit(kit.SHOP, [*fetched, broken])
        results = [outcome.results[0] for outcome in outcomes]
        assert results == ["stored", "stored", "stored", "duplicate", "duplicate", "dead"]
        assert place.counts.of["appends"] == 1
        assert [outcome.position for outcome in outcomes] == [1, 2, 3, 1, 2, 4]
        assert await place.gate.admit(kit.SHOP, []) == []

    run(scenario)


def test_two_messages_that_nobody_can_read_are_two_letters_though_they_say_the_same() -> None:
    async def scenario(place: kit.Place) -> None:
        error = UnprocessableError("invalid_json", "no")
        broken = [
            sources.Fetched(
                origin=f"orders/0/{offset}",
                body=b"?",
                received=error,
                headers=(("ce_type", "OrderPlaced"),),
            )
            for offset in (7, 8, 7)
        ]
        outcomes = await place.gate.admit(kit.SHOP, broken)
        assert [outcome.results for outcome in outcomes] == [("dead",)] * 3
        letters = await place.letters()
        assert [letter["origin"] for letter in letters] == ["orders/0/7", "orders/0/8"]
        assert letters[0]["headers"] == [["ce_type", "OrderPlaced"]]

    run(scenario)


LARGE = 600_000
"""Bytes of which a letter holds one such lot and not two."""


@pytest.mark.parametrize(
    "given",
    [
        {"headers": (("h", "x" * LARGE),), "received": UnprocessableError("invalid_json", "no")},
        {
            "headers": tuple((f"h{n}", "\x01" * 1_000) for n in range(64)),
            "received": UnprocessableError("invalid_json", "\x01" * 500),
        },
        {"received": (kit.received("a", b'"%s"' % (b"x" * LARGE), metadata={"m": "y" * LARGE}),)},
        {"received": (kit.received("a", aggregate_type="t", aggregate_id="z" * LARGE),)},
        {"received": (kit.received("\ud800"),)},
        {"received": (kit.received("a", metadata={"m": object()}),)},
    ],
)  # fmt: skip
def test_whatever_comes_from_a_queue_is_settled_so_that_what_follows_can_come(
    given: dict[str, Any],
) -> None:
    async def scenario(place: kit.Place) -> None:
        fetched = sources.Fetched(origin="orders/0/7", body=b"?" * LARGE, **given)
        for _ in range(2):
            (outcome,) = await place.gate.admit(kit.SHOP, [fetched])
            assert outcome.results == ("dead",)
        (letter,) = await place.letters()
        assert letter["cut"] == (len(base64.b64decode(letter["body"])) < letter["bytes"])

    run(scenario)


def test_what_was_fetched_waits_for_its_rate_and_is_sent_back_where_that_is_long() -> None:
    slow = sources.Declared(name="q", provider="sample", rate=sources.Rate(per_s=1, burst=1))

    async def scenario(place: kit.Place) -> None:
        def one(n: int) -> list[sources.Fetched]:
            return [sources.Fetched(origin="q", body=b"{}", received=(kit.received(str(n)),))]

        before = place.clock.monotonic()
        for n in range(5):
            await place.gate.admit(slow, one(n))
        assert place.clock.monotonic() - before == pytest.approx(4, abs=0.01)
        never = msgspec.structs.replace(slow, rate=sources.Rate(per_s=0.001, burst=1))
        with pytest.raises(errors.OverloadError) as refusal:
            await place.gate.admit(never, one(9))
        assert refusal.value.retry_after_s > 10

    run(scenario)


async def _mixed(place: kit.Place, steps: list[tuple[Any, ...]]) -> None:
    source = sources.Declared(name="shop", provider="sample", schemas={"bad": False})
    for trust, ids, body, kind, scope in steps:
        events = [kit.received(i, b'{"b":%d}' % body, type=kind, scope=scope) for i in ids]
        await place.settle(kit.arrived(*events, trust=trust, body=b"%d" % body, source=source))


steps = st.tuples(
    st.sampled_from(list(Trust)),
    st.lists(st.sampled_from(["a", "b", "c", None, "x" * 600]), max_size=3),
    st.integers(0, 2),
    st.sampled_from(["good", "bad"]),
    st.sampled_from([None, "s", "t"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=12))
def test_nothing_that_comes_is_unaccounted_for(steps: list[tuple[Any, ...]]) -> None:
    async def main() -> None:
        async with kit.place() as place:
            await _mixed(place, steps)
            assert place.counts.adds_up, place.counts.of
            events = await place.events()
            assert len(events) == place.counts.of["stored"]
            assert len({(e.tenant, e.source, e.id) for e in events}) == len(events)
            stored = place.counts.of["stored"]
            await _mixed(place, steps)
            assert place.counts.of["stored"] == stored, "a second time nothing is new"

    asyncio.run(main())


def test_settled_says_where_each_event_is() -> None:
    async def scenario(place: kit.Place) -> None:
        (settled,) = await place.gate.settle([kit.arrived(kit.received("a"), kit.received("b"))])
        assert settled == [gate.Settled(result="stored", position=n) for n in (1, 2)]

    run(scenario)
