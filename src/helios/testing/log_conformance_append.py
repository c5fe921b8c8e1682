"""The part of the conformance suite of the log that is about writing."""

import abc
import asyncio
from contextlib import AbstractAsyncContextManager

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.testing import log_samples as samples


class AppendConformance(abc.ABC):
    """What an append promises: all or nothing, once, at the expected sequence, durable."""

    timeout_s = 30.0
    """Time for one test."""

    @abc.abstractmethod
    def place(self) -> AbstractAsyncContextManager[samples.Place]:
        """An empty place, cleaned up at the end."""

    # -- appending ---------------------------------------------------------------------------

    @samples.scenario
    async def test_an_event_comes_back_as_it_was(self, place: samples.Place) -> None:
        full = samples.event(
            1,
            version=3,
            tenant="acme",
            actor="user:ümlaut",
            correlation_id=samples.UUID.format(77),
            causation_id="not a uuid",
            payload='{"amount":12.3400,"ä":"€ 😀","big":123456789012345678901234567890}'.encode(),
            metadata=b'{"traceparent":"00-aa-bb-01"}',
        )
        async with samples.opened(place) as a_log:
            await a_log.append([full])
            page = await a_log.read(samples.P(0))
        assert page.events == [
            envelope.Event(
                position=samples.P(1),
                sequence=1,
                recorded_at=samples.T0,
                **{n: getattr(full, n) for n in envelope.NewEvent.__struct_fields__},
            )
        ]

    @samples.scenario
    async def test_every_form_of_id_comes_back_as_it_was(self, place: samples.Place) -> None:
        plain = samples.UUID.format(9)
        ids = [
            plain,
            plain.upper(),
            plain.replace("-", ""),
            f"{{{plain}}}",
            f"urn:uuid:{plain}",
            plain[:-1] + " ",
            "1",
            "01",
            "é",
            "x" * limits.ID_CHARS_MAX,
            "'; DROP TABLE events --",
        ]
        given = [
            samples.event(n, id=i, aggregate_id=i, correlation_id=i, causation_id=i)
            for n, i in enumerate(ids)
        ]
        async with samples.opened(place) as a_log:
            appended = await a_log.append(given)
            assert appended.duplicates == [False] * len(ids)
            assert appended.sequences == [1] * len(ids)
            assert [samples.stripped(e) for e in await samples.read_all(a_log)] == given
            for position, i in enumerate(ids, start=1):
                found = await a_log.find("default", "shop", i)
                assert found is not None
                assert (found.position, found.id) == (position, i)

    @samples.scenario
    async def test_positions_and_sequences_are_contiguous(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            first = await a_log.append(samples.events(range(6)))
            second = await a_log.append(samples.events(range(6, 8)))
            assert await a_log.head() == 8
        assert first.positions == [1, 2, 3, 4, 5, 6]
        assert first.sequences == [1, 2, 3, 4, 1, 2]
        assert second.positions == [7, 8]
        assert second.sequences == [3, 4]
        assert second.position == 8

    @samples.scenario
    async def test_concurrent_appends_each_get_places_of_their_own(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            answers = await asyncio.gather(
                *(a_log.append(samples.events(range(n * 3, n * 3 + 3))) for n in range(100))
            )
            stored = await samples.read_all(a_log)
        positions = [p for a in answers for p in a.positions]
        assert sorted(positions) == list(range(1, 301))
        assert all(a.positions == list(range(a.positions[0], a.positions[0] + 3)) for a in answers)
        assert [e.position for e in stored] == list(range(1, 301))
        by_id = {e.id: e for e in stored}
        for n, answer in enumerate(answers):
            for i, position, sequence in zip(
                range(n * 3, n * 3 + 3), answer.positions, answer.sequences, strict=True
            ):
                found = by_id[samples.UUID.format(i)]
                assert (found.position, found.sequence) == (position, sequence)

    @samples.scenario
    async def test_the_same_aggregate_id_of_another_tenant_or_type_counts_apart(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            appended = await a_log.append(
                [
                    samples.event(0),
                    samples.event(1, tenant="acme"),
                    samples.event(2, aggregate_type="cart"),
                    samples.event(3),
                ]
            )
        assert appended.sequences == [1, 1, 1, 2]

    @samples.scenario
    async def test_what_was_appended_is_there_after_a_restart(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            log_id = a_log.log_id
            await a_log.append(samples.events(range(10)))
        async with samples.opened(place) as a_log:
            assert a_log.log_id == log_id
            assert await a_log.head() == 10
            assert [samples.stripped(e) for e in await samples.read_all(a_log)] == samples.events(
                range(10)
            )
            appended = await a_log.append(samples.events(range(10, 12)))
            assert (appended.positions, appended.sequences) == ([11, 12], [3, 4])

    @samples.scenario
    async def test_two_storages_on_one_place_share_one_history(self, place: samples.Place) -> None:
        async with samples.opened(place) as one, samples.opened(place) as two:
            assert one.log_id == two.log_id
            await one.append(samples.events([0]))
            appended = await two.append(samples.events([1]), expected={samples.aggregate(0): 1})
            assert (appended.positions, appended.sequences) == ([2], [2])
            again = await one.append(samples.events([1, 2]))
            assert (again.positions, again.duplicates) == ([2, 3], [True, False])
            assert [e.position for e in await samples.read_all(two)] == [1, 2, 3]

    @samples.scenario
    async def test_two_storages_that_meet_new_names_in_turn_agree_on_them(
        self, place: samples.Place
    ) -> None:
        given = [
            samples.event(
                n,
                source=f"source-{n}",
                type=f"Type{n}",
                tenant=f"tenant-{n}",
                actor=f"user:{n}",
                aggregate_type=f"kind-{n}",
                aggregate_id=f"id-{n}",
            )
            for n in range(6)
        ]
        async with samples.opened(place) as one, samples.opened(place) as two:
            for n, each in enumerate(given):
                await (one, two)[n % 2].append([each])
            for a_log in (one, two):
                found = await samples.read_all(a_log)
                assert [samples.stripped(e) for e in found] == given

    # -- expected sequences ------------------------------------------------------------------

    @samples.scenario
    async def test_append_refuses_a_stale_sequence(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events(range(2)), expected={samples.aggregate(0): 0})
            conflict = await samples.refused(
                errors.ConflictError,
                a_log.append(samples.events([2]), expected={samples.aggregate(0): 1}),
            )
            assert (conflict.expected, conflict.actual) == (1, 2)
            assert conflict.aggregate == "default/order/o-0"
            assert "o-0" in str(conflict)
            assert await a_log.head() == 2
            await a_log.append(samples.events([2]), expected={samples.aggregate(0): 2})

    @samples.scenario
    async def test_append_refuses_a_sequence_not_reached_yet(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await samples.refused(
                errors.ConflictError,
                a_log.append(samples.events([0]), expected={samples.aggregate(0): 1}),
            )
            assert await a_log.head() == 0

    @samples.scenario
    async def test_a_refused_append_leaves_nothing_and_the_others_of_its_commit_alone(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events([0]))
            outcomes = await asyncio.gather(
                a_log.append(samples.events([1]), expected={samples.aggregate(0): 1}),
                a_log.append(samples.events([40, 2]), expected={samples.aggregate(0): 1}),
                a_log.append(samples.events([3]), expected={samples.aggregate(0): 2}),
                return_exceptions=True,
            )
            assert [type(o).__name__ for o in outcomes] == ["Appended", "ConflictError", "Appended"]
            stored = await samples.read_all(a_log)
        assert [samples.stripped(e) for e in stored] == samples.events([0, 1, 3])
        assert [e.sequence for e in stored] == [1, 2, 3]

    @samples.scenario
    async def test_of_many_that_expect_the_same_sequence_one_wins(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as one, samples.opened(place) as two:
            outcomes = await asyncio.gather(
                *(
                    (one, two)[n % 2].append(
                        [samples.event(n, aggregate_id="hot")],
                        expected={("default", "order", "hot"): 0},
                    )
                    for n in range(20)
                ),
                return_exceptions=True,
            )
            won = [o for o in outcomes if isinstance(o, envelope.Appended)]
            lost = [o for o in outcomes if isinstance(o, errors.ConflictError)]
            assert (len(won), len(lost)) == (1, 19)
            assert await one.head() == 1

    # -- duplicates --------------------------------------------------------------------------

    @samples.scenario
    async def test_a_duplicate_is_not_appended_and_gives_its_first_place(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events(range(3)))
            again = await a_log.append(
                [
                    samples.event(1, payload=b'{"other":1}'),
                    samples.event(3),
                    samples.event(2),
                    samples.event(3),
                ]
            )
            assert again.positions == [2, 4, 3, 4]
            assert again.sequences == [2, 4, 3, 4]
            assert again.duplicates == [True, False, True, True]
            assert [samples.stripped(e) for e in await samples.read_all(a_log)] == samples.events(
                range(4)
            )

    @samples.scenario
    async def test_the_same_id_of_another_source_or_tenant_is_another_event(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            appended = await a_log.append(
                [samples.event(1), samples.event(1, source="aws"), samples.event(1, tenant="acme")]
            )
            assert appended.duplicates == [False] * 3
            found = await a_log.find("acme", "shop", samples.UUID.format(1))
            assert found is not None
            assert found.position == 3
            assert await a_log.find("acme", "aws", samples.UUID.format(1)) is None

    @samples.scenario
    async def test_a_retry_succeeds_however_stale_its_expected_sequence(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            first = await a_log.append(samples.events(range(2)), expected={samples.aggregate(0): 0})
            await a_log.append(samples.events([2]))
            again = await a_log.append(samples.events(range(2)), expected={samples.aggregate(0): 0})
            assert again.positions == first.positions
            assert again.duplicates == [True, True]
            await samples.refused(
                errors.ConflictError,
                a_log.append(samples.events([1, 3]), expected={samples.aggregate(0): 0}),
            )

    @samples.scenario
    async def test_duplicates_in_one_commit_are_found(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            answers = await asyncio.gather(
                *(a_log.append(samples.events([0, 1])) for _ in range(10))
            )
            assert all(a.positions == [1, 2] for a in answers)
            assert sum(not d for a in answers for d in a.duplicates) == 2
            assert await a_log.head() == 2

    # -- idempotency keys --------------------------------------------------------------------

    @samples.scenario
    async def test_a_known_key_replays_the_first_answer(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            first = await a_log.append(samples.events(range(3)), idempotency=samples.key("k"))
            assert not first.replayed
        async with samples.opened(place) as a_log:
            again = await a_log.append(samples.events([50]), idempotency=samples.key("k"))
            assert again.replayed
            assert (again.positions, again.sequences) == (first.positions, first.sequences)
            assert again.duplicates == first.duplicates
            assert await a_log.head() == 3

    @samples.scenario
    async def test_a_known_key_is_refused_for_another_request(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events([0]), idempotency=samples.key("k"))
            await samples.refused(
                errors.IdempotencyError,
                a_log.append(samples.events([1]), idempotency=samples.key("k", request_hash=b"b")),
            )
            await a_log.append(
                samples.events([1]), idempotency=samples.key("k", b"b", scope="default/you")
            )
            await a_log.append(samples.events([2]), idempotency=samples.key("k2", b"b"))
            assert await a_log.head() == 3

    @samples.scenario
    async def test_a_refused_append_does_not_use_up_its_key(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await samples.refused(
                errors.ConflictError,
                a_log.append(
                    samples.events([0]),
                    expected={samples.aggregate(0): 5},
                    idempotency=samples.key("k"),
                ),
            )
            appended = await a_log.append(
                samples.events([0]), idempotency=samples.key("k", request_hash=b"b")
            )
            assert not appended.replayed

    @samples.scenario
    async def test_the_same_key_twice_in_one_commit_appends_once(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            answers = await asyncio.gather(
                *(a_log.append(samples.events([n]), idempotency=samples.key("k")) for n in range(5))
            )
            assert [a.replayed for a in answers] == [False, True, True, True, True]
            assert all(a.positions == [1] for a in answers)
            assert await a_log.head() == 1

    @samples.scenario
    async def test_a_key_counts_for_a_request_of_duplicates_too(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append(samples.events([0]))
            await a_log.append(samples.events([0]), idempotency=samples.key("k"))
            again = await a_log.append(samples.events([1]), idempotency=samples.key("k"))
            assert again.replayed
            assert await a_log.head() == 1

    @samples.scenario
    async def test_a_key_expires(self, place: samples.Place) -> None:
        clock = samples.SteppedClock()
        second = clocks.SECOND_US
        async with samples.opened(place, clock=clock) as a_log:
            await a_log.append(samples.events([0]), idempotency=samples.key("k"))
            clock.time = clocks.Timestamp(samples.T0 + limits.IDEMPOTENCY_TTL_S * second - 1)
            assert (await a_log.append(samples.events([1]), idempotency=samples.key("k"))).replayed
            clock.time = clocks.Timestamp(samples.T0 + limits.IDEMPOTENCY_TTL_S * second)
            fresh = await a_log.append(
                samples.events([1]), idempotency=samples.key("k", request_hash=b"b")
            )
            assert not fresh.replayed
            await a_log.append(samples.events([2]), idempotency=samples.key("k2"))
            again = await a_log.append(
                samples.events([1]), idempotency=samples.key("k", request_hash=b"b")
            )
            assert again.replayed
            assert again.positions == fresh.positions

    @samples.scenario
    async def test_each_key_is_kept_for_its_own_time(self, place: samples.Place) -> None:
        clock = samples.SteppedClock()
        second = clocks.SECOND_US
        long = samples.key("long", ttl_s=limits.DIGEST_TTL_S)
        short = samples.key("short", ttl_s=1)
        async with samples.opened(place, clock=clock) as a_log:
            await asyncio.gather(
                a_log.append(samples.events([0]), idempotency=long),
                a_log.append(samples.events([1]), idempotency=short),
            )
            clock.time = clocks.Timestamp(samples.T0 + second - 1)
            assert (await a_log.append(samples.events([2]), idempotency=short)).replayed
            clock.time = clocks.Timestamp(samples.T0 + second)
            assert not (await a_log.append(samples.events([2]), idempotency=short)).replayed
        async with samples.opened(place, clock=clock) as a_log:
            clock.time = clocks.Timestamp(samples.T0 + limits.DIGEST_TTL_S * second - 1)
            again = await a_log.append(samples.events([3]), idempotency=long)
            assert (again.replayed, again.positions) == (True, [1])
            await samples.refused(
                errors.IdempotencyError,
                a_log.append(
                    samples.events([3]), idempotency=samples.key("long", request_hash=b"b")
                ),
            )
            clock.time = clocks.Timestamp(samples.T0 + limits.DIGEST_TTL_S * second)
            assert not (await a_log.append(samples.events([3]), idempotency=long)).replayed
            assert await a_log.head() == 4
