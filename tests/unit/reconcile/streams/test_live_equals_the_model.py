"""Contracts over the log: what the fold writes is what the documentation says, whatever happens.

Each history is appended to a real log and folded into a real view: in one page, in many, with
restarts in between, from snapshots taken after a few events. The rows must be the same.
"""

import asyncio
import itertools
import json
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.kernel import clock
from helios.projections import ports
from helios.projections.views import contracts as declarations
from helios.reconcile.streams import fold, view
from helios.testing import memory_log
from helios.testing import stream_histories as histories
from helios.testing import stream_model as model

PROPERTY = settings(
    max_examples=100,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
_SHM = Path("/dev/shm")
MEMORY = str(_SHM) if _SHM.is_dir() else None
"""Where files cost no flush, if the machine has such a place."""

END = model.Tick(histories.START_US + 10_000 * model.SECOND_US)
TABLES = {
    "verdicts": "contract, n",
    "contracts": "id, version",
    "totals": "contract, status",
    "dead_letters": "contract, position",
}

Rows: TypeAlias = dict[str, list[ports.Row]]


@pytest.fixture(autouse=True)
def _snapshot_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "SNAPSHOT_EVENTS", 3)


def _event(
    kind: str, number: int, payload: str, *, at: int = 0, tenant: str = "default"
) -> envelope.NewEvent:
    return envelope.NewEvent(
        id=f"c{number}",
        source="helios",
        type=kind,
        tenant=tenant,
        occurred_at=clock.Timestamp(at),
        aggregate_type="control",
        aggregate_id="control",
        payload=payload.encode(),
    )


def declared(spec: model.Spec, number: int) -> envelope.NewEvent:
    payload = json.dumps({"name": spec.name, "yaml": spec.yaml(), "hash": "h"})
    return _event(declarations.DECLARED, number, payload, tenant=spec.tenant)


def withdrawn(spec: model.Spec, number: int) -> envelope.NewEvent:
    payload = json.dumps({"name": spec.name})
    return _event(declarations.WITHDRAWN, number, payload, tenant=spec.tenant)


def asked_again(spec: model.Spec, keys: Sequence[str], number: int) -> envelope.NewEvent:
    payload = json.dumps({"name": spec.name, "keys": keys})
    return _event(fold.REJUDGE, number, payload, tenant=spec.tenant)


def _new(step: model.Step, number: int, tenant: str) -> envelope.NewEvent:
    if isinstance(step, model.Tick):
        return _event(fold.TICKED, number, "{}", at=step.time)
    return envelope.NewEvent(
        id=step.id,
        source=step.source,
        type=step.type,
        tenant=tenant,
        occurred_at=clock.Timestamp(step.time),
        aggregate_type="order",
        aggregate_id=step.key,
        payload=histories.payload(step).encode(),
    )


def appended(steps: Sequence[model.Step], tenant: str = "default") -> list[envelope.NewEvent]:
    return [_new(step, 1_000 + n, tenant) for n, step in enumerate(steps)]


def once(steps: Sequence[model.Step]) -> list[model.Step]:
    """A history as the log keeps it: a second delivery of an event leaves no trace."""
    seen: set[tuple[str, str]] = set()
    kept: list[model.Step] = []
    for step in steps:
        if isinstance(step, model.Event):
            if (step.source, step.id) in seen:
                continue
            seen.add((step.source, step.id))
        kept.append(step)
    return kept


async def _folded(
    events: Sequence[envelope.NewEvent], cuts: Collection[int], restarts: Collection[int]
) -> Rows:
    storage = memory_log.MemoryLogStorage()
    written = log.Log(storage, clock.SystemClock())
    await written.open()
    await written.append(list(events))
    head = await written.head()
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        store = view_store.SqliteViewStore(str(Path(folder) / "views.sqlite"))
        await store.open()
        try:
            kept = view.VerdictView()
            slot = await store.claim(await store.create(kept, live=True))
            making = await kept.begin(slot, written, store)
            edges = sorted({0, head, *(cut for cut in cuts if cut < head)})
            for start, end in itertools.pairwise(edges):
                if start in restarts:
                    slot = await store.claim(slot)
                    making = await kept.begin(slot, written, store)
                page = await written.read(envelope.Position(start), limit=end - start)
                upto = envelope.Position(end)
                writes = await making.apply(page.events, upto)
                slot = await store.commit(slot, writes, ports.Checkpoint(position=upto))
                making.committed()
            return {
                table: await store.query_slot(slot, f"SELECT * FROM {{t}}{table} ORDER BY {order}")
                for table, order in TABLES.items()
            }
        finally:
            await store.close()
            await written.close()


