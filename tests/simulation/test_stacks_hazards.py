"""Single hazards of stacks that random worlds meet rarely."""

import asyncio
from collections.abc import Sequence

from helios.eventlog import envelope, ports
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events
from helios.testing import stack_sim, stack_sim_ports, stack_sim_process, stack_sim_stories

HOOK = stack_sim_stories.HOOK


def begun(world: stack_sim.World) -> asyncio.Event:
    """Set at the moment when the log knows of a heal."""
    found, real = asyncio.Event(), world.storage.commit

    async def commit(
        requests: Sequence[ports.AppendRequest], recorded_at: clocks.Timestamp
    ) -> list[envelope.Appended | Exception]:
        done = await real(requests, recorded_at)
        if any(each.type == events.HEAL_STARTED for request in requests for each in request.events):
            found.set()
        return done

    world.storage.commit = commit  # type: ignore[method-assign]
    return found


def is_in(world: stack_sim.World, kind: str) -> bool:
    return any(each.type == kind for each in world.storage._events)


def owner(world: stack_sim.World) -> stack_sim_process.Life:
    """The process that wrote last."""
    for event in reversed(world.storage._events):
        for process in world.processes:
            if process.life is not None and world.makers.get(event.id) == process.life.owner:
                return process.life
    raise AssertionError("nobody has written")


def test_who_stood_still_before_a_write_does_not_write_what_others_have_written() -> None:
    async def story(world: stack_sim.World) -> None:
        await stack_sim_stories.began(world, "shop")
        is_begun = begun(world)
        stack_sim_stories.strike(world, "shop", "webhook switched off")
        await is_begun.wait()
        await owner(world).pause(200.0)

    for seed in range(4):
        faults = stack_sim_ports.Faults(processes=2)
        result = stack_sim.run(seed, story, faults=faults)
        assert result.violation is None, result.violation
        assert result.writes == 1


def test_what_somebody_has_said_is_seen_though_the_view_is_behind_for_long() -> None:
    async def story(world: stack_sim.World) -> None:
        await stack_sim_stories.began(world, "shop", policy=stack_sim_stories.ASKING)
        stack_sim_stories.strike(world, "shop", "webhook deleted")
        await world.until("shop", lambda state: state.approval is not None)
        await world.sleep(20)
        real = world.store.commit
        begun = world.loop.time()

        async def slow(*given: object) -> object:
            # The view is behind for longer than a pass waits for it.
            await asyncio.sleep(max(0.0, begun + 4.0 - world.loop.time()))
            return await real(*given)  # type: ignore[arg-type]

        world.store.commit = slow  # type: ignore[assignment, method-assign]
        await world.operate()
        await world.sleep(15)
        # Not at the next turn of the schedule, which is minutes away.
        assert is_in(world, events.HEAL_STARTED), "nobody saw that it was agreed to"

    for seed in range(6):
        result = stack_sim.run(seed, story, faults=stack_sim_ports.Faults())
        assert result.violation is None, result.violation


def test_a_write_leaves_alone_what_belongs_to_others_beside_it() -> None:
    policy = stack_sim_stories.POLICY + (
        "  ownership:\n"
        "    - {{component: resource/orders, path: /tags/scale, manager: autoscaler, "
        "mode: yield}}\n"
    )

    async def story(world: stack_sim.World) -> None:
        await stack_sim_stories.began(world, "shop", policy=policy)
        place = world.place("shop", stack_sim_stories.QUEUE)
        world.outside.others[place] = frozenset({("tags", "scale")})
        world.outside.change(place, tags={"owner": "nobody", "scale": "7"})
        await world.until("shop", lambda state: not state.drifts and bool(state.heals))
        value = world.outside.value(place)
        assert value is not None
        assert value["tags"] == {"owner": "shop", "scale": "7"}

    result = stack_sim.run(1, story, faults=stack_sim_ports.Faults())
    assert result.violation is None, result.violation
