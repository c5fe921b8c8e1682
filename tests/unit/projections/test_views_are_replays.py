"""Whatever the events, the batches and the restarts: a view is what a replay gives."""

import asyncio
import itertools
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding, ports
from helios.projections.views import contracts, event_mirror
from helios.testing import sample_views

VIEWS: tuple[ports.View, ...] = (event_mirror.VIEW, contracts.VIEW, sample_views.Counting())
DAY_US = 24 * 3600 * clocks.SECOND_US

kinds = st.sampled_from(["OrderPlaced", "contract.declared", "contract.withdrawn", "drift.checked"])


@st.composite
def histories(draw: st.DrawFn) -> list[envelope.Event]:
    """Events at contiguous positions that touch a sweep, with times that jump and go back."""
    start = draw(st.integers(440, 500))
    drawn = draw(
        st.lists(
            st.tuples(kinds, st.sampled_from("ab"), st.integers(-1, 40), st.booleans()),
            min_size=1,
            max_size=80,
        )
    )
    now = 0
    events = []
    for offset, (kind, name, days, is_foreign) in enumerate(drawn):
        position = start + offset
        now += days * DAY_US
        positions = f"[{position - 1}, {position - 2}]"
        text = f'{{"name": "{name}", "yaml": "y{position}", "hash": "h", "positions": {positions}}}'
        events.append(
            envelope.Event(
                position=envelope.Position(position),
                sequence=1,
                recorded_at=clocks.Timestamp(max(0, now)),
                id=f"e{position}",
                source="aws" if kind == "OrderPlaced" or is_foreign else "helios",
                type=kind,
                occurred_at=clocks.Timestamp(position % 7),
                aggregate_type="contract",
                aggregate_id=name,
                tenant=name,
                payload=text.encode(),
            )
        )
    return events


def _wanted(view: ports.View, events: list[envelope.Event]) -> list[envelope.Event]:
    return [event for event in events if view.where.passes(event)]


async def _run(path: Path, events: list[envelope.Event], cuts: set[int], restarts: set[int]) -> Any:
    """Fold in batches that end at the cuts, opening the file anew at the restarts."""
    edges = sorted({0, len(events), *(cut % (len(events) + 1) for cut in cuts)})
    store = view_store.SqliteViewStore(str(path))
    await store.open()
    for view in VIEWS:
        await store.create(view, live=True)
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        if number in restarts:
            await store.close()
            store = view_store.SqliteViewStore(str(path))
            await store.open()
        batch = events[start:end]
        for view in VIEWS:
            slot = await store.claim((await store.slots(view.name))[0])
            writes = folding.fold(view, _wanted(view, batch))
            checkpoint = ports.Checkpoint(position=batch[-1].position)
            await store.commit(slot, writes, checkpoint)
    tables = {}
    for view in VIEWS:
        for table in view.tables:
            rows = await store.query(view.name, f"SELECT * FROM {{t}}{table}")
            tables[view.name, table] = sorted(map(repr, rows))
    await store.close()
    return tables


@settings(max_examples=60, deadline=None)
@given(histories(), st.sets(st.integers(0, 80)), st.sets(st.integers(0, 20)))
def test_any_batches_and_restarts_give_the_same_rows(
    events: list[envelope.Event], cuts: set[int], restarts: set[int]
) -> None:
    async def test() -> None:
        with tempfile.TemporaryDirectory() as folder:
            one = await _run(Path(folder, "one.db"), events, set(), set())
            many = await _run(Path(folder, "many.db"), events, cuts, restarts)
            assert many == one
            counts, seen = sample_views.replay(events)
            assert many["counting", "counts"] == sorted(map(repr, counts))
            assert many["counting", "seen"] == sorted(map(repr, seen))

    asyncio.run(test())
