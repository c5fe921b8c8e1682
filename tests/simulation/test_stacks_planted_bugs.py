"""The simulation of stacks can fail: bugs planted one by one are found within few seeds.

Each is planted by changing a function of the product. Without a bug the same faults break nothing:
so it is the bug that is found.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from helios.reconcile.compositions import (
    acting,
    detecting,
    digests,
    healing,
    lifecycle,
    model,
    one_pass,
    passing,
    reading,
    telling,
    verifying,
    writer,
)
from helios.reconcile.runtime import ports, queue, shards
from helios.testing import stack_sim, stack_sim_ports, stack_sim_stories

SEEDS = 40
P = pytest.MonkeyPatch
Plant = Callable[[P], None]
_replace = msgspec.structs.replace


def verification_is_skipped(patch: P) -> None:
    def verify(*_: object) -> verifying.Verified:
        return verifying.Verified(outcome="succeeded", detail="it was answered as done")

    patch.setattr(verifying, "verify", verify)


def begun_is_told_after_the_act(patch: P) -> None:
    async def carry_out(
        hands: Any, pen: writer.Writer, action: model.Action, subject: acting.Subject
    ) -> acting.Result:
        seen, refused = await hands._looked(pen, action, subject)
        if refused is not None:
            return refused  # type: ignore[no-any-return]
        heal = hands._begun(pen, action, subject)
        acted = await hands._act(action, subject, seen, heal)
        done = _replace(heal, status="acted", acted_at=hands._clock.now())
        said = [telling.heal(pen.state, each, subject.run_id) for each in (heal, done)]
        await pen.say(said)
        return acting.Result(outcome="acted", settles_s=acted.settles_s)

    patch.setattr(acting.Hands, "carry_out", carry_out)


def nobody_looks_before_a_write(patch: P) -> None:
    async def looked(
        hands: Any, pen: object, action: model.Action, subject: acting.Subject
    ) -> tuple[object, None]:
        del hands, pen
        return subject.seen[action.target], None

    patch.setattr(acting.Hands, "_looked", looked)


def fences_are_not_expected(patch: P) -> None:
    patch.setattr(shards.ShardFence, "expected", lambda _: {})


def keys_do_not_count_attempts(patch: P) -> None:
    real = digests.attempt

    def attempt(uid: str, generation: int, drifts: Any, kind: str) -> str:
        return real(uid, generation, [_replace(each, attempts=0) for each in drifts], kind)

    patch.setattr(digests, "attempt", attempt)


def unknown_is_absent_and_one_look_is_enough(patch: P) -> None:
    look, confirmed = detecting._Work.look, lifecycle._Case._confirmed

    def as_absent(self: Any, component: Any, seen: model.Seen | None) -> None:
        if seen is not None and seen.state == "unknown":
            witness = model.Evidence(kind="direct_read", witness="probe", at=seen.as_of)
            seen = _replace(seen, state="absent", evidence=(witness,))
        look(self, component, seen)

    def at_once(self: Any, drift: model.Drift) -> model.Drift | None:
        return confirmed(self, drift) or _replace(drift, state="confirmed", confirmed_at=self._now)

    patch.setattr(detecting._Work, "look", as_absent)
    patch.setattr(lifecycle._Case, "_confirmed", at_once)


def what_a_breaker_holds_up_is_forgotten(patch: P) -> None:
    real = passing.Passes.reconcile
    forgotten: set[object] = set()

    async def reconcile(self: Any, key: Any, why: Any) -> Any:
        if key in forgotten:
            return ports.Result()
        result = await real(self, key, why)
        known = await reading.known(self._around.store, key.tenant, key.name)
        plan = None if known is None else known.state.plan
        if plan is not None and any(each.code == "breaker_open" for each in plan.blockers):
            forgotten.add(key)
        return result

    patch.setattr(passing.Passes, "reconcile", reconcile)


def agreements_outlive_what_was_seen(patch: P) -> None:
    real = digests.plan

    def plan(actions: Any, *, desired_hash: str, generation: int, observed_hash: str) -> str:
        del observed_hash
        bare = [_replace(each, precondition="") for each in actions]
        return real(bare, desired_hash=desired_hash, generation=generation, observed_hash="")

    patch.setattr(digests, "plan", plan)


def a_key_that_failed_is_never_looked_at_again(patch: P) -> None:
    real, dropped = queue.Queue.add, set[object]()

    def add(self: Any, key: Any, *args: Any, **named: Any) -> None:
        if (id(self), key) not in dropped:
            real(self, key, *args, **named)

    def failed(self: Any, key: Any, now: float, **_: object) -> None:
        del now
        dropped.add((id(self), key))
        self.dropped(key)

    patch.setattr(queue.Queue, "add", add)
    patch.setattr(queue.Queue, "failed", failed)


def a_heal_that_was_cut_off_is_repeated_at_once(patch: P) -> None:
    async def verify(self: Any, *_: object) -> None:
        for each in self._pen.state.open_heals():
            now = self._around.clock.now()
            ended = _replace(each, status="failed", ended_at=now, error_code="interrupted")
            await self._pen.say(telling.failed(self._pen.state, ended, now, self._run_id))

    patch.setattr(one_pass.Pass, "_verify", verify)


def approvals_are_not_asked_for(patch: P) -> None:
    patch.setattr(healing, "_is_agreed", lambda *_: True)


F = stack_sim_ports.Faults
PLANTED: dict[Plant, tuple[stack_sim_ports.Faults, set[str]]] = {
    verification_is_skipped: (F(deaf=0.4), {"heal_has_helped"}),
    begun_is_told_after_the_act: (F(), {"write_is_told_before"}),
    nobody_looks_before_a_write: (F(stale=1.0), {"no_false_heal"}),
    fences_are_not_expected: (F(processes=2, pause=0.9, slow=True), {"fence_holds"}),
    keys_do_not_count_attempts: (F(refuse=0.5), {"one_key_one_heal", "one_key_one_write"}),
    unknown_is_absent_and_one_look_is_enough: (F(unknown=0.2), {"no_false_heal", "drift_is_real"}),
    what_a_breaker_holds_up_is_forgotten: (F(refuse=0.8), {"convergence"}),
    agreements_outlive_what_was_seen: (F(), {"plan_holds"}),
    a_key_that_failed_is_never_looked_at_again: (F(full=0.2), {"convergence"}),
    a_heal_that_was_cut_off_is_repeated_at_once: (F(hang=0.3, settles_s=20.0), {"no_false_heal"}),
    approvals_are_not_asked_for: (F(), {"approval_is_needed"}),
}
"""Each with the faults that bring it out, and what it breaks."""

STORIES: dict[Plant, stack_sim.Story] = {
    nobody_looks_before_a_write: stack_sim_stories.mended_by_hand,
}
"""Where days as any do not bring it out."""


@pytest.mark.parametrize("plant", PLANTED, ids=lambda each: each.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: P) -> None:
    faults, broken = PLANTED[plant]
    monkeypatch.setattr(stack_sim, "REST_S", 2 * 3600.0)
    plant(monkeypatch)
    for seed in range(SEEDS):
        result = stack_sim.run(seed, STORIES.get(plant, stack_sim_stories.days), faults=faults)
        if result.violation is not None:
            assert result.violation.partition(":")[0] in broken, result.violation
            return
    pytest.fail(f"not found in {SEEDS} seeds")


def test_without_a_bug_the_same_faults_break_nothing() -> None:
    for seed, (faults, _) in enumerate(PLANTED.values()):
        result = stack_sim.run(seed, stack_sim_stories.days, faults=faults)
        assert result.violation is None, result.violation
