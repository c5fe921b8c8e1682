"""Part 4.10 of the checklist: the policy document. What is read of it is tested beside its reader;
here is what its thresholds do.
"""

import asyncio
import contextlib
from pathlib import Path

from helios.heal.notices import schedule
from helios.reconcile.compositions import model
from helios.testing import answering, notices_bench


def taken(_: answering.Request) -> answering.Response:
    return answering.Response(value={"ok": True})


def test_k_04_a_threshold_keeps_back_what_is_below_it_and_nothing_else(tmp_path: Path) -> None:
    async def main() -> None:
        servers = {severity: answering.Server(taken) for severity in model.SEVERITIES}
        world = notices_bench.World(tmp_path)
        async with answering.calling() as client:
            with contextlib.ExitStack() as stack:
                for each in servers.values():
                    stack.enter_context(each)
                async with world.life(world.senders(client)) as bench:
                    channels = ", ".join(
                        f"{{type: slack, name: {name}, webhook_url: '{each.url}/{name}', "
                        f"severity_threshold: {name}}}"
                        for name, each in servers.items()
                    )
                    await bench.set_policy(f"[{channels}]")
                    for severity in model.SEVERITIES:
                        await bench.drift(severity=severity, component=f"resource/{severity}")
                    await bench.passes(schedule.WINDOW_S + 60)
        for place, (name, server) in enumerate(servers.items()):
            said = " ".join(each.body.decode() for each in server.asked)
            told = [each for each in model.SEVERITIES if f"resource/{each}" in said]
            assert told == list(model.SEVERITIES[place:]), name

    asyncio.run(main())
