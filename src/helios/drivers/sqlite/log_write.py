"""The writing side of the SQLite log: one group commit, on one connection.

Everything is looked up inside the write transaction, which is taken before the first read: what
the plan rests on cannot change until its commit, also when another process writes the same file.
"""

import contextlib
from collections.abc import Sequence

import apsw
import msgspec

from helios.drivers.sqlite import connection as connections
from helios.drivers.sqlite import log_numbers, texts
from helios.eventlog import chain, envelope, ports
from helios.eventlog import commit as planning
from helios.kernel import clock, errors

_HEAD = "SELECT max(position) FROM events"
_PLACE = "SELECT origin, id, position, sequence FROM events WHERE origin = ? AND id = ?"
_LAST = "SELECT aggregate, sequence FROM events WHERE aggregate = ? ORDER BY sequence DESC LIMIT 1"
_ANSWER = (
    "SELECT scope, key, request_hash, answer FROM idempotency"
    " WHERE scope = ? AND key = ? AND expires_at > ?"
)
_HASH = "SELECT hash FROM batches ORDER BY last DESC LIMIT 1"
_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BATCH = "INSERT INTO batches VALUES (?, ?, ?)"
_KEEP = (
    "REPLACE INTO idempotency (scope, key, request_hash, answer, expires_at) VALUES (?, ?, ?, ?, ?)"
)
_OLDEST = "SELECT expires_at FROM idempotency ORDER BY number LIMIT 1"
_PURGE = (
    "DELETE FROM idempotency WHERE expires_at <= ? AND number IN"
    " (SELECT number FROM idempotency ORDER BY number LIMIT ?)"
)
_PURGE_MIN = 64
_FLUSHES = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)
_EMPTY = b"{}"

_answer_encoder = msgspec.msgpack.Encoder()
_answer_decoder = msgspec.msgpack.Decoder(envelope.Appended)


