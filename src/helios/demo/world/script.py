"""Plays the world: breaks things when it is their time, mends some, and reads what Helios says."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

from helios import client as clients
from helios.api import stack_asks
from helios.demo.world import faults, ledger, running
from helios.kernel import clock as clocks
from helios.kernel import errors

STEP_S = 0.1
LOOK_S = 1.0
EDIT_S = 9.0
"""Between two articles that authors publish."""

SELL_S = 6.0
FLIP_S = 12.0
BUILT_S = 6.0
"""After an edit the site is built anew, which would mend a page that is broken meanwhile."""

NUDGED_S = 45.0
"""Within this time after the start each fault has its stack looked at: turns begin only later."""

ON_CALL = "on-call"
"""Who agrees to what is theirs: a service with a token that may approve for one client."""

TOKEN_S = 24 * 3600.0
_PAGE = 100


class Script:
    """One run.

    Args:
        world: what is played with.
        helios: the server.
        on_call: the server, as the one who agrees speaks to it.
        clock: whose time passes.
        seed: of what is drawn.
        began: since when there is something to be told; before, the data may be of another demo.
    """

    def __init__(
        self,
        world: running.Running,
        helios: clients.Client,
        on_call: clients.Client,
        *,
        clock: clocks.Clock,
        seed: int,
        began: clocks.Timestamp,
    ) -> None:
        self.ledger = ledger.Ledger()
        self._world = world
        self._helios = helios
        self._on_call = on_call
        self._clock = clock
        self._rng = random.Random(seed)  # noqa: S311 - a play, no secret
        self._schedule = faults.Schedule(self._rng)
        self._start = clock.now()
        self._began_s = (began - self._start) / clocks.SECOND_US
        self._edit_s, self._sell_s, self._flip_s = EDIT_S, SELL_S, 2.0
        self._edited_s = 0.0
        self._held: list[faults.Fault] = []
        self._is_closing = self._is_opened = False

    @property
    def now_s(self) -> float:
        """Seconds since the beginning."""
        return (self._clock.now() - self._start) / clocks.SECOND_US

    def close(self) -> None:
        """Nothing more goes wrong; what is wrong is followed to its end."""
        self._is_closing = True

    @property
    def is_open(self) -> bool:
        """Something is still to come to its end."""
        return bool(self.ledger.unsettled(self.now_s))

    def standing(self) -> ledger.Standing:
        """How it stands."""
        return self.ledger.standing(self.now_s)

    async def run(self) -> None:
        """Play until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look())
            while True:
                await self._step()
                await self._clock.sleep(STEP_S)

    async def _step(self) -> None:
        now_s = self.now_s
        self._mend(now_s)
        if self._is_closing and self._is_opened:
            return
        # Something was wrong before it could be told to close.
        self._is_opened = True
        self._live(now_s)
        due = self._schedule.due(now_s, open_stacks=self.ledger.open_stacks())
        asked = self._schedule.asked(now_s, waiting=self.ledger.waiting())
        wanted = [*self._held, *due, *([asked] if asked is not None else [])]
        is_building = now_s < self._edited_s + BUILT_S
        self._held = [each for each in wanted if is_building and each.kind == "page broken"]
        broken = [each for each in wanted if each not in self._held]
        for fault in broken:
            self._world.break_(fault)
            was_so = fault is faults.CONTENT_STALE
            self.ledger.put_in(fault, self._began_s if was_so else now_s)
        if now_s < NUDGED_S:
            for stack_id in {fault.stack for fault in broken}:
                with contextlib.suppress(errors.HeliosError):
                    await self._helios.trigger_reconciliation(
                        running.CLIENT, stack_id, reason="an alert of the monitoring"
                    )

    def _live(self, now_s: float) -> None:
        """What goes on when nothing is wrong."""
        if now_s >= self._edit_s:
            self._edit_s = now_s + EDIT_S * self._rng.uniform(0.7, 1.3)
            # Who edits while a webhook is broken tells nobody: that is a fault of its own.
            if faults.STOREFRONT not in self.ledger.open_stacks() and not self._held:
                self._edited_s = now_s
                self._world.edit(faults.STOREFRONT)
        if now_s >= self._sell_s:
            self._sell_s = now_s + SELL_S * self._rng.uniform(0.7, 1.3)
            number = self._rng.choice(self._world.shop.products)
            if faults.STOREFRONT not in self.ledger.open_stacks():
                self._world.sell(number, self._rng.randint(0, 60))
        if now_s >= self._flip_s:
            self._flip_s = now_s + FLIP_S
            self._world.flip()
            self.ledger.noise += 2

    def _mend(self, now_s: float) -> None:
        for entry in self.ledger.entries:
            lasts_s = entry.fault.lasts_s
            if lasts_s is None or entry.is_mended:
                continue
            if now_s >= entry.at_s + lasts_s or (self._is_closing and entry.found):
                entry.is_mended = True
                self._world.mend(entry.fault)

    # -- looking --------------------------------------------------------------------------------

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(errors.HeliosError):
                drifts = [d for stack in faults.STACKS for d in await self._drifts(stack)]
                heals = [h for stack in faults.STACKS for h in await self._heals(stack)]
                self.ledger.compare(drifts, heals)
                await self._agree()
            await self._clock.sleep(LOOK_S)

    async def _drifts(self, stack_id: str) -> list[ledger.Drift]:
        found = await self._helios.drifts(running.CLIENT, stack_id, limit=_PAGE)
        return [
            ledger.Drift(
                drift_id=each.drift_id,
                occurrence=each.occurrence,
                stack=stack_id,
                component=each.component,
                path=each.path,
                cause=each.cause,
                state=each.state,
                at_s=self._since(each.detected_at),
                is_confirmed=each.confirmed_at is not None,
                is_old=self._since(each.detected_at) < self._began_s,
            )
            for each in found.drifts
            if each.closed_at is None or self._since(each.closed_at) >= self._began_s
        ]

    async def _heals(self, stack_id: str) -> list[ledger.Heal]:
        found = await self._helios.history(running.CLIENT, stack_id, limit=_PAGE)
        return [
            ledger.Heal(
                stack=stack_id,
                status=each.status,
                drift_ids=tuple(each.drift_ids),
                at_s=self._since(each.started_at),
            )
            for each in found.heals
        ]

    async def _agree(self) -> None:
        """On-call agrees to the one approval that is theirs, once they have looked at it."""
        stack, component, _ = faults.AGREED.drift
        if not any(e.fault is faults.AGREED and e.waiting for e in self.ledger.entries):
            return
        pending = await self._on_call.approvals(
            client_id=running.CLIENT, status="pending", limit=_PAGE
        )
        for each in pending.approvals:
            targets = {action.target for action in each.shown.actions}
            is_theirs = each.stack_id == stack and targets == {component}
            if not is_theirs or self.now_s - self._since(each.requested_at) < faults.AGREES_AFTER_S:
                continue
            answer = stack_asks.Answer(
                digest=each.digest, reason="the switch was flipped by mistake", roles=[ON_CALL]
            )
            await self._on_call.answer_approval(
                each.approval_id, answer, approve=True, client_id=running.CLIENT
            )

    def _since(self, at: str) -> float:
        return (clocks.parse_rfc3339(at) - self._start) / clocks.SECOND_US


@contextlib.asynccontextmanager
async def played(
    root: Path, helios: clients.Client, *, clock: clocks.Clock, seed: int
) -> AsyncIterator[Script]:
    """A world that is served, declared and played while the block runs."""
    began = clock.now()
    async with running.served(root, helios, clock=clock) as world, _approver(helios) as on_call:
        script = Script(world, helios, on_call, clock=clock, seed=seed, began=began)
        playing = asyncio.ensure_future(script.run())
        try:
            yield script
        finally:
            playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing


@contextlib.asynccontextmanager
async def _approver(helios: clients.Client) -> AsyncIterator[clients.Client]:
    """A client that may approve and no more; where nobody has to say who they are, the same one."""
    grants = [{"role": "approver", "tenant": running.CLIENT}]
    try:
        issued = await helios.issue_token(ON_CALL, grants, expires_in_s=TOKEN_S)
    except errors.NotFoundError:
        yield helios
        return
    async with clients.Client(helios.url, token=issued.secret) as made:
        yield made
