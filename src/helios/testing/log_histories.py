"""Random histories of a log, played to a real storage and to the model; needs `hypothesis`.

    @given(log_histories.histories)
    def test_my_storage_does_as_the_model(history):
        asyncio.run(log_histories.play(MyPlace(...), history))

The domains are small, so that everything collides with everything.
"""

from typing import Any

import msgspec
from hypothesis import strategies as st

from helios.eventlog import envelope, ports
from helios.kernel import clock, errors, limits
from helios.testing import log_model
from helios.testing import log_samples as samples

TENANTS = ("default", "acme")
SOURCES = ("shop", "aws")
TYPES = ("OrderPlaced", "PaymentTaken")
FAMILIES = ("order", "cart")
AGGREGATES = ("a", "b", samples.UUID.format(1))

events = st.builds(
    samples.event,
    st.integers(0, 9),
    tenant=st.sampled_from(TENANTS),
    source=st.sampled_from(SOURCES),
    type=st.sampled_from(TYPES),
    aggregate_type=st.sampled_from(FAMILIES),
    aggregate_id=st.sampled_from(AGGREGATES),
    correlation_id=st.sampled_from((None, "c", samples.UUID.format(2))),
)
aggregates = st.tuples(
    st.sampled_from(TENANTS), st.sampled_from(FAMILIES), st.sampled_from(AGGREGATES)
)
keys = st.none() | st.builds(
    samples.key,
    st.sampled_from(("k", "l")),
    st.sampled_from((b"x", b"y")),
    ttl_s=st.sampled_from((1, limits.IDEMPOTENCY_TTL_S, limits.DIGEST_TTL_S)),
)
requests = st.builds(
    ports.AppendRequest,
    events=st.lists(events, min_size=1, max_size=4),
    expected=st.dictionaries(aggregates, st.integers(0, 3), max_size=2),
    idempotency=keys,
)
filters = st.builds(
    envelope.Filter,
    tenant=st.none() | st.sampled_from(TENANTS),
    types=st.none() | st.lists(st.sampled_from((*TYPES, "Never")), max_size=2).map(tuple),
    sources=st.none() | st.lists(st.sampled_from(SOURCES), max_size=2).map(tuple),
    aggregate_type=st.none() | st.sampled_from(FAMILIES),
    aggregate_id=st.none() | st.sampled_from((*AGGREGATES, "never")),
)


class Commit(msgspec.Struct, frozen=True):
    """One group commit, `wait_s` after the one before."""

    requests: list[ports.AppendRequest]
    wait_s: int


class Read(msgspec.Struct, frozen=True):
    """Pages after a position, through a filter."""

    after: int
    limit: int
    where: envelope.Filter


class Reopen(msgspec.Struct, frozen=True):
    """A restart."""


histories = st.lists(
    st.builds(
        Commit,
        st.lists(requests, min_size=1, max_size=5),
        st.sampled_from((0, 1, limits.IDEMPOTENCY_TTL_S, limits.DIGEST_TTL_S)),
    )
    | st.builds(Read, st.integers(0, 20), st.integers(1, 5), filters)
    | st.just(Reopen()),
    max_size=10,
)


async def play(place: samples.Place, history: list[Any]) -> None:
    """Do the same to a real storage and to the model, and compare every answer."""
    model = log_model.LogModel()
    now = samples.T0
    storage = place.storage()
    await storage.open()
    try:
        for step in history:
            if isinstance(step, Commit):
                now = clock.Timestamp(now + step.wait_s * clock.SECOND_US)
                answers = await storage.commit(step.requests, now)
                wanted = [model.append(request, now) for request in step.requests]
                assert [_plain(answer) for answer in answers] == wanted
            elif isinstance(step, Read):
                await _compare_read(storage, model, step)
            else:
                await storage.close()
                storage = place.storage()
                await storage.open()
        await _compare_read(storage, model, Read(0, 1000, envelope.ALL))
    finally:
        await storage.close()


async def _compare_read(storage: ports.LogStorage, model: log_model.LogModel, step: Read) -> None:
    after = min(step.after, len(model.events))
    wanted = model.matching(after, step.where)
    found: list[envelope.Event] = []
    while True:
        page = await storage.read(envelope.Position(after), step.limit, step.where)
        assert page.head == len(model.events)
        assert len(page.events) <= step.limit
        assert all(after < e.position <= page.next_after for e in page.events)
        found.extend(page.events)
        if page.next_after == page.head:
            break
        assert page.next_after > after
        after = page.next_after
    assert [e.position for e in found] == wanted
    for e in found:
        assert samples.stripped(e) == model.events[e.position - 1]
        assert e.sequence == model.sequences[e.position - 1]
        assert e.recorded_at == model.recorded[e.position - 1]
        assert await storage.find(e.tenant, e.source, e.id) == e


def _plain(answer: envelope.Appended | Exception) -> log_model.Outcome:
    if isinstance(answer, errors.ConflictError):
        return ("conflict",)
    if isinstance(answer, errors.IdempotencyError):
        return ("key",)
    assert isinstance(answer, envelope.Appended)
    word = "replayed" if answer.replayed else "appended"
    return (word, list(answer.positions), answer.sequences, answer.duplicates)