class Writer:
    """Commits batches; blocking, for one thread at a time."""

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        self._db = connection
        self._path = path
        self._origins = log_numbers.origins()
        self._families = log_numbers.families()
        self._kinds = log_numbers.kinds()
        self._actors = log_numbers.actors()
        self._aggregates = log_numbers.aggregates()
        self._dictionaries = (self._origins, self._families, self._kinds)
        self._packed = texts.Packed()
        self._all = (*self._dictionaries, self._actors, self._aggregates)

    def commit(
        self, requests: Sequence[ports.AppendRequest], recorded_at: clock.Timestamp
    ) -> list[envelope.Appended | Exception]:
        """See `ports.LogStorage.commit`."""
        asked = planning.questions(requests)
        self._packed = texts.Packed()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            plan = planning.plan(requests, self._facts(asked, recorded_at))
            if not plan.is_empty:
                self._insert(plan, recorded_at)
        except apsw.Error as error:
            self._roll_back()
            raise _translate(error, self._path) from error
        except BaseException:
            self._roll_back()
            raise
        if plan.is_empty:
            self._roll_back()
        else:
            self._flush()
        return plan.outcomes

    def _flush(self) -> None:
        try:
            self._db.execute("COMMIT")
        except apsw.Error as error:
            self._roll_back()
            raise _translate_commit(error, self._path) from error
        for numbers in self._all:
            numbers.settle()

    def _roll_back(self) -> None:
        for numbers in self._all:
            numbers.forget()
        with contextlib.suppress(apsw.Error):  # some errors have rolled back already
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _facts(self, asked: planning.Questions, recorded_at: clock.Timestamp) -> planning.Facts:
        for dictionary in self._dictionaries:
            dictionary.refresh(self._db)
        return planning.Facts(
            head=envelope.Position(self._db.execute(_HEAD).get or 0),
            heads=self._heads(asked.aggregates),
            known=self._places(asked.events),
            answers=self._answers(asked.keys, recorded_at) if asked.keys else {},
        )

    def _places(
        self, asked: Sequence[planning.DedupKey]
    ) -> dict[planning.DedupKey, planning.Place]:
        wanted: dict[tuple[int, texts.Stored], planning.DedupKey] = {}
        for key in asked:
            origin = self._origins.get(key[:2])
            if origin is not None:
                wanted[origin, self._packed[key[2]]] = key
        if not wanted:
            return {}
        return {
            wanted[origin, event_id]: (envelope.Position(position), sequence)
            for origin, event_id, position, sequence in self._db.executemany(_PLACE, wanted)
        }

    def _heads(self, asked: Sequence[envelope.AggregateKey]) -> dict[envelope.AggregateKey, int]:
        ids: dict[log_numbers.AggregateId, envelope.AggregateKey] = {}
        for key in asked:
            family = self._families.get(key[:2])
            if family is not None:
                ids[self._packed[key[2]], family] = key
        self._aggregates.look_up(self._db, ids)
        wanted: dict[tuple[int], envelope.AggregateKey] = {}
        for aggregate, key in ids.items():
            number = self._aggregates.get(aggregate)
            if number is not None:
                wanted[(number,)] = key
        if not wanted:
            return {}
        found = self._db.executemany(_LAST, wanted)
        return {wanted[(number,)]: sequence for number, sequence in found}

    def _answers(
        self, asked: Sequence[planning.IdempotencyKey], now: clock.Timestamp
    ) -> dict[planning.IdempotencyKey, planning.Answer]:
        found = self._db.executemany(_ANSWER, [(scope, key, now) for scope, key in asked])
        return {
            (scope, key): planning.Answer(
                request_hash=request_hash, appended=_answer_decoder.decode(answer)
            )
            for scope, key, request_hash, answer in found
        }

    def _insert(self, plan: planning.Plan, recorded_at: clock.Timestamp) -> None:
        if plan.rows:
            previous: bytes = self._db.execute(_HASH).get or chain.GENESIS
            rows = self._number(plan.rows, recorded_at)
            for numbers in self._all:
                numbers.store(self._db)
            self._db.executemany(_EVENT, rows)
            link = chain.link(previous, plan.rows, recorded_at)
            self._db.execute(_BATCH, (plan.rows[-1][0], recorded_at, link))
        if plan.answers:
            self._db.executemany(_KEEP, [_kept(*each, recorded_at) for each in plan.answers])
            self._purge(recorded_at, max(_PURGE_MIN, 2 * len(plan.answers)))

    def _number(
        self, rows: Sequence[planning.Row], recorded_at: clock.Timestamp
    ) -> list[tuple[object, ...]]:
        """The rows as they are stored."""
        db, packed = self._db, self._packed
        self._actors.look_up(db, {(event.actor,): None for _, _, event in rows})
        origins, families, kinds = self._origins, self._families, self._kinds
        actors, aggregates = self._actors, self._aggregates
        stored: list[tuple[object, ...]] = []
        for position, sequence, event in rows:
            tenant = event.tenant
            origin = origins.obtain(db, (tenant, event.source))
            family = families.obtain(db, (tenant, event.aggregate_type))
            correlation, causation = event.correlation_id, event.causation_id
            stored.append(
                (
                    position,
                    kinds.obtain(db, (origin, family, event.type, event.version)),
                    origin,
                    aggregates.obtain(db, (packed[event.aggregate_id], family)),
                    sequence,
                    actors.obtain(db, (event.actor,)),
                    packed[event.id],
                    recorded_at - event.occurred_at,
                    None if correlation is None else packed[correlation],
                    None if causation is None else packed[causation],
                    event.payload,
                    None if event.metadata == _EMPTY else event.metadata,
                )
            )
        return stored

    def _purge(self, now: clock.Timestamp, most: int) -> None:
        # Oldest first, so a key may outlive its time behind one that is kept for longer; it is
        # not found any more all the same.
        oldest = self._db.execute(_OLDEST).get
        if oldest is not None and oldest <= now:
            self._db.execute(_PURGE, (now, most))


def _kept(
    key: ports.Idempotency, appended: envelope.Appended, recorded_at: clock.Timestamp
) -> tuple[str, str, bytes, bytes, int]:
    answer = _answer_encoder.encode(appended)
    return key.scope, key.key, key.request_hash, answer, key.expires_at(recorded_at)


def _translate(error: apsw.Error, path: str) -> Exception:
    """Before COMMIT everything can be rolled back, unless it was a flush that failed."""
    if isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) in _FLUSHES:
        return failed(error, path)
    return connections.translate(error, path)


def _translate_commit(error: apsw.Error, path: str) -> Exception:
    """A full disk at COMMIT is harmless, a failed write or flush is not.

    SQLite notices the full disk before the commit counts, so it is rolled back and may be tried
    again. After a failed flush the kernel may have dropped the pages and call the next flush a
    success: nothing may be tried again on this file by this process.
    """
    if isinstance(error, apsw.FullError | apsw.BusyError):
        return connections.translate(error, path)
    return failed(error, path)


def failed(error: apsw.Error, path: str) -> errors.StorageFailedError:
    """The error after which nothing more may be written to this file by this process."""
    return errors.StorageFailedError(
        f"{path}: the flush of a commit failed ({type(error).__name__}: {error}), so it is "
        "unknown what is durable. Stop, look at the disk, start again: Helios recovers from "
        "the log"
    )
