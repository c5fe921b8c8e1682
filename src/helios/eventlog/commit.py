"""What a group commit does, as a pure function.

Everything that waits is committed in one transaction, because the flush is what costs. But one
caller's refusal must not touch the others, and savepoints would cost more than the inserts. So
nothing is inserted before everything is decided: a backend asks `questions` what it must look up,
looks it up inside its transaction, and `plan` says which rows go in and what each caller is told.
All backends decide alike because none of them decides.

The rules, in the order they are asked for each request:

1. A known idempotency key replays its first answer, or is refused for another request.
2. An event whose dedup key is known is not appended again; its first place is returned. When that
   holds for all events of a request, the request is a retry and succeeds, however stale its
   expected sequences are by now.
3. Every expected sequence must be the aggregate's last one.
4. What is left gets the next positions and the next sequences of its aggregates.

A request sees what the requests before it in the batch did.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from helios.eventlog import envelope, ports
from helios.kernel import errors

DedupKey: TypeAlias = tuple[str, str, str]
"""(tenant, source, id) of an event."""

IdempotencyKey: TypeAlias = tuple[str, str]
"""(scope, key) of a command."""

Place: TypeAlias = tuple[envelope.Position, int]
"""(position, sequence) of an event in the log."""

Row: TypeAlias = tuple[envelope.Position, int, envelope.NewEvent]
"""(position, sequence, event) to insert."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a command was told, kept under its idempotency key."""

    request_hash: bytes
    appended: envelope.Appended


class Questions(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend must look up before it can plan; each list without repetition."""

    events: list[DedupKey]
    aggregates: list[envelope.AggregateKey]
    keys: list[IdempotencyKey]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What it found, in the snapshot it is going to write on.

    Attributes:
        head: the last position of the log; 0 when empty.
        heads: last sequence of each aggregate asked for; those without events may be left out.
        known: place of each event that is there already.
        answers: of each idempotency key that is there and has not expired.
    """

    head: envelope.Position
    heads: Mapping[envelope.AggregateKey, int] = {}
    known: Mapping[DedupKey, Place] = {}
    answers: Mapping[IdempotencyKey, Answer] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to write, and what to answer once it is durable.

    Attributes:
        rows: to insert, in order of position, without a gap after the head.
        answers: to store under idempotency keys.
        outcomes: one per request, in order.
    """

    rows: list[Row]
    answers: list[tuple[ports.Idempotency, envelope.Appended]]
    outcomes: list[envelope.Appended | Exception]

    @property
    def is_empty(self) -> bool:
        """Nothing is to be written, so nothing needs a flush."""
        return not self.rows and not self.answers


def questions(requests: Sequence[ports.AppendRequest]) -> Questions:
    """What must be known to plan these requests."""
    events: dict[DedupKey, None] = {}
    aggregates: dict[envelope.AggregateKey, None] = {}
    keys: dict[IdempotencyKey, None] = {}
    for request in requests:
        for event in request.events:
            tenant = event.tenant
            events[tenant, event.source, event.id] = None
            aggregates[tenant, event.aggregate_type, event.aggregate_id] = None
        for aggregate in request.expected:
            aggregates[aggregate] = None
        if request.idempotency is not None:
            keys[request.idempotency.scope, request.idempotency.key] = None
    return Questions(events=list(events), aggregates=list(aggregates), keys=list(keys))


def plan(requests: Sequence[ports.AppendRequest], facts: Facts) -> Plan:
    """Decide a group commit: rows to insert, answers to keep, one outcome per request."""
    state = _State(facts)
    outcomes = [state.decide(request) for request in requests]
    return Plan(rows=state.rows, answers=state.kept, outcomes=outcomes)


class _State:
    """The log as it will be: the facts, and over them what the requests so far did."""

    def __init__(self, facts: Facts) -> None:
        self.rows: list[Row] = []
        self.kept: list[tuple[ports.Idempotency, envelope.Appended]] = []
        self._head: int = facts.head
        self._heads = dict(facts.heads)
        self._known = dict(facts.known)
        self._answers = dict(facts.answers)

    def decide(self, request: ports.AppendRequest) -> envelope.Appended | Exception:
        idempotency = request.idempotency
        if idempotency is not None:
            answer = self._answers.get((idempotency.scope, idempotency.key))
            if answer is not None:
                return _replay(idempotency, answer)
        if request.expected:
            refusal = self._refusal(request)
            if refusal is not None:
                return refusal
        appended = self._append(request.events)
        if idempotency is not None:
            answer = Answer(request_hash=idempotency.request_hash, appended=appended)
            self._answers[idempotency.scope, idempotency.key] = answer
            self.kept.append((idempotency, appended))
        return appended

    def _refusal(self, request: ports.AppendRequest) -> errors.ConflictError | None:
        for aggregate, expected in request.expected.items():
            actual = self._heads.get(aggregate, 0)
            if actual == expected:
                continue
            if all((e.tenant, e.source, e.id) in self._known for e in request.events):
                return None
            return conflict(aggregate, expected, actual)
        return None

    def _append(self, events: Sequence[envelope.NewEvent]) -> envelope.Appended:
        positions: list[envelope.Position] = []
        sequences: list[int] = []
        duplicates: list[bool] = []
        known, heads, rows = self._known, self._heads, self.rows
        for event in events:
            tenant = event.tenant
            key = (tenant, event.source, event.id)
            place = known.get(key)
            if place is None:
                self._head += 1
                position = envelope.Position(self._head)
                aggregate = (tenant, event.aggregate_type, event.aggregate_id)
                sequence = heads.get(aggregate, 0) + 1
                heads[aggregate] = sequence
                known[key] = (position, sequence)
                rows.append((position, sequence, event))
                duplicates.append(False)
            else:
                position, sequence = place
                duplicates.append(True)
            positions.append(position)
            sequences.append(sequence)
        return envelope.Appended(positions=positions, sequences=sequences, duplicates=duplicates)


def _replay(
    idempotency: ports.Idempotency, answer: Answer
) -> envelope.Appended | errors.IdempotencyError:
    if idempotency.request_hash == answer.request_hash:
        return msgspec.structs.replace(answer.appended, replayed=True)
    return errors.IdempotencyError(
        f"idempotency key {idempotency.key!r} was used before for another request: "
        "send the first request again unchanged, or take a new key"
    )


def conflict(aggregate: envelope.AggregateKey, expected: int, actual: int) -> errors.ConflictError:
    """The refusal of a stale expected sequence; one wording for all backends."""
    tenant, kind, name = aggregate
    return errors.ConflictError(
        f"{kind} {name} of tenant {tenant} is at sequence {actual}, not {expected}: "
        "read it again and decide again",
        aggregate=f"{tenant}/{kind}/{name}",
        expected=expected,
        actual=actual,
    )
