"""Runs reconcilers: wake a key, and a pass over it begins soon after.

One runtime for all families of a process. Nothing is remembered here that cannot be found again:
after a crash every key is looked at by the resync, and what was on its way is seen in the state.
"""

import asyncio
from collections.abc import Callable

from helios.kernel import clock as clocks
from helios.reconcile.runtime import backoff, keys, lane, ports


class Runtime:
    """See the module's docstring.

    Args:
        clock: whose time passes.
        random: uniform in [0, 1), for the jitter of backoffs.
        told: hears of every pass that ended.
    """

    def __init__(
        self,
        *,
        clock: clocks.Clock,
        random: backoff.Random,
        told: lane.Told = lambda _: None,
    ) -> None:
        self._around = lane.Around(clock=clock, random=random, told=told)
        self._lanes: dict[str, lane.Lane] = {}
        self._running = False

    def register(
        self,
        family: str,
        reconciler: ports.Reconciler,
        *,
        workers: int | None = None,
        tenant_max: int | None = None,
        options: lane.Options | None = None,
    ) -> None:
        """Have keys of a family looked at; before `run`.

        Args:
            family: the keys' family; nobody has registered it before.
            reconciler: looks at them.
            workers: passes at the same time; None: as `options` say, 16.
            tenant_max: of these, of one tenant; None: as `options` say, 4.
            options: everything else.
        """
        assert not self._running, "registered too late"
        assert family not in self._lanes, family
        found = lane.Options() if options is None else options
        self._lanes[family] = lane.Lane(
            family,
            reconciler,
            lane.options(found, workers=workers, tenant_max=tenant_max),
            self._around,
        )

    @property
    def families(self) -> tuple[str, ...]:
        """Those registered."""
        return tuple(self._lanes)

    def wake(self, key: keys.Key, priority: keys.Priority, *, after_s: float = 0.0) -> None:
        """Have a pass made over a key that starts after now; never blocks.

        A key that another process looks at is left to that one, which hears of events by itself.

        Args:
            key: of a registered family (KeyError otherwise).
            priority: why.
            after_s: not before so many seconds have passed, unless something else wakes it.
        """
        self._lanes[key.family].wake(key, priority, after_s)

    async def revoke(
        self, family: str, test: Callable[[keys.Key], bool], *, within_s: float = 0.0
    ) -> None:
        """Let go of the keys of which `test` holds, which its owner has given up before.

        They leave the queue at once. Passes under way may end `within_s`, and are cancelled then.
        Returns when they have ended, or would not.
        """
        await self._lanes[family].revoke(test, within_s=within_s)

    def stats(self) -> dict[str, lane.Stats]:
        """How each family is doing."""
        return {family: each.stats() for family, each in self._lanes.items()}

    async def run(self) -> None:
        """Make passes until cancelled; those under way then end, or are cancelled, in 4 s.

        Raises:
            StorageFailedError: a pass found that the process must stop.
        """
        self._running = True
        tasks = [
            asyncio.get_running_loop().create_task(each.run(), name=f"reconcile-{family}-lane")
            for family, each in self._lanes.items()
        ]
        try:
            if not tasks:
                await asyncio.get_running_loop().create_future()
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._running = False
