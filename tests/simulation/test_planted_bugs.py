"""The harness can fail: bugs of the usual kinds, planted one by one, are found within few seeds.

They are planted in a log storage written for this purpose (everything in memory, a blob per event
in SQLite) and in subclasses of the product's view store and worker. Without a bug, the same parts
pass the same seeds: so it is the bug that is found.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import apsw
import msgspec
import pytest

from helios.drivers.sqlite import log_schema, view_store
from helios.eventlog import commit as commits
from helios.eventlog import envelope, ports
from helios.kernel import clock, errors, offload
from helios.projections import ports as view_ports
from helios.projections import wait, worker
from helios.testing import memory_log, node, simdisk, simulate, swarm, world

T = TypeVar("T")

SEEDS = 60


class _Stored(msgspec.Struct, frozen=True):
    position: int
    sequence: int
    event: envelope.NewEvent
    recorded_at: int


class BlobLogStorage(memory_log.MemoryLogStorage):
    """A correct log, as long as no bug is planted in it."""

    def __init__(self, vfs: str, run: offload.Offload, bug: str = "") -> None:
        super().__init__()
        self._vfs = vfs
        self._run = run
        self._bug = bug
        self._background: list[asyncio.Task[None]] = []
        self._made = 0

    async def open(self) -> None:
        rows, answers = await self._run.run("log.open", _translated(self._load))
        known: list[commits.Row] = []
        for stored in rows:
            row = (envelope.Position(stored.position), stored.sequence, stored.event)
            known.append(row)
            self._insert([row], clock.Timestamp(stored.recorded_at))
        if self._bug == "dedup only in a cache":
            self._places.clear()
        self._answers.update(answers)
        self._made = len(known)

    def _load(
        self,
    ) -> tuple[list[_Stored], dict[commits.IdempotencyKey, tuple[clock.Timestamp, commits.Answer]]]:
        db = self._db = apsw.Connection("/blob.db", vfs=self._vfs)
        db.pragma("locking_mode", "exclusive")
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", "off" if self._bug == "synchronous off" else "full")
        db.execute("CREATE TABLE IF NOT EXISTS e (p INTEGER PRIMARY KEY, body BLOB)")
        db.execute("CREATE TABLE IF NOT EXISTS a (s TEXT, k TEXT, body BLOB)")
        # What a killed process wrote and did not flush is readable now, and must be durable
        # before anyone reads it.
        db.pragma("user_version", int(db.pragma("user_version")) + 1)
        rows = [
            msgspec.msgpack.decode(body, type=_Stored)
            for (body,) in db.execute("SELECT body FROM e ORDER BY p")
        ]
        answers = {
            (scope, key): msgspec.msgpack.decode(body, type=tuple[clock.Timestamp, commits.Answer])
            for scope, key, body in db.execute("SELECT s, k, body FROM a")
        }
        return rows, answers

    async def commit(
        self, requests: Sequence[ports.AppendRequest], recorded_at: clock.Timestamp
    ) -> list[envelope.Appended | Exception]:
        plan = commits.plan(requests, self._facts(commits.questions(requests), recorded_at))
        if self._bug == "acknowledges before it commits":
            self._keep(plan, recorded_at)
            self._background.append(asyncio.create_task(self._write(plan, recorded_at)))
            return plan.outcomes
        if self._bug == "shows before it commits" and plan.rows:
            self._insert(plan.rows, recorded_at)
        await self._write(plan, recorded_at)
        self._keep(plan, recorded_at)
        return plan.outcomes

    def _keep(self, plan: commits.Plan, recorded_at: clock.Timestamp) -> None:
        if plan.rows and plan.rows[-1][0] > len(self._events):
            self._insert(plan.rows, recorded_at)
        for idempotency, appended in plan.answers:
            answer = commits.Answer(request_hash=idempotency.request_hash, appended=appended)
            self._answers[idempotency.scope, idempotency.key] = (recorded_at, answer)

    async def _write(self, plan: commits.Plan, recorded_at: clock.Timestamp) -> None:
        bodies = [(row[0], msgspec.msgpack.encode(_Stored(*row, recorded_at))) for row in plan.rows]
        answers = [
            (
                idempotency.scope,
                idempotency.key,
                msgspec.msgpack.encode(
                    (
                        recorded_at,
                        commits.Answer(request_hash=idempotency.request_hash, appended=appended),
                    )
                ),
            )
            for idempotency, appended in plan.answers
        ]

        def call() -> None:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO e VALUES (?, ?)", bodies)
                self._db.executemany("INSERT INTO a VALUES (?, ?, ?)", answers)

        def one_by_one() -> None:
            for body in bodies:
                self._db.execute("INSERT OR REPLACE INTO e VALUES (?, ?)", body)

        split = self._bug == "a transaction per event" and not answers
        await self._run.run("log.commit", _translated(one_by_one if split else call))

    async def close(self) -> None:
        await self._run.run("log.close", _translated(lambda: self._db.close(True)))  # noqa: FBT003


def _translated(call: Callable[[], T]) -> Callable[[], T]:
    def translated() -> T:
        try:
            return call()
        except apsw.FullError as error:
            raise errors.StorageError("full") from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise errors.CorruptionError("damaged") from error
        except apsw.IOError as error:
            raise errors.StorageFailedError("the disk failed") from error

    return translated


class CheckpointFirst(view_store.SqliteViewStore):
    """Saves the checkpoint in a transaction before that of the effects."""

    async def commit(
        self,
        slot: view_ports.Slot,
        writes: Sequence[view_ports.Write],
        checkpoint: view_ports.Checkpoint,
    ) -> view_ports.Slot:
        moved = await super().commit(slot, [], checkpoint)
        return await super().commit(moved, writes, checkpoint)


class EffectsFirst(view_store.SqliteViewStore):
    """Saves the effects in a transaction before that of the checkpoint."""

    async def commit(
        self,
        slot: view_ports.Slot,
        writes: Sequence[view_ports.Write],
        checkpoint: view_ports.Checkpoint,
    ) -> view_ports.Slot:
        same = await super().commit(slot, writes, slot.checkpoint)
        return await super().commit(same, [], checkpoint)


class TellsTooEarly(worker.Worker):
    """Tells who waits before the view has committed."""

    async def _step(self, slot: view_ports.Slot, *rest: Any) -> view_ports.Slot:
        self._progress.advance(slot.view, rest[-1].next_after)
        return await super()._step(slot, *rest)


class Planted(node.Build):
    """A node with one bug, or with none."""

    def __init__(self, bug: str) -> None:
        self.bug = bug

    def log_storage(
        self, disk: simdisk.SimDisk, run: Callable[[], offload.Offload], **_: object
    ) -> ports.LogStorage:
        return BlobLogStorage(disk.vfs, run(), self.bug)

    def view_store(
        self, disk: simdisk.SimDisk, run: Callable[[], offload.Offload]
    ) -> view_ports.ViewStore:
        kinds = {
            "checkpoint saved before the effects": CheckpointFirst,
            "effects saved before the checkpoint": EffectsFirst,
        }
        kind = kinds.get(self.bug, view_store.SqliteViewStore)
        return kind("/views.db", writer=run(), vfs=disk.vfs, exclusive=True)

    def worker(
        self,
        view: view_ports.View,
        source: ports.EventLog,
        store: view_ports.ViewStore,
        progress: wait.Progress,
        clock: clock.Clock,
    ) -> worker.Worker:
        kind = TellsTooEarly if self.bug == "tells readers before it commits" else worker.Worker
        return kind(view, source, store, progress=progress, clock=clock, batch_events=5)


@pytest.mark.parametrize(
    ("bug", "invariants"),
    [
        ("synchronous off", {"no_lost_event", "cursor_monotonic", "no_corruption"}),
        ("acknowledges before it commits", {"no_lost_event", "cursor_monotonic"}),
        ("shows before it commits", {"cursor_monotonic"}),
        ("dedup only in a cache", {"no_duplicate_event", "no_lost_event"}),
        ("a transaction per event", {"append_is_atomic"}),
        ("checkpoint saved before the effects", {"view_equals_replay", "read_your_writes"}),
        ("effects saved before the checkpoint", {"view_equals_replay"}),
        ("tells readers before it commits", {"read_your_writes", "view_equals_replay"}),
    ],
)
def test_a_planted_bug_is_found(bug: str, invariants: set[str]) -> None:
    for seed in range(SEEDS):
        result = world.run(seed, build=Planted(bug))
        if result.violation is not None:
            assert simulate.invariant(result) in invariants, result.violation
            return
    pytest.fail(f"{bug}: not found in {SEEDS} seeds")


def test_a_log_that_shows_what_recovery_found_before_it_is_flushed_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug that simulated worlds found in the real log: found again when it is put back."""
    monkeypatch.setattr(log_schema, "settle", lambda _connection: None)
    results = (world.run(seed, faults=_KILLED_THEN_CUT) for seed in range(300))
    found = next(result for result in results if result.violation is not None)
    assert simulate.invariant(found) in {"cursor_monotonic", "no_lost_event"}


_KILLED_THEN_CUT = swarm.Swarm(slow=True, torn=True, crash=0.02, kills=0.6, reorder=True)


def test_the_same_parts_without_a_bug_pass() -> None:
    for seed in range(SEEDS):
        result = world.run(seed, build=Planted("none"))
        assert result.violation is None, f"seed {seed}: {result.violation}"
