"""From when on a source is asked for what its broken webhook did not bring."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from helios import app
from helios.eventlog import envelope
from helios.heal import attempts, catching_up, rereading
from helios.ingest import directory, sources
from helios.kernel import clock as clocks
from helios.kernel import settings as config
from helios.projections.views import event_mirror
from helios.reconcile.compositions import composition, model, ports

HOUR = 3600 * clocks.SECOND_US
INTEGRATION = composition.Integration(name="hook", provider="cms", events=("publish", "delete"))


class World:
    def __init__(self, parts: app.Parts) -> None:
        self.parts = parts
        self.now = parts.clock.now()
        declared = sources.Declared(name="cms", provider="strapi")
        self.found = directory.Found(
            declared=declared, kind=cast("Any", None), source=cast("Any", None)
        )
        self.good: clocks.Timestamp | None = None

    async def event(self, event_type: str, hours_ago: float, *, polled: bool = False) -> None:
        at = clocks.Timestamp(self.now - round(hours_ago * HOUR))
        event = envelope.NewEvent(
            id=self.parts.ids.new(),
            source="cms",
            type=event_type,
            occurred_at=at,
            aggregate_type="article",
            aggregate_id="1",
            metadata=b'{"polled":true}' if polled else b"{}",
        )
        appended = await self.parts.log.append([event])
        await self.parts.views.wait_for(event_mirror.NAME, appended.position)

    async def hours(self, **params: Any) -> float:
        """How many hours ago asking begins, without the time to spare."""

        async def last_good(_: ports.Job) -> clocks.Timestamp | None:
            return self.good

        made = catching_up.CatchingUp(
            self.parts.ingestion.runners,
            cast("rereading.Rereader", None),
            log=self.parts.log,
            store=self.parts.store,
            clock=self.parts.clock,
            last_good=last_good,
        )
        action = model.Action(
            id="a", kind="update_webhook", target="integration/hook", params=params
        )
        stack = composition.Composition(stack_id="shop", integrations=(INTEGRATION,))
        job = ports.Job(action=action, stack=stack, actor="service:test")
        attempt = attempts.Attempt(job, self.parts.ingestion.vault, self.parts.clock)
        since = await made.since(attempt, self.found, INTEGRATION)
        return round((self.now - since - catching_up.SPARE_US) / HOUR, 2)


def run(folder: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        settings = config.Settings(data_dir=folder)
        async with app.opened(settings, briefly=True) as parts, app.kept(parts):
            await scene(World(parts))

    asyncio.run(main())


def test_it_begins_with_the_last_event_that_a_webhook_brought(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        await made.event("publish", 5)
        await made.event("publish", 3)
        await made.event("publish", 1, polled=True)
        assert await made.hours(set={"enabled": True}) == 3.0

    run(tmp_path, scene)


def test_where_only_some_events_were_told_it_begins_with_the_last_of_the_others(
    tmp_path: Path,
) -> None:
    async def scene(made: World) -> None:
        await made.event("delete", 5)
        await made.event("publish", 1)
        params = {"set": {"events": ["delete", "publish"]}, "was": {"events": ["publish"]}}
        assert await made.hours(**params) == 5.0

    run(tmp_path, scene)


def test_it_begins_no_later_than_when_all_was_seen_to_be_well(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        await made.event("publish", 1)
        made.good = clocks.Timestamp(made.now - 2 * HOUR)
        assert await made.hours(set={"enabled": True}) == 2.0

    run(tmp_path, scene)


def test_where_nothing_ever_arrived_it_looks_a_week_back(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        await made.event("publish", 1, polled=True)
        week = catching_up.LOOK_BACK_US / HOUR
        spare = catching_up.SPARE_US / HOUR
        assert abs(await made.hours(set={"enabled": True}) - (week - spare)) < 0.1

    run(tmp_path, scene)
