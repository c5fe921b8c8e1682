"""The state of a subscription against a plain model of it, and what must hold of ordering keys."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from helios.demo.clouds import pubsub_queue as queues
from helios.kernel import clock

SECOND = clock.SECOND_US
ATTEMPTS_MAX = 2
RETENTION_S = 12
LEASE_S = 3


def at(second: float) -> clock.Timestamp:
    return clock.Timestamp(round(second * SECOND))


def message(ordinal: int, *, second: float = 0, key: str = "", size: int = 1) -> queues.Message:
    return queues.Message(
        ordinal=ordinal,
        data=b"x" * size,
        attributes={},
        ordering_key=key,
        published_at=at(second),
    )


def filled(count: int, *, key: str = "", **rules: object) -> queues.Queue:
    queue = queues.Queue(queues.Rules(**rules))  # type: ignore[arg-type]
    for ordinal in range(1, count + 1):
        queue.add(message(ordinal, key=key))
    return queue


def take(queue: queues.Queue, second: float, count: int = 100) -> list[queues.Delivery]:
    return queue.take(at(second), holder="h", count=count)


def places(taken: Iterable[queues.Delivery]) -> list[int]:
    return [delivery.message.ordinal for delivery in taken]


@dataclass
class Modelled:
    """What a plain list knows of one message."""

    published_at: int
    free_at: int | None = 0
    ack_id: str = ""
    attempts: int = 0


class PlainQueue(RuleBasedStateMachine):
    """Without order: who is free, the oldest first, is found by looking at all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.ordinal = 0
        self.model: dict[int, Modelled] = {}
        self.leases: dict[int, int] = {}
        self.dead: list[int] = []

    @initialize(backoff=st.sampled_from([None, (1 * SECOND, 6 * SECOND)]))
    def begin(self, backoff: tuple[int, int] | None) -> None:
        self.made = queues.Rules(
            ack_deadline_us=LEASE_S * SECOND,
            retention_us=RETENTION_S * SECOND,
            backoff_us=backoff,
            attempts_max=ATTEMPTS_MAX,
        )
        self.queue = queues.Queue(self.made)

    @rule()
    def publish(self) -> None:
        self.ordinal += 1
        self.queue.add(message(self.ordinal, second=self.now))
        self.model[self.ordinal] = Modelled(self.now)

    @rule(count=st.integers(1, 4))
    def take(self, count: int) -> None:
        self._advance()
        free = [
            ordinal
            for ordinal, known in self.model.items()
            if ordinal not in self.leases and (known.free_at or 0) <= self.now
        ][:count]
        taken = take(self.queue, self.now, count)
        assert places(taken) == free
        for delivery in taken:
            known = self.model[delivery.message.ordinal]
            known.attempts += 1
            known.ack_id = delivery.ack_id
            assert delivery.attempt == known.attempts
            self.leases[delivery.message.ordinal] = self.now + LEASE_S

    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        self._advance()
        if self.leases:
            ordinal = data.draw(st.sampled_from(sorted(self.leases)))
            assert self.queue.ack([self.model[ordinal].ack_id], at(self.now)) == 1
            del self.leases[ordinal], self.model[ordinal]

    @rule(data=st.data(), seconds=st.integers(0, 6))
    def modify(self, data: st.DataObject, seconds: int) -> None:
        self._advance()
        if self.leases:
            ordinal = data.draw(st.sampled_from(sorted(self.leases)))
            self.queue.modify([self.model[ordinal].ack_id], seconds, at(self.now))
            if seconds:
                self.leases[ordinal] = self.now + seconds
            else:
                self._fail(ordinal, self.now)

    @rule(data=st.data())
    def ack_of_a_lease_that_ended_does_nothing(self, data: st.DataObject) -> None:
        self._advance()
        ended = [known.ack_id for ordinal, known in self.model.items()
                 if known.ack_id and ordinal not in self.leases]  # fmt: skip
        if ended:
            assert self.queue.ack([data.draw(st.sampled_from(ended))], at(self.now)) == 0

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(back=st.integers(0, 10))
    def seek(self, back: int) -> None:
        self._advance()
        self._bury()
        begin = max(0, self.now - back)
        self.queue.seek(at(begin), ())
        self.leases.clear()
        self.model = {
            ordinal: Modelled(known.published_at)
            for ordinal, known in self.model.items()
            if known.published_at >= begin
        }

    @invariant()
    def all_is_accounted_for(self) -> None:
        if self.ordinal:
            self._advance()
            self._bury()
            assert self.queue.owed == len(self.model)
            assert self.queue.held("h")[0] == len(self.leases)

    def _advance(self) -> None:
        self.queue.advance(at(self.now))
        for ordinal, known in list(self.model.items()):
            if known.published_at + RETENTION_S <= self.now:
                del self.model[ordinal]
                self.leases.pop(ordinal, None)
        for ordinal, until in sorted(self.leases.items()):
            if until <= self.now:
                # The pause begins when the queue sees the end of the lease.
                self._fail(ordinal, self.now)

    def _fail(self, ordinal: int, second: int) -> None:
        del self.leases[ordinal]
        known = self.model[ordinal]
        if known.attempts >= ATTEMPTS_MAX:
            del self.model[ordinal]
            self.dead.append(ordinal)
        elif self.made.backoff_us is not None:
            known.free_at = second + min(6, 2 ** (known.attempts - 1))

    def _bury(self) -> None:
        buried = self.queue.dead()
        assert sorted(message.ordinal for message, _ in buried) == sorted(self.dead)
        assert all(attempts == ATTEMPTS_MAX for _, attempts in buried)
        self.dead.clear()


