"""A version that differs in times alone takes over the windows that are open."""

import asyncio
import json
import random
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.kernel import clock
from helios.projections import ports
from helios.projections.views import contracts as declarations
from helios.reconcile.streams import contract, fold, layout, view
from helios.testing import memory_log

SECOND_US = 1_000_000
NAMES = {layout.MATCHED: "matched", layout.MISMATCHED: "mismatched", layout.PARTIAL: "partial"}
HEAD = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: c}
spec:
  key: payload.k
  legs: {a: {source: s, type: A}, b: {source: s, type: B}}
  rules: [{name: equal, check: "a.v == b.v"}]
"""
VERDICTS = (
    "SELECT key, window_id, revision, version, status, position, late FROM {t}verdicts ORDER BY n"
)


class History:
    """Events in order, each with an id of its own."""

    def __init__(self) -> None:
        self.events: list[envelope.NewEvent] = []

    def add(self, kind: str, payload: object, at: float = 0, source: str = "helios") -> None:
        made = envelope.NewEvent(
            id=f"e{len(self.events)}",
            source=source,
            type=kind,
            occurred_at=clock.Timestamp(1_700_000_000 * SECOND_US + int(at * SECOND_US)),
            aggregate_type="x",
            aggregate_id="x",
            payload=json.dumps(payload).encode(),
        )
        self.events.append(made)

    def declare(self, window: str, *, carries: bool = False) -> None:
        text = f"{HEAD}  window: {window}\n"
        said = {"name": "c", "yaml": text, "hash": "", "carries": carries}
        self.add(declarations.DECLARED, said)

    def tick(self, at: float) -> None:
        self.add(fold.TICKED, {}, at)

    def leg(self, kind: str, at: float, key: str = "k", v: int = 1) -> None:
        self.add(kind, {"k": key, "v": v}, at, "s")


async def _folded(
    events: Sequence[envelope.NewEvent], cuts: Collection[int], path: str, *, restarts: bool
) -> list[ports.Row]:
    written = log.Log(memory_log.MemoryLogStorage(), clock.SystemClock())
    await written.open()
    await written.append(list(events))
    store = view_store.SqliteViewStore(path)
    await store.open()
    try:
        kept = view.VerdictView()
        slot = await store.claim(await store.create(kept, live=True))
        making = await kept.begin(slot, written, store)
        start = 0
        for end in sorted({*cuts, len(events)}):
            page = await written.read(envelope.Position(start), limit=end - start)
            upto = envelope.Position(end)
            writes = await making.apply(page.events, upto)
            slot = await store.commit(slot, writes, ports.Checkpoint(position=upto))
            making.committed()
            if restarts:
                making = await kept.begin(slot, written, store)
            start = end
        return await store.query_slot(slot, VERDICTS)
    finally:
        await store.close()
        await written.close()


def told(history: History, folder: Path) -> list[str]:
    """Verdicts as lines: the same in one page, one by one, and with a restart after each event."""
    events = history.events
    every = range(1, len(events))
    whole = asyncio.run(_folded(events, (), f"{folder}/whole", restarts=False))
    apart = asyncio.run(_folded(events, every, f"{folder}/apart", restarts=False))
    again = asyncio.run(_folded(events, every, f"{folder}/again", restarts=True))
    assert apart == whole
    assert again == whole
    return [
        f"{key}/{revision} v{version} {NAMES[status]} at {position}{' late' if late else ''}"
        for key, _, revision, version, status, position, late in whole
    ]


PER_KEY = "{type: per_key, size: SIZE, grace: 0s}"


def per_key(size: str, grace: str = "0s") -> str:
    return PER_KEY.replace("SIZE", size).replace("0s}", f"{grace}}}")


def test_a_waiting_key_is_judged_at_the_new_later_deadline(tmp_path: Path) -> None:
    history = History()
    history.declare(per_key("10s"))
    history.leg("A", 0)
    history.declare(per_key("30s"), carries=True)
    history.tick(11)
    history.tick(29)
    history.tick(31)
    assert told(history, tmp_path) == ["k/1 v2 partial at 6"]


def test_a_waiting_key_is_judged_at_the_new_earlier_deadline(tmp_path: Path) -> None:
    history = History()
    history.declare(per_key("1h"))
    history.leg("A", 0)
    history.tick(20)
    history.declare(per_key("10s"), carries=True)
    history.tick(21)
    history.tick(22)
    assert told(history, tmp_path) == ["k/1 v2 partial at 5"]


def test_a_longer_grace_holds_for_keys_that_wait(tmp_path: Path) -> None:
    history = History()
    history.declare(per_key("10s"))
    history.leg("A", 0)
    history.declare(per_key("10s", "10s"), carries=True)
    history.tick(12)
    history.leg("B", 9)
    assert told(history, tmp_path) == ["k/1 v2 matched at 5"]


def test_without_the_word_a_window_ends_under_its_own_version(tmp_path: Path) -> None:
    history = History()
    history.declare(per_key("10s"))
    history.leg("A", 0)
    history.declare(per_key("30s"))
    history.tick(11)
    assert told(history, tmp_path) == ["k/1 v1 partial at 4"]


def test_what_is_decided_stays_decided_and_a_late_event_is_its_versions(tmp_path: Path) -> None:
    history = History()
    history.declare(per_key("10s"))
    history.leg("A", 0, "early")
    history.tick(11)
    history.declare(per_key("30s"), carries=True)
    history.leg("B", 12, "early")
    history.leg("A", 12, "new")
    history.leg("B", 13, "new")
    assert told(history, tmp_path) == [
        "early/1 v1 partial at 3",
        "early/2 v1 matched at 5 late",
        "new/1 v2 matched at 7",
    ]


def test_a_matched_key_whose_window_is_open_stays_with_its_version(tmp_path: Path) -> None:
    history = History()
    history.declare(per_key("10s"))
    history.leg("A", 0)
    history.leg("B", 1)
    history.declare(per_key("30s"), carries=True)
    history.leg("B", 20)
    history.tick(60)
    assert told(history, tmp_path) == ["k/1 v1 matched at 3", "k/2 v1 mismatched at 5"]


def test_an_aligned_window_of_another_size_is_another_window(tmp_path: Path) -> None:
    history = History()
    history.declare("{type: tumbling, size: 10s, grace: 0s}")
    history.leg("A", 0)
    history.declare("{type: tumbling, size: 1m, grace: 0s}", carries=True)
    history.tick(11)
    assert told(history, tmp_path) == ["k/1 v1 partial at 4"]


def test_sessions_with_another_grace_go_on(tmp_path: Path) -> None:
    history = History()
    history.declare("{type: session, gap: 10s, grace: 0s}")
    history.leg("A", 0)
    history.declare("{type: session, gap: 10s, grace: 30s}", carries=True)
    history.leg("A", 5)
    history.tick(30)
    history.tick(47)
    assert [line.split()[1:3] for line in told(history, tmp_path)] == [["v2", "partial"]]


@pytest.mark.parametrize("seed", range(12))
def test_random_histories_with_changes_say_the_same_whatever_is_restarted(
    seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    history, now = History(), 0.0
    history.declare(per_key("10s"))
    for _ in range(60):
        now += rng.choice((0, 0.3, 1, 4))
        draw = rng.random()
        if draw < 0.12:
            window = per_key(rng.choice(("5s", "10s", "20s", "40s")), rng.choice(("0s", "3s")))
            history.declare(window, carries=rng.random() < 0.8)
        elif draw < 0.3:
            history.tick(now)
        else:
            at = now - rng.choice((0, 0, 0, 2, 9))
            history.leg(rng.choice("AB"), at, rng.choice("pqrstuvw"), rng.choice((1, 1, 1, 2)))
    history.tick(now + 200)
    history.tick(now + 201)
    lines = told(history, tmp_path)
    assert {line.split("/")[0] for line in lines} <= set("pqrstuvw")
    assert lines


def test_only_times_may_differ_for_windows_to_go_on() -> None:
    base = contract.parse(f"{HEAD}  window: {per_key('10s')}\n")
    longer = contract.parse(f"{HEAD}  window: {per_key('20s')}\n")
    ruled = contract.parse(base.text.replace("a.v == b.v", "a.v >= b.v"))
    legged = contract.parse(base.text.replace("type: B}", "type: B, require: 'true'}"))
    assert contract.carries(base, longer)
    assert not contract.carries(base, ruled)
    assert not contract.carries(base, legged)
