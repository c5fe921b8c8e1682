"""The repairer on the runtime: when it is looked at again, and what wakes it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from helios.reconcile.runtime import keys, ports, runtime, waking
from helios.reconcile.streams import repairer
from helios.testing.repair_bench import Place, S, World

Story = Callable[[World], Awaitable[None]]


def play(tmp_path: Path, story: Story) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await story(World(tmp_path))

    asyncio.run(main())


def test_it_is_looked_at_again_soon_while_something_waits_for_its_time(tmp_path: Path) -> None:
    why = ports.Reason(priority=keys.Priority.EVENT)

    async def again_s(place: Place) -> float | None:
        return (await place.repairer.reconcile(repairer.KEY, why)).requeue_after_s

    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            assert await again_s(place) == repairer.LOOK_S
            await place.partial("k1")
            assert await again_s(place) == repairer.INTERVAL_S
            world.clock.time += 60 * S
            await again_s(place)
            assert await place.told() == [("k1", 1)]
            await again_s(place)
            assert await again_s(place) == repairer.LOOK_S

    play(tmp_path, story)


def test_the_runtime_takes_the_steps_as_events_come(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare(on_missing="{after: 0s}")
            made = runtime.Runtime(clock=world.clock, random=random.Random(1).random)
            made.register(repairer.FAMILY, place.repairer, options=repairer.OPTIONS)
            wakes = waking.Waking(place.log, made.wake, clock=world.clock)
            wakes.follow(repairer.woken)
            tasks = [asyncio.create_task(each) for each in (made.run(), wakes.run())]
            await place.append(place.order("k1"))
            world.clock.time += 11 * S
            await place.settled()
            await place.ticker.tick_if_due()
            await place.settled()
            while await place.told() != [("k1", 1)]:
                world.clock.time += S
                await asyncio.sleep(0.002)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    play(tmp_path, story)