def folded(
    events: Sequence[envelope.NewEvent],
    cuts: Collection[int] = (),
    restarts: Collection[int] = (),
) -> Rows:
    """The rows of the view of verdicts after a log was folded in pages that end at the cuts."""
    return asyncio.run(_folded(events, cuts, restarts))


def told(found: Rows, spec: model.Spec, contract: int = 1) -> list[str]:
    """One line for a verdict, so that a difference can be read."""
    names = [leg.name for leg in spec.legs]
    lines = []
    for row in found["verdicts"]:
        if row[0] != contract:
            continue
        detail = json.loads(row[14])
        ids = {name: sorted(each) for name, each in zip(names, detail[0], strict=True) if each}
        missing = detail[2] if len(detail) > 2 else []
        errors = sorted(detail[3]) if len(detail) > 3 else []
        status = ["", "matched", "mismatched", "partial"][row[6]]
        lines.append(f"{row[2]}@{row[3]}/{row[4]} {status} {missing} {errors} {ids} at {row[7]}")
    return sorted(lines)


def expected(outcome: model.Outcome, offset: int) -> list[str]:
    """Likewise, of the model; `offset` is the position before the first step."""
    return sorted(
        f"{key}@{window}/{n} {said.status} {list(said.missing)} {list(said.errors)} "
        f"{ {name: sorted(ids) for name, ids in said.events.items()} } at {said.step + 1 + offset}"
        for (key, window), each in outcome.said.items()
        for n, said in enumerate(each, start=1)
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[model.Spec, list[model.Step]]:
    spec = draw(histories.specs())
    return spec, [*once(draw(histories.histories(spec, ticks=True))), END]


@PROPERTY
@given(cases())
def test_verdicts_of_the_log_are_the_models(case: tuple[model.Spec, list[model.Step]]) -> None:
    spec, steps = case
    outcome = model.Model(spec, ordered=False).run(steps, ends=False)
    found = folded([declared(spec, 0), *appended(steps)])
    assert told(found, spec) == expected(outcome, 1)
    final = [said.status for said in outcome.final.values()]
    names = ["", "matched", "mismatched", "partial"]
    assert {names[row[1]]: row[2] for row in found["totals"] if row[2]} == {
        name: final.count(name) for name in names if name in final
    }


@PROPERTY
@given(cases(), st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_pages_and_restarts_anywhere_give_the_same_rows(
    case: tuple[model.Spec, list[model.Step]], cuts: set[int], restarts: set[int]
) -> None:
    spec, steps = case
    events = [declared(spec, 0), *appended(steps)]
    assert folded(events, cuts | restarts, restarts) == folded(events)


def _interleaved(
    steps: Sequence[envelope.NewEvent], control: Sequence[tuple[int, envelope.NewEvent]]
) -> Iterator[envelope.NewEvent]:
    for n, event in enumerate(steps):
        yield from (each for at, each in control if at == n)
        yield event


@st.composite
def busy_logs(draw: st.DrawFn) -> list[envelope.NewEvent]:
    """Two contracts of two tenants on the same events; new versions, withdrawals, requests."""
    specs = [draw(histories.specs(name="one")), draw(histories.specs(name="two"))]
    own = once(draw(histories.histories(specs[0], ticks=True, max_size=40)))
    other = once(draw(histories.histories(specs[0], max_size=10)))
    foreign = appended([s for s in other if isinstance(s, model.Event)], tenant="acme")
    steps = [*appended(own), *foreign, *appended([END])]
    control: list[tuple[int, envelope.NewEvent]] = [
        (0, declared(specs[0], 0)),
        (draw(st.integers(0, 3)), declared(specs[1], 1)),
    ]
    for number in range(2, 2 + draw(st.integers(0, 4))):
        spec = specs[draw(st.integers(0, 1))]
        at = draw(st.integers(1, len(steps) - 1))
        match draw(st.sampled_from(["declare", "withdraw", "rejudge", "rejudge"])):
            case "declare":
                changed = draw(histories.specs(window=spec.window, name=spec.name))
                control.append((at, declared(changed, number)))
            case "withdraw":
                control.append((at, withdrawn(spec, number)))
            case _:
                control.append((at, asked_again(spec, ["k1", "k2", "k9"], number)))
    return list(_interleaved(steps, control))


@PROPERTY
@given(busy_logs(), st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_versions_withdrawals_and_requests_survive_pages_and_restarts(
    events: list[envelope.NewEvent], cuts: set[int], restarts: set[int]
) -> None:
    assert folded(events, cuts | restarts, restarts) == folded(events)
