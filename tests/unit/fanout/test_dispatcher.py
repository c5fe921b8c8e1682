"""Subscribers whose channels break in ways that nobody foresaw."""

import asyncio
from collections.abc import Mapping
from typing import Any

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.fanout import channels, dispatcher, events, subscriber, view, worker
from helios.ingest import runners
from helios.kernel import ids, jsonio, secret
from helios.projections import catalog
from helios.testing import log_samples, memory_log

YAML = """\
apiVersion: helios.io/v1
kind: Subscriber
metadata: {name: shop}
spec:
  start: beginning
  deliver: {type: webhook, url: "https://shop.example/hook", secret: "secret:s"}
"""


class Vault:
    def find(self, reference: str) -> secret.Secret:
        return secret.Secret(reference)


class Broken:
    """Takes what it can, and fails at one event as no channel should."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def deliver(self, message: channels.Message) -> None:
        if message.event.id == "e1":
            raise ValueError("an SDK's own")
        self.taken.append(message.event.id)

    async def close(self) -> None: ...


class Clock(log_samples.SteppedClock):
    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(0)


def test_a_channel_that_breaks_is_made_anew_and_holds_up_no_other_event(tmp_path: Any) -> None:
    made: list[int] = []
    channel = Broken()

    async def make(
        declared: subscriber.Subscriber, secrets: Mapping[str, secret.Secret]
    ) -> channels.Channel:
        made.append(1)
        if len(made) < 3:
            raise KeyError("an SDK's own")
        return channel

    async def main() -> None:
        clock = Clock()
        a_log = log.Log(memory_log.MemoryLogStorage(), clock)
        store = view_store.SqliteViewStore(str(tmp_path / "views.db"))
        await a_log.open()
        await store.open()
        views = catalog.Catalog([view.VIEW], a_log, store, clock=log_samples.SteppedClock())
        await views.start()
        keeping = asyncio.ensure_future(views.run())
        declared = events.Declared(name="shop", yaml=YAML, hash="h", start="beginning")
        await a_log.append(
            [
                envelope.NewEvent(
                    id="d",
                    source=events.SOURCE,
                    type=events.DECLARED,
                    occurred_at=clock.now(),
                    aggregate_type=events.AGGREGATE_TYPE,
                    aggregate_id="shop",
                    actor="test",
                    payload=jsonio.encode(declared),
                )
            ]
        )
        await a_log.append([log_samples.event(n, id=f"e{n}") for n in range(3)])
        around = worker.Around(
            log=a_log,
            store=store,
            wait_for=views.wait_for,
            clock=clock,
            ids=ids.Uuid7Ids(clock),
            random=lambda: 0.5,
            told=lambda _: None,
        )
        sut = dispatcher.Dispatcher(around, {subscriber.Webhook: make}, Vault(), runners.Alone())
        running = asyncio.ensure_future(sut.run())
        async with asyncio.timeout(20):
            await views.wait_for(view.NAME, await a_log.head())
            while not await view.set_aside(store, "default", "shop"):
                await a_log.wait(envelope.Position(10**6), timeout_s=0.01)
        (aside,) = await view.set_aside(store, "default", "shop")
        assert aside.detail == "the channel failed: ValueError"
        assert channel.taken[-2:] == ["e0", "e2"]
        assert sut.state("default", "shop")[0] == "running"
        for task in (running, keeping):
            task.cancel()
        await asyncio.gather(running, keeping, return_exceptions=True)
        await store.close()
        await a_log.close()

    asyncio.run(main())
    assert len(made) == 3
