"""How messages get there: once, whatever fails, and not too many."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from helios.heal.notices import events as notice_events
from helios.heal.notices import schedule
from helios.reconcile.compositions import guard_events
from helios.testing import answering, notices_bench
from helios.testing import notices_people as people


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_place_that_two_stacks_share_is_told_of_the_kill_switch_once(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url, name="a"), stack_id="one")
            await bench.set_policy(people.slack(server.url, name="b"), stack_id="two")
            said = guard_events.KillSwitch(on=True, reason="a bad day")
            await bench.guard(guard_events.KILL_SWITCH_SET, "kill_switch", said)
            await bench.passes(1)
            (text,) = people.texts(server)
            assert "stopped by user:ada: a bad day" in text

    run(go())


def test_many_messages_become_a_summary(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            for number in range(40):
                await bench.set_policy(people.slack(server.url), stack_id=f"s{number:02}")
            for number in range(40):
                await bench.drift(stack_id=f"s{number:02}")
            await bench.passes(schedule.WINDOW_S)
            found = people.texts(server)
            assert len(found) == schedule.RATE_MESSAGES["slack"] + 1
            assert "news of 30 at once" in found[-1]
            assert "and 10 more" in server.asked[-1].body.decode()
            await bench.passes(300)
            assert len(server.asked) == len(found)

    run(go())


def test_who_asks_to_come_later_gets_the_same_message_later(tmp_path: Path) -> None:
    answers = [
        answering.Response(status=500),
        answering.Response(status=429, headers={"retry-after": "90"}),
        people.OK,
    ]

    async def go() -> None:
        server = answering.Server(lambda _: answers.pop(0))
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(f"[{{type: webhook, name: hook, url: '{server.url}'}}]")
            await bench.drift()
            await bench.passes(schedule.WINDOW_S)
            await bench.passes(schedule.PAUSES_S[0])
            assert len(server.asked) == 2
            await bench.passes(80)
            assert len(server.asked) == 2
            await bench.passes(11)
            assert len(server.asked) == 3
            assert len({r.headers["idempotency-key"] for r in server.asked}) == 1
            assert len({r.body for r in server.asked}) == 1
            failed = await bench.said(notice_events.FAILED)
            assert [each.attempt for each in failed] == [1, 2]
            (done,) = await bench.said(notice_events.DELIVERED)
            assert done.attempt == 3

    run(go())


def test_a_message_is_given_up_after_its_tries_and_that_is_said(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always(answering.Response(status=500)))
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url))
            await bench.drift()
            for _ in range(20):
                await bench.passes(7_201)
            assert len(server.asked) == len(schedule.PAUSES_S) + 1
            last = (await bench.said(notice_events.FAILED))[-1]
            assert last.next_at is None
            assert last.detail == "the other side answers 500"
            assert bench.told[-1] == ("slack", "abandoned")
            server._answers = people.always()
            await bench.healed()
            await bench.passes(60)
            assert len(server.asked) == len(schedule.PAUSES_S) + 1

    run(go())


def test_a_message_that_nobody_will_take_is_not_tried_again(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always(answering.Response(status=400)))
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url))
            await bench.drift()
            await bench.passes(60)
            await bench.passes(7_201)
            assert len(server.asked) == 1

    run(go())


def test_one_channel_that_fails_or_hangs_holds_up_no_other(tmp_path: Path) -> None:
    async def go() -> None:
        held = threading.Event()

        def hang(_: answering.Request) -> answering.Response:
            held.wait(30)
            return people.OK

        slow, broken, good = (
            answering.Server(hang),
            answering.Server(people.always(answering.Response(status=503))),
            answering.Server(people.always()),
        )
        async with people.telling(tmp_path, slow, broken, good) as (_, bench):
            channels = [
                f"{{type: webhook, name: n{n}, url: '{server.url}'}}"
                for n, server in enumerate((slow, broken, good))
            ]
            await bench.set_policy(f"[{', '.join(channels)}]")
            await bench.drift()
            bench.clock.time += int(schedule.WINDOW_S * notices_bench.S)
            await bench.notices.round()
            await people.until(lambda: good.asked and broken.asked)
            await bench.drift(path="/enabled")
            bench.clock.time += int(schedule.WINDOW_S * notices_bench.S)
            while len(good.asked) < 2:
                await bench.notices.round()
                await asyncio.sleep(0.001)
            assert len(slow.asked) == 1
            held.set()
            await bench.notices.settled()

    run(go())


def test_after_a_restart_nothing_is_told_twice_and_nothing_is_lost(tmp_path: Path) -> None:
    async def go() -> None:
        world = notices_bench.World(tmp_path)
        with answering.Server(people.always()) as server:
            async with answering.calling() as client:
                senders = world.senders(client)
                async with world.life(senders) as bench:
                    await bench.set_policy(people.slack(server.url))
                    await bench.drift()
                    await bench.passes(60)
                    await bench.drift(path="/enabled")
                async with world.life(senders) as bench:
                    await bench.passes(60)
                async with world.life(senders) as bench:
                    await bench.passes(600)
                    await bench.healed()
                    await bench.healed(path="/enabled")
                    await bench.passes(60)
        assert len(server.asked) == 3
        assert "all well again" in people.texts(server)[-1]

    run(go())


def test_a_crash_between_sending_and_saying_so_repeats_the_message_under_its_key(
    tmp_path: Path,
) -> None:
    async def go() -> None:
        world = notices_bench.World(tmp_path)
        with answering.Server(people.always()) as server:
            async with answering.calling() as client:
                senders = world.senders(client)
                async with world.life(senders) as bench:
                    await bench.set_policy(f"[{{type: webhook, name: hook, url: '{server.url}'}}]")
                    await bench.drift()
                    bench.clock.time += int(schedule.WINDOW_S * notices_bench.S)

                    async def die(*_: object, **__: object) -> None:
                        await asyncio.get_running_loop().create_future()

                    bench.notices._append = die  # type: ignore[method-assign, assignment]
                    await bench.notices.round()
                    await people.until(lambda: server.asked)
                    for task in bench.notices._running.values():
                        task.cancel()
                    await asyncio.wait(bench.notices._running.values())
                async with world.life(senders) as bench:
                    await bench.passes(60)
        first, second = server.asked
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
        assert first.body == second.body

    run(go())


def test_a_channel_declared_later_is_not_told_of_what_was_before(tmp_path: Path) -> None:
    async def go() -> None:
        old, new = answering.Server(people.always()), answering.Server(people.always())
        async with people.telling(tmp_path, old, new) as (_, bench):
            await bench.set_policy(people.slack(old.url))
            await bench.drift()
            await bench.set_policy(people.slack(new.url))
            await bench.passes(60)
            await bench.healed()
            await bench.passes(60)
            assert not old.asked
            assert not new.asked

    run(go())
