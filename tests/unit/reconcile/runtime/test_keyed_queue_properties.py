"""The queue of keys against a model that says what may start, and what must."""

import dataclasses

from hypothesis import settings, stateful
from hypothesis import strategies as st

from helios.reconcile.runtime import keys, queue

P = keys.Priority
TENANT_MAX = 2
KEYS = [keys.Key(tenant, "f", name) for tenant in ("a", "b") for name in ("1", "2", "3")]
STEP_S = st.sampled_from([0.25, 1.0, 7.0, 400.0, 3_700.0])
SOON_S = st.sampled_from([0.0, 0.25, 1.0, 7.0])


@dataclasses.dataclass
class Model:
    """One key: passes that are wanted, each from a time on, and what it does."""

    wants: list[tuple[float, P]] = dataclasses.field(default_factory=list)
    floor: float = -1.0
    ran: P = P.RESYNC
    running: bool = False
    stalled: bool = False
    added: list[float] = dataclasses.field(default_factory=list)

    def want(self, at: float, priority: P) -> None:
        self.wants.append((at if priority is P.OPERATOR else max(at, self.floor), priority))

    def end(self, floor: float) -> None:
        self.running, self.floor = False, floor
        wants, self.wants = self.wants, []
        for at, priority in wants:
            self.want(at, priority)

    def due(self, now: float) -> list[P]:
        return [priority for at, priority in self.wants if at <= now]


class QueueMachine(stateful.RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue = queue.Queue(tenant_max=TENANT_MAX)
        self.now = 0.0
        self.models = {key: Model() for key in KEYS}

    def running(self, tenant: str) -> int:
        return sum(m.running for key, m in self.models.items() if key.tenant == tenant)

    def eligible(self) -> dict[keys.Key, list[P]]:
        return {
            key: due
            for key, model in self.models.items()
            if not model.running
            and self.running(key.tenant) < TENANT_MAX
            and (due := model.due(self.now))
        }

    @stateful.rule(seconds=STEP_S)
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @stateful.rule(
        many=st.lists(
            st.tuples(st.sampled_from(KEYS), st.sampled_from(P), st.just(0.0) | SOON_S),
            min_size=1,
            max_size=5,
        )
    )
    def add(self, many: list[tuple[keys.Key, P, float]]) -> None:
        for each in many:
            self.add_one(*each)

    def add_one(self, key: keys.Key, priority: P, after_s: float) -> None:
        model = self.models[key]
        after_s = 0.0 if priority is P.OPERATOR else after_s
        self.queue.add(key, priority, self.now, after_s=after_s)
        if model.stalled and priority < P.DEPENDENCY:
            return
        model.stalled = False
        model.added.append(self.now)
        model.want(self.now + after_s, priority)

    @stateful.rule(count=st.integers(1, 4))
    def take(self, count: int) -> None:
        for _ in range(count):
            self.take_one()

    def take_one(self) -> None:
        eligible = self.eligible()
        taken = self.queue.take(self.now)
        if taken is None:
            assert not eligible, "somebody could have begun"
            return
        assert taken.key in eligible, "too early, too many of a tenant, or twice"
        model = self.models[taken.key]
        assert max(eligible[taken.key]) <= taken.priority
        assert taken.priority <= max(priority for _, priority in model.wants)
        aged = min(float(P.EVENT), taken.priority + taken.waited_s / queue.AGE_STEP_S)
        level = max(float(taken.priority), aged)
        assert all(max(due) <= level for due in eligible.values()), "something was more urgent"
        # Every add so far is answered by this pass, which starts after it.
        model.added.clear()
        model.wants, model.floor = [], -1.0
        model.running, model.ran = True, taken.priority

    def some_running(self, data: st.DataObject) -> keys.Key | None:
        running = [key for key, model in self.models.items() if model.running]
        return data.draw(st.sampled_from(running)) if running else None

    @stateful.rule(
        data=st.data(), again_s=st.none() | SOON_S, priority=st.none() | st.sampled_from(P),
        rest_s=SOON_S, cost=st.sampled_from([0.1, 1.0, 3.5, 30.0]),
    )  # fmt: skip
    def done(
        self, data: st.DataObject, again_s: float | None, priority: P | None, rest_s: float,
        cost: float,
    ) -> None:  # fmt: skip
        key = self.some_running(data)
        if key is None:
            return
        if priority is P.OPERATOR or (priority is None and self.models[key].ran is P.OPERATOR):
            again_s = None if again_s is None else 0.0
        self.queue.done(key, self.now, again_s=again_s, priority=priority, rest_s=rest_s, cost=cost)
        model = self.models[key]
        model.end(self.now + rest_s)
        if again_s is not None:
            model.want(self.now + again_s, model.ran if priority is None else priority)

    @stateful.rule(data=st.data(), retry_s=SOON_S, floor_s=SOON_S)
    def failed(self, data: st.DataObject, retry_s: float, floor_s: float) -> None:
        key = self.some_running(data)
        if key is None:
            return
        self.queue.failed(key, self.now, retry_s=retry_s, floor_s=floor_s)
        model = self.models[key]
        model.end(self.now + floor_s)
        model.want(self.now + retry_s, min(model.ran, P.RETRY))

    @stateful.rule(data=st.data(), floor_s=SOON_S)
    def stall(self, data: st.DataObject, floor_s: float) -> None:
        key = self.some_running(data)
        if key is None:
            return
        self.queue.stalled(key, self.now, floor_s=floor_s)
        model = self.models[key]
        model.end(self.now + floor_s)
        if not any(priority >= P.DEPENDENCY for _, priority in model.wants):
            model.stalled, model.wants = True, []
            model.added.clear()

    @stateful.rule(tenant=st.sampled_from("ab"))
    def forget(self, tenant: str) -> None:
        running = self.queue.forget(lambda key: key.tenant == tenant)
        assert sorted(running) == sorted(
            k for k, m in self.models.items() if m.running and k.tenant == tenant
        )
        for key, model in self.models.items():
            if key.tenant == tenant:
                self.models[key] = Model(running=model.running, ran=model.ran)

    @stateful.invariant()
    def it_counts_right(self) -> None:
        counts = self.queue.counts(self.now)
        assert counts.running == sum(model.running for model in self.models.values())
        assert counts.stalled == sum(model.stalled for model in self.models.values())
        times = [at for m in self.models.values() for at, _ in m.wants if at > self.now]
        due = self.queue.next_at()
        if times and due is None:
            # What is ready anyway need not be woken by a time.
            assert all(m.due(self.now) or m.running for m in self.models.values() if m.wants)

    def teardown(self) -> None:
        """In the end every add has had its pass, and nothing is left behind."""
        for _ in range(10 * len(KEYS)):
            self.now += 100.0
            for key, model in self.models.items():
                if model.running:
                    self.queue.done(key, self.now)
                    model.end(self.now)
            while (taken := self.queue.take(self.now)) is not None:
                model = self.models[taken.key]
                model.running = True
                model.wants.clear()
                model.added.clear()
        assert not any(model.added for model in self.models.values())
        stalled = sum(model.stalled for model in self.models.values())
        assert len(self.queue) == stalled
        assert len(self.queue._tenants) <= stalled
        assert not any(self.queue._rings)
        assert not any(self.queue._ages)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
