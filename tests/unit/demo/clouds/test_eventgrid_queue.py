"""The state of a pull subscription against a plain model of it."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from helios.demo.clouds import eventgrid_queue as queues
from helios.kernel import clock

SECOND = clock.SECOND_US
RULES = queues.Rules(lock_us=3 * SECOND, attempts_max=2, lifetime_us=12 * SECOND)


def at(second: float) -> clock.Timestamp:
    return clock.Timestamp(round(second * SECOND))


@dataclass
class Modelled:
    """What a plain list knows of one event."""

    published_at: int
    free_at: int = 0
    locked_until: int | None = None
    token: str = ""
    attempts: int = 0


class PlainQueue(RuleBasedStateMachine):
    """Who is free, the oldest first, is found by looking at all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = queues.Queue(RULES)
        self.now = 0
        self.serial = 0
        self.model: dict[int, Modelled] = {}
        self.dead: list[tuple[int, str]] = []

    @rule(dropped=st.sampled_from([False, False, False, True]))
    def publish(self, *, dropped: bool) -> None:
        self.serial += 1
        self.queue.add(self.serial, at(self.now), dropped=dropped)
        if dropped:
            self.dead.append((self.serial, "dropped"))
        else:
            self.model[self.serial] = Modelled(self.now)

    @rule(count=st.integers(1, 4))
    def receive(self, count: int) -> None:
        self._advance()
        free = [
            serial
            for serial, known in self.model.items()
            if known.locked_until is None and known.free_at <= self.now
        ][:count]
        got = self.queue.receive(at(self.now), count=count)
        assert [locked.event for locked in got] == free
        for locked in got:
            known = self.model[locked.event]
            known.attempts += 1
            assert locked.delivery_count == known.attempts
            known.token, known.locked_until = locked.token, self.now + 3

    @rule(data=st.data(), what=st.sampled_from(["acknowledge", "release", "reject", "renew"]),
          delay_s=st.sampled_from([0, 10]))  # fmt: skip
    def settle(self, data: st.DataObject, what: str, delay_s: int) -> None:
        self._advance()
        known_tokens = {known.token: serial for serial, known in self.model.items() if known.token}
        if not known_tokens:
            return
        token = data.draw(st.sampled_from(sorted(known_tokens)))
        serial = known_tokens[token]
        known = self.model[serial]
        options = {"delay_s": delay_s} if what == "release" else {}
        done = getattr(self.queue, what)([token], at(self.now), **options)
        assert done == [known.locked_until is not None]
        if known.locked_until is None:
            return
        if what == "acknowledge":
            del self.model[serial]
        elif what == "reject":
            self._give_up(serial, "rejected")
        elif what == "renew":
            known.locked_until = self.now + 3
        elif known.attempts >= 2:
            self._give_up(serial, "attempts")
        else:
            known.locked_until, known.free_at = None, self.now + delay_s

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def all_is_accounted_for(self) -> None:
        self._advance()
        self.queue.advance(at(self.now))
        assert self.queue.owed == len(self.model)
        dead = [(letter.event, letter.reason) for letter in self.queue.dead()]
        assert sorted(dead) == sorted(self.dead)
        self.dead.clear()

    def _advance(self) -> None:
        for serial, known in list(self.model.items()):
            if known.published_at + 12 <= self.now:
                self._give_up(serial, "lifetime")
            elif known.locked_until is not None and known.locked_until <= self.now:
                known.locked_until = None
                if known.attempts >= 2:
                    self._give_up(serial, "attempts")

    def _give_up(self, serial: int, reason: str) -> None:
        del self.model[serial]
        self.dead.append((serial, reason))


TestPlainQueue = PlainQueue.TestCase
TestPlainQueue.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_a_token_given_twice_counts_once() -> None:
    queue = queues.Queue(RULES)
    queue.add("e", at(0))
    (locked,) = queue.receive(at(0), count=1)
    assert queue.acknowledge([locked.token, locked.token, "other"], at(0)) == [True, False, False]


def test_without_dead_letters_what_is_given_up_is_gone() -> None:
    queue = queues.Queue(queues.Rules(dead_letters=False))
    queue.add("e", at(0))
    (locked,) = queue.receive(at(0), count=1)
    assert queue.reject([locked.token], at(0)) == [True]
    assert queue.dead() == []
    assert queue.owed == 0


def test_the_next_thing_to_do_is_the_end_of_a_lock_or_of_a_life() -> None:
    queue = queues.Queue(RULES)
    assert queue.next_at() is None
    queue.add("e", at(0))
    assert queue.next_at() == at(12)
    queue.receive(at(1), count=1)
    assert queue.next_at() == at(4)
