"""The part of the conformance suite of the log that is about whose data is touched."""

import abc
from contextlib import AbstractAsyncContextManager

from helios.eventlog import envelope
from helios.kernel import errors, tenancy
from helios.testing import log_samples as samples

ACME = tenancy.Scope(frozenset({"acme"}))
BOTH = tenancy.Scope(frozenset({"acme", "beta"}))


def _of(tenant: str, n: int) -> envelope.NewEvent:
    return samples.event(n, tenant=tenant)


class TenantConformance(abc.ABC):
    """What a scope promises: who is within it touches the data of its tenants and no other."""

    timeout_s = 30.0
    """Time for one test."""

    @abc.abstractmethod
    def place(self) -> AbstractAsyncContextManager[samples.Place]:
        """An empty place, cleaned up at the end."""

    @samples.scenario
    async def test_a_reader_in_scope_sees_only_its_tenants(self, place: samples.Place) -> None:
        given = [_of(("acme", "beta", "default")[n % 3], n) for n in range(90)]
        async with samples.opened(place) as a_log:
            await a_log.append(given)
            for scope in (ACME, BOTH, tenancy.NOTHING, tenancy.EVERYTHING):
                for where in (
                    envelope.ALL,
                    envelope.Filter(tenant="beta"),
                    envelope.Filter(types=("OrderPlaced",)),
                    envelope.Filter(aggregate_id="o-1"),
                ):
                    wanted = [
                        e for e in given if scope.allows(e.tenant) and samples.matches(e, where)
                    ]
                    with tenancy.within(scope):
                        found = await samples.read_all(a_log, where, limit=7)
                    assert [samples.stripped(e) for e in found] == wanted, (scope, where)

    @samples.scenario
    async def test_a_page_from_memory_holds_only_what_is_in_scope(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append([_of("beta", 1), _of("acme", 2), _of("beta", 3)])
            with tenancy.within(ACME):
                page = a_log.recent(samples.P(0))
            assert page is not None
            assert [event.position for event in page.events] == [2]
            assert (page.next_after, page.head) == (3, 3)

    @samples.scenario
    async def test_who_follows_in_scope_gets_no_event_of_another(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append([_of("beta", 1), _of("acme", 2)])
            seen: list[envelope.Event] = []
            with tenancy.within(ACME):
                following = a_log.tail(samples.P(0))
                seen += (await anext(following)).events
            # What is appended later comes from memory, what was there before from the storage.
            await a_log.append([_of("beta", 3), _of("acme", 4)])
            with tenancy.within(ACME):
                while len(seen) < 2:
                    seen += (await anext(following)).events
            assert [event.position for event in seen] == [2, 4]

    @samples.scenario
    async def test_an_event_of_another_tenant_cannot_be_named(self, place: samples.Place) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append([_of("acme", 1), _of("beta", 2)])
            other = _of("beta", 2)
            with tenancy.within(ACME):
                found = await a_log.read_at([samples.P(1), samples.P(2)])
                assert [event.position for event in found] == [1]
                assert await a_log.find("beta", other.source, other.id) is None
                assert await a_log.find("acme", other.source, _of("acme", 1).id) is not None
            assert await a_log.find("beta", other.source, other.id) is not None

    @samples.scenario
    async def test_nothing_is_appended_for_a_tenant_out_of_scope(
        self, place: samples.Place
    ) -> None:
        async with samples.opened(place) as a_log:
            await a_log.append([_of("beta", 1)])
            mine = _of("acme", 2)
            with tenancy.within(ACME):
                await samples.refused(errors.ForbiddenError, a_log.append([mine, _of("beta", 3)]))
                # What is expected of another's aggregate would tell how far it has come.
                await samples.refused(
                    errors.ForbiddenError,
                    a_log.append([mine], expected={_of("beta", 1).aggregate: 0}),
                )
                assert a_log.queued_events == 0
                assert await a_log.head() == 1
                await a_log.append([mine], expected={mine.aggregate: 0})
            assert await a_log.head() == 2

    @samples.scenario
    async def test_an_answer_to_one_tenant_is_not_given_to_another(
        self, place: samples.Place
    ) -> None:
        key = samples.key("k", request_hash=b"same")
        async with samples.opened(place) as a_log:
            with tenancy.within(tenancy.Scope(frozenset({"beta"}))):
                first = await a_log.append([_of("beta", 1)], idempotency=key)
            with tenancy.within(ACME):
                second = await a_log.append([_of("acme", 1)], idempotency=key)
                again = await a_log.append([_of("acme", 1)], idempotency=key)
            assert (first.replayed, first.positions) == (False, [1])
            assert (second.replayed, second.positions) == (False, [2])
            assert (again.replayed, again.positions) == (True, [2])
