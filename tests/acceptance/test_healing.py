"""What healing does beyond its numbered scenarios."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    asking,
    events,
    model,
    refusals,
)
from helios.testing import stack_bench

S = clocks.SECOND_US
HOOK = "integration/cms-webhook"
QUEUE = "resource/orders"
ACME = (stack_bench.CLIENT, stack_bench.STACK)
HOUR = 3600.0

Story = Callable[[stack_bench.Bench], Awaitable[None]]


def lived(folder: Path, story: Story) -> None:
    """A story in one life of the process, with a stack and a policy that heals."""

    async def main() -> None:
        async with stack_bench.World(folder).life() as bench:
            await bench.declare()
            await bench.set_policy()
            await bench.run(20)
            await story(bench)

    asyncio.run(main())


async def is_healthy(bench: stack_bench.Bench) -> None:
    state = await bench.known()
    assert (state.status, dict(state.drifts)) == ("healthy", {}), state
    assert state.expected_hash == state.observed_hash


def test_a_plan_that_somebody_only_looks_at_does_not_hold_up_healing(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        await bench.pass_()
        desk = asking.Asking(bench.around(bench.reality))
        await bench.set_policy(stack_bench.POLICY.replace("enabled: true", "enabled: false"))
        await bench.run(30)
        shown = await desk.plan(*ACME, actor="user:ada", store=True)
        assert shown is not None
        await bench.run(HOUR / 6)
        assert bench.reality.calls == []
        await bench.set_policy()
        await bench.run(60)
        assert len(bench.reality.writes) == 1
        await is_healthy(bench)

    lived(tmp_path, story)


def test_a_plan_of_somebodys_own_is_carried_out_when_it_is_ordered(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        await bench.set_policy(stack_bench.POLICY.replace("enabled: true", "enabled: false"))
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.vanish(*ACME, QUEUE)
        await bench.run(30)
        desk = asking.Asking(bench.around(bench.reality))
        shown = await desk.plan(*ACME, only={HOOK}, actor="user:ada", store=True)
        assert shown is not None
        assert [action.target for action in shown.actions] == [HOOK]
        await bench.settled()
        await desk.order(*ACME, shown.plan_id, actor="user:ada")
        await bench.settled()
        await bench.run(60)
        assert [write[0][2] for write in bench.reality.writes] == [HOOK]
        assert [heal.actor for heal in (await bench.known()).heals] == ["user:ada"]
        with pytest.raises(refusals.PlanStaleError):
            await desk.order(*ACME, shown.plan_id, actor="user:ada")

    lived(tmp_path, story)


def test_what_nothing_can_mend_is_not_planned_for_anybody(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.change(*ACME, "resource/page", healthy=False)
        await bench.run(30)
        (drift,) = (await bench.known()).drifts.values()
        assert (drift.state, drift.healable) == ("confirmed", False)
        desk = asking.Asking(bench.around(bench.reality))
        assert await desk.plan(*ACME, actor="user:ada", store=True) is None
        await bench.request()
        await bench.run(60)
        assert bench.reality.calls == []

    lived(tmp_path, story)


def test_every_state_that_a_drift_can_close_in_is_closed() -> None:
    assert {"healed", "resolved_externally", "superseded", "false_positive"} == model.CLOSED


def test_planning_anew_what_was_agreed_to_loses_no_agreement(tmp_path: Path) -> None:
    asks = stack_bench.POLICY.replace("data_deletion,", "data_deletion, webhook_broken,")

    async def story(bench: stack_bench.Bench) -> None:
        await bench.set_policy(asks)
        pause = events.Suspended(mode="heal_only", reason="release")
        await bench.say(events.STACK_SUSPENDED, pause)
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(30)
        await bench.approve()
        desk = asking.Asking(bench.around(bench.reality))
        again = await desk.plan(*ACME, actor="user:bob", store=True)
        state = await bench.known()
        assert again is not None
        assert state.plan is not None
        assert again.plan_id == state.plan.plan_id
        assert state.approval is not None
        assert state.approval.status == "granted"
        await bench.say(events.STACK_RESUMED, events.Noted(reason="released"))
        await bench.run(60)
        assert len(bench.reality.writes) == 1

    lived(tmp_path, story)
