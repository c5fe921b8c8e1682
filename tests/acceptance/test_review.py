"""What an operator of automatic healing would be woken for: nothing is lost, nothing runs hot."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios import app_compositions
from helios.eventlog import envelope
from helios.kernel import errors
from helios.reconcile.compositions import events, guard_events, model, ports, reading, wakes
from helios.testing import stack_bench

S = stack_bench.S
CLIENT, STACK = stack_bench.CLIENT, stack_bench.STACK
PAGE = "resource/page"
ORDERS = "resource/orders"
HOOK = "integration/cms-webhook"
ASKED = stack_bench.POLICY.replace(
    "[cms_provider_change, data_deletion, resource_replacement]", "[webhook_broken]"
).replace(
    "[provider_missing, webhook_broken, resource_unhealthy, content_differs]",
    "[provider_missing]",
)
Story = Callable[[stack_bench.Bench], Awaitable[None]]


def live(folder: Path, story: Story, policy: str = stack_bench.POLICY) -> None:
    async def main() -> None:
        async with stack_bench.World(folder).life() as bench:
            await bench.declare()
            await bench.set_policy(policy)
            await bench.run(20)
            await story(bench)

    asyncio.run(main())


async def until(bench: stack_bench.Bench, state: str, component: str) -> model.Drift:
    """Passes until a drift is in this state."""
    for _ in range(40):
        found = (await bench.drifts()).get(component)
        if found is not None and found.state == state:
            return found
        await bench.run(5)
    raise AssertionError(f"never {state}: {(await bench.drifts()).get(component)}")


def test_what_woke_a_stack_is_not_forgotten_because_the_view_was_behind(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        known = wakes.Wakes()
        bench.passes._learns = known
        waited: list[envelope.Position] = []
        behind = [True]

        async def wait_for(name: str, position: envelope.Position, _: float) -> object:
            waited.append(position)
            if behind.pop() if behind else False:
                raise errors.DeadlineError("the view is behind")
            return await bench.views.wait_for(name, position)

        bench.passes._around = msgspec.structs.replace(
            bench.around(bench.reality), wait_for=wait_for
        )
        await bench.request()
        [asked] = await bench.said(events.RECONCILIATION_REQUESTED)
        list(known.woken([asked]))
        with pytest.raises(errors.DeadlineError):
            await bench.pass_()
        await bench.pass_()
        assert waited == [asked.position, asked.position]

    live(tmp_path, story)


def test_a_failed_heal_that_cannot_be_planned_again_does_not_keep_the_process_busy(
    tmp_path: Path,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        place = (CLIENT, STACK, HOOK)
        bench.reality.refusals[place] = [ports.HealError("unreachable", "gone") for _ in range(9)]
        bench.reality.vanish(*place)
        await until(bench, "failed", HOOK)
        with bench.reality.away(place):
            assert await bench.run(1_800) < 40

    live(tmp_path, story)


def test_who_heals_by_hand_what_nobody_agreed_to_in_time_is_asked_anew(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(CLIENT, STACK, HOOK)
        await until(bench, "awaiting_approval", HOOK)
        first = (await bench.known()).approval
        assert first is not None
        bench.clock.time = first.expires_at + S
        await bench.pass_()
        assert (await bench.drifts())[HOOK].state == "escalated"
        await bench.request()
        passes = await bench.run(120)
        second = (await bench.known()).approval
        assert second is not None
        assert second.status == "pending"
        assert second.approval_id != first.approval_id
        assert passes < 10

    live(tmp_path, story, ASKED)


def test_what_was_refused_once_is_healed_when_it_is_asked_for_and_agreed_to(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(CLIENT, STACK, HOOK)
        await until(bench, "awaiting_approval", HOOK)
        await bench.approve(granted=False)
        await bench.run(60)
        assert (await bench.drifts())[HOOK].state == "acknowledged"
        await bench.request()
        await bench.run(30)
        await bench.approve()
        await bench.run(60)
        assert not await bench.drifts()

    live(tmp_path, story, ASKED)


def test_a_look_that_breaks_is_an_error_of_the_stack_and_backs_off(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        async def broken(look: ports.Look) -> Any:
            raise ZeroDivisionError("token=hunter2")

        bench.reality.observe = broken  # type: ignore[method-assign]
        for _ in range(3):
            with contextlib.suppress(ZeroDivisionError):
                await bench.pass_()
            await bench.settled()
        state = await bench.known()
        assert state.status == "error"
        assert state.failures == 3
        assert "hunter2" not in state.error

    live(tmp_path, story)


def test_a_version_that_is_declared_again_is_not_rolled_back_to_itself(tmp_path: Path) -> None:
    policy = stack_bench.POLICY + "  rollback_on_failure: true\n"

    async def story(bench: stack_bench.Bench) -> None:
        place = (CLIENT, STACK, HOOK)
        bench.reality.refusals[place] = [ports.HealError("refused", "no") for _ in range(9)]
        bench.reality.vanish(*place)
        other = stack_bench.DECLARED.replace("min_count: 1", "min_count: 2")
        await bench.declare(other)
        await bench.declare()
        await bench.run(3_600)
        assert (await bench.drifts())[HOOK].state == "escalated"
        assert (await bench.known()).failures == 0

    live(tmp_path, story, policy)


def test_an_age_that_grows_does_not_take_the_plan_from_who_decides(tmp_path: Path) -> None:
    declared = stack_bench.DECLARED.replace("{{min_count: 1}}", "{{max_age: 1h}}")
    policy = ASKED.replace("[webhook_broken]", "[content_stale]")
    article = "content/article"

    async def story(bench: stack_bench.Bench) -> None:
        await bench.declare(declared)
        bench.reality.change(CLIENT, STACK, article, age_s=7_200, differs=3)
        await until(bench, "awaiting_approval", article)
        for passed in range(1, 6):
            bench.reality.change(CLIENT, STACK, article, age_s=7_200 + 60 * passed)
            bench.clock.time += 60 * S
            await bench.pass_()
        assert len(await bench.said(events.APPROVAL_REQUESTED)) == 1

    live(tmp_path, story, policy)


def test_nothing_is_read_of_other_stacks_while_nothing_is_about_to_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    async def drifted_since(*_: Any) -> list[Any]:
        read.append(1)
        return []

    async def story(bench: stack_bench.Bench) -> None:
        monkeypatch.setattr(reading, "drifted_since", drifted_since)
        bench.reality.vanish(CLIENT, STACK, HOOK)
        await until(bench, "awaiting_approval", HOOK)
        await bench.run(900)
        assert not read
        await bench.approve()
        await bench.run(60)
        assert len(read) == 1

    live(tmp_path, story, ASKED)


def test_a_breaker_that_time_has_moved_does_not_forget_who_goes_through_it(
    tmp_path: Path,
) -> None:
    scope = "component:shop/resource/page"

    async def story(bench: stack_bench.Bench) -> None:
        async def moved(state: Any, **fields: Any) -> None:
            now = bench.clock.now()
            said = guard_events.BreakerMoved(scope=scope, state=state, reason="failures", **fields)
            kinds = {
                "open": guard_events.BREAKER_OPENED,
                "half_open": guard_events.BREAKER_HALF_OPENED,
            }
            event = guard_events.of_guard(
                kinds[state], CLIENT, scope, said, now=now, id_source=bench.ids
            )
            await bench.log.append([event])

        await moved("open", half_open_at=bench.clock.now() + S, cooldown_s=1.0)
        await bench.settled()
        stale = await reading.all_guards(bench.store)
        bench.clock.time += 2 * S
        await moved("half_open", probe="action-1")
        await bench.settled()

        async def behind(_: Any) -> Any:
            return stale

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "all_guards", behind)
            await app_compositions._move_breakers(bench.around(bench.reality))
        await bench.settled()
        found = (await reading.guards_of(bench.store, CLIENT)).breakers[scope]
        assert found.probe == "action-1"

    live(tmp_path, story)


@pytest.mark.parametrize("error", [None, ports.HealError("refused", "no")])
def test_what_came_of_an_action_is_kept_though_somebody_spoke_meanwhile(
    tmp_path: Path, error: ports.HealError | None
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        act = bench.reality.act

        async def spoken(job: ports.Job) -> ports.Acted:
            if not bench.reality.calls:
                await bench.request(heal=False)
            return await act(job)

        bench.reality.act = spoken  # type: ignore[method-assign]
        if error is not None:
            bench.reality.refusals[CLIENT, STACK, HOOK] = [error]
        bench.reality.vanish(CLIENT, STACK, HOOK)
        for _ in range(30):
            await bench.run(2)
            if (await bench.known()).heals:
                break
        heal = (await bench.known()).heals[0]
        if error is None:
            assert heal.undo is not None
        else:
            assert (heal.status, heal.error_code) == ("failed", "refused")

    live(tmp_path, story)