class KeyedQueue(RuleBasedStateMachine):
    """With order: whatever fails, a key's messages never overtake each other."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.ordinal = 0
        self.queue = queues.Queue(
            queues.Rules(ordered=True, backoff_us=(SECOND, SECOND), retain_acked=False)
        )
        self.key: dict[int, str] = {}
        self.settled: set[int] = set()
        self.leases: dict[int, str] = {}
        self.until: dict[int, int] = {}

    @rule(key=st.sampled_from(["a", "b", ""]))
    def publish(self, key: str) -> None:
        self.ordinal += 1
        self.key[self.ordinal] = key
        self.queue.add(message(self.ordinal, key=key))

    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        self._forget_ended()
        taken = take(self.queue, self.now, count)
        batch: set[int] = set()
        for delivery in taken:
            ordinal = delivery.message.ordinal
            batch.add(ordinal)
            if self.key[ordinal]:
                before = {o for o, k in self.key.items() if k == self.key[ordinal] and o < ordinal}
                assert before <= self.settled | batch, "an earlier one of the key is still owed"
            # Delivered again after a failure before it: it is owed anew.
            self.settled.discard(ordinal)
            self.leases[ordinal] = delivery.ack_id
            self.until[ordinal] = self.now + 10

    @rule(data=st.data(), fails=st.booleans())
    def answer(self, data: st.DataObject, *, fails: bool) -> None:
        self._forget_ended()
        if not self.leases:
            return
        ordinal = data.draw(st.sampled_from(sorted(self.leases)))
        ack_id = self.leases.pop(ordinal)
        if fails:
            self.queue.modify([ack_id], 0, at(self.now))
            self._failed(ordinal)
        else:
            assert self.queue.ack([ack_id], at(self.now)) == 1
            self.settled.add(ordinal)

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def what_is_held_is_what_is_leased(self) -> None:
        self._forget_ended()
        self.queue.advance(at(self.now))
        assert self.queue.held("h")[0] == len(self.leases)

    def teardown(self) -> None:
        """In the end everything arrives, and then there is nothing left."""
        for _ in range(5):
            self.now += 60
            taken = take(self.queue, self.now, 1_000)
            self.queue.ack([delivery.ack_id for delivery in taken], at(self.now))
            self.settled.update(places(taken))
        assert self.settled == set(self.key)
        assert self.queue.owed == 0
        assert self.queue.next_at() is None

    def _forget_ended(self) -> None:
        for ordinal in sorted(self.leases):
            if ordinal in self.leases and self.until[ordinal] <= self.now:
                del self.leases[ordinal]
                self._failed(ordinal)

    def _failed(self, ordinal: int) -> None:
        key = self.key[ordinal]
        if key:
            later = {o for o, k in self.key.items() if k == key and o > ordinal}
            for again in later & set(self.leases):
                del self.leases[again]


TestPlainQueue = PlainQueue.TestCase
TestPlainQueue.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestKeyedQueue = KeyedQueue.TestCase
TestKeyedQueue.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_a_failure_brings_back_what_was_acknowledged_after_it() -> None:
    queue = filled(3, key="k", ordered=True)
    first = take(queue, 0, 3)
    queue.ack([first[2].ack_id], at(0))
    queue.modify([first[1].ack_id], 0, at(0))
    queue.ack([first[0].ack_id], at(0))
    assert places(take(queue, 0)) == [2, 3]


def test_a_size_limit_holds_except_for_a_single_message() -> None:
    queue = queues.Queue(queues.Rules())
    for ordinal, size in enumerate((5, 5, 50), 1):
        queue.add(message(ordinal, size=size))
    assert places(queue.take(at(0), holder="h", count=9, size_max=9)) == [1]
    assert places(queue.take(at(0), holder="h", count=9, size_max=9)) == [2]
    assert places(queue.take(at(0), holder="h", count=9, size_max=9)) == [3]


def test_a_seek_finds_what_the_topic_kept_from_before_the_subscription() -> None:
    queue = filled(0)
    queue.seek(at(5), [message(1, second=1), message(2, second=9)])
    assert places(take(queue, 10)) == [2]


@pytest.mark.parametrize(("kept", "again"), [(True, [1, 2]), (False, [2])])
def test_a_seek_finds_acknowledged_messages_only_if_they_are_kept(
    *, kept: bool, again: list[int]
) -> None:
    queue = filled(2, retain_acked=kept)
    taken = take(queue, 0)
    queue.ack([taken[0].ack_id], at(0))
    queue.seek(at(0), ())
    assert places(take(queue, 1)) == again


def test_the_oldest_owed_message_is_told() -> None:
    queue = filled(0)
    assert queue.oldest() is None
    queue.add(message(1, second=3))
    queue.add(message(2, second=4))
    queue.ack([delivery.ack_id for delivery in take(queue, 5, 1)], at(5))
    assert queue.oldest() == at(4)


def test_pauses_double_up_to_the_longest() -> None:
    queue = filled(1, backoff_us=(10 * SECOND, 35 * SECOND))
    now = 0
    for pause in (10, 20, 35, 35):
        (taken,) = take(queue, now)
        queue.modify([taken.ack_id], 0, at(now))
        assert take(queue, now + pause - 0.001) == []
        assert queue.next_at() == at(now + pause)
        now += pause


def test_after_its_last_attempt_a_message_is_dead() -> None:
    queue = filled(1, attempts_max=2)
    for _ in range(2):
        assert queue.dead() == []
        (taken,) = take(queue, 0)
        queue.modify([taken.ack_id], 0, at(0))
    assert [(dead.ordinal, attempts) for dead, attempts in queue.dead()] == [(1, 2)]
    assert take(queue, 0) == []


def test_a_message_is_kept_for_exactly_its_retention() -> None:
    queue = filled(1, retention_us=60 * SECOND)
    assert places(take(queue, 59.999)) == [1]
    queue.advance(at(60))
    assert queue.owed == 0
