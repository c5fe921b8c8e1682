"""A CMS whose webhooks get lost, and the real poller and gate over a log, in virtual time."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from helios.eventlog import envelope, log
from helios.ingest import comparing, gateway, poller, polling, sources
from helios.ingest import gate as gates
from helios.kernel import clock as clocks
from helios.kernel import ids, secret
from helios.providers import ports, strapi, strapi_api
from helios.testing import cms, memory_log, simloop, simports

EVERY_S = 300.0
DECLARED = sources.Declared(
    name="cms",
    provider="strapi",
    poll=sources.Polling(
        every=int(EVERY_S) * clocks.SECOND_US, compare_every=3600 * clocks.SECOND_US
    ),
)
SOURCE = ports.Source(
    name="cms",
    tenant="default",
    provider="strapi",
    secrets=(secret.Secret("s"),),
    options=strapi_api.ApiOptions(
        base_url="https://cms.example.com", content_types={"article": "articles"}
    ),
    credentials={"token": secret.Secret("t")},
)


class Quiet:
    """Counts nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class World:
    """A CMS, a log, a gate and a poller that can be restarted."""

    def __init__(self, loop: simloop.SimLoop) -> None:
        self.clock = simports.SimClock(loop)
        self.rng = loop.rng("world")
        self.cms = cms.Cms(self.clock)
        self.storage = memory_log.MemoryLogStorage()
        self.log = log.Log(self.storage, self.clock)
        quiet: Any = Quiet()
        entry = gateway.Gateway(
            self.log,
            clock=self.clock,
            ids=ids.Uuid7Ids(self.clock, random.Random(1)),  # noqa: S311 - to be repeatable
            meter=quiet,
        )
        self.gate = gates.Gate(entry, self.log, clock=self.clock, meter=quiet)
        self.provider: Any = strapi.Strapi()
        self.told = 0
        self.distrusted: list[polling.Content] = []
        self.confirmed: list[clocks.Timestamp] = []
        self.restart()

    def restart(self, ttl: int | None = None, every_min: Callable[[], int] = int) -> None:
        """A new process: all that the poller knew is gone."""
        grows_stale = None if ttl is None else lambda: ttl
        tools = sources.Tools(
            declared=DECLARED,
            source=SOURCE,
            gate=self.gate,
            clock=self.clock,
            random=self.rng.random,
            api=ports.Api(source=SOURCE, client=self.cms, clock=self.clock),
        )
        self.poller = poller.Poller(
            tools, self.provider, self.log, self, grows_stale, every_min=every_min
        )

    async def deliver(self, *, lost: float = 0.0) -> None:
        """Let the webhooks that are on their way arrive, in any order, or not at all."""
        bodies, self.cms.hooks = self.cms.hooks, []
        self.rng.shuffle(bodies)
        for body in bodies:
            if self.rng.random() < lost:
                continue
            self.told += 1
            said = msgspec.json.decode(body)
            received = ports.Received(id=f"hook {self.told}", type=said["event"], payload=body)
            fetched = sources.Fetched(origin="hook", body=body, received=(received,))
            await self.gate.admit(DECLARED, [fetched])

    async def events(self) -> list[envelope.Event]:
        return (await self.log.read(envelope.Position(0), limit=100_000)).events

    async def types(self) -> list[str]:
        return [event.type for event in await self.events()]

    async def cached(self) -> dict[polling.Content, tuple[str, str | None, int]]:
        """What a content cache would hold: the newest version of each content, None when gone."""
        found: dict[polling.Content, tuple[str, str | None, int]] = {}
        for event in await self.events():
            if event.source != "cms":
                continue
            for change in self.provider.normalise(event.type, event.data(), SOURCE):
                for key in polling.contents(change):
                    title = None if change.content is None else change.content.title
                    if change.version > found.get(key, ("", None, 0))[0]:
                        found[key] = (change.version, title, event.recorded_at)
        return found

    async def believed(self, tenant: str, source: str) -> AsyncIterator[comparing.Known]:
        assert (tenant, source) == ("default", "cms")
        for key, (version, title, at) in (await self.cached()).items():
            if title is not None:
                heard_at = max([clocks.Timestamp(at), *self.confirmed])
                yield key, version, clocks.Timestamp(at), heard_at

    async def invalid(self, tenant: str, source: str, limit: int) -> list[polling.Content]:
        del tenant, source
        told, self.distrusted = self.distrusted, []
        return told[:limit]

    def confirmation(
        self, tenant: str, source: str, types: Sequence[str], as_of: clocks.Timestamp
    ) -> envelope.NewEvent:
        del tenant
        assert tuple(types) == ("article",)
        self.confirmed.append(as_of)
        return envelope.NewEvent(
            id=f"{source} {as_of}",
            source="helios",
            type="ContentConfirmed",
            aggregate_type="content",
            aggregate_id=source,
            occurred_at=as_of,
        )

    async def titles(self, stage: str) -> dict[str, str]:
        cached = await self.cached()
        return {key[1]: title for key, (_, title, _) in cached.items() if title and key[3] == stage}

    async def assert_equal_content(self) -> None:
        for stage in ("published", "draft"):
            assert await self.titles(stage) == self.cms.articles(stage)


def simulated(main: Callable[[World], Any], seed: int = 0) -> Any:
    """Run against a world of its own."""
    loop = simloop.SimLoop(seed)

    async def run() -> Any:
        world = World(loop)
        await world.log.open()
        try:
            return await main(world)
        finally:
            await world.log.close()

    return simloop.run(loop, run())


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    """Let the poller run for as long as the block."""
    task = asyncio.ensure_future(world.poller.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
