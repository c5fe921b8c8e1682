"""What changes, over server-sent events: by topic, few messages, resumed, within the scope."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from tests.unit.api import test_verdict_routes as streams

from helios import client as clients
from helios.api.feed import changes, following, watching
from helios.kernel import tenancy
from helios.testing import stack_samples as samples

LATE_S = 15.0


class Listener:
    """Follows an application in this process and keeps what it hears."""

    def __init__(self, helios: Any, topics: str, **query: Any) -> None:
        self._scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/events/stream",
            "query_string": "&".join(
                f"{name}={value}" for name, value in {"topics": topics, **query}.items()
            ).encode(),
            "headers": [],
        }
        self._application = helios.application
        self._gone = asyncio.Event()
        self._moved = asyncio.Event()
        self.flushes: list[changes.Flush] = []
        self.begun = asyncio.Event()
        self.status = 0

    @property
    def entries(self) -> list[Any]:
        return [each for flush in self.flushes for each in flush.changes]

    def of(self, topic: str) -> list[Any]:
        return [each for each in self.entries if each.topic == topic]

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        for line in message["body"].decode().splitlines():
            if line.startswith("data: "):
                self.flushes.append(changes.read(line[6:]))
            if line.startswith("id: "):
                self.begun.set()
        self._moved.set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Listener"]:
        task = asyncio.ensure_future(self._application(self._scope, self._receive, self._send))
        try:
            async with asyncio.timeout(LATE_S):
                await self.begun.wait()
            yield self
        finally:
            self._gone.set()
            await task

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(LATE_S):
            while not condition():
                self._moved.clear()
                await self._moved.wait()


async def _drifted(helios: Any, drift_id: str = "d1") -> int:
    parts = helios.parts
    now = parts.clock.now()
    said = [samples.moved(samples.drift(now, drift_id=drift_id))]
    return await samples.tell(parts.log, said, now=now, id_source=parts.ids)


def test_an_event_is_told_as_what_it_changes(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with Listener(helios, "events,drifts,stacks").listening() as heard:
            await helios.ingest(order)
            now = helios.parts.clock.now()
            said = [samples.declared(), samples.moved(samples.drift(now))]
            await samples.tell(helios.parts.log, said, now=now, id_source=helios.parts.ids)
            await heard.until(lambda: len(heard.entries) >= 5)
            (drift,) = heard.of("drifts")
            assert (drift.kind, drift.id) == ("DriftDetected", samples.DRIFT)
            assert drift.about == changes.About("helios.stack", samples.STACK)
            assert drift.client_id == samples.CLIENT
            assert drift.summary
            (stack,) = heard.of("stacks")
            assert (stack.kind, stack.id) == ("StackDeclared", samples.STACK)
            assert [each.kind for each in heard.of("events")] == [
                "OrderPlaced",
                "StackDeclared",
                "DriftDetected",
            ]

    run(scenario)


def test_filters_hold_for_events_and_the_client_for_all(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        query = {"client_id": samples.CLIENT, "type": "OrderPlaced"}
        async with Listener(helios, "events,drifts", **query).listening() as heard:
            await helios.ingest(order)
            await helios.ingest({**order, "client_id": samples.CLIENT, "id": "mine"})
            await _drifted(helios)
            await heard.until(lambda: heard.of("drifts"))
            assert [each.id for each in heard.of("events")] == ["mine"]

    run(scenario)


def test_verdicts_are_told_when_they_are_folded(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with Listener(helios, "verdicts,configuration").listening() as heard:
            await streams._judged(helios)
            await heard.until(lambda: len(heard.of("verdicts")) >= 3)
            found = {each.id: each.kind for each in heard.of("verdicts")}
            assert found == {"K/1": "matched", "K2": "mismatched", "K3": "partial"}
            assert {each.client_id for each in heard.of("verdicts")} == {"acme"}
            assert [each.kind for each in heard.of("configuration")] == ["contract.declared"]

    run(scenario)


def test_how_far_the_views_are_is_told(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with Listener(helios, "views").listening() as heard:
            position = (await helios.ingest(order)).json()["position"]

            def told() -> bool:
                return any(
                    each.id == "event_mirror" and each.position == position
                    for each in heard.entries
                )

            await heard.until(told)

    run(scenario)


def test_who_comes_back_is_told_what_was_meanwhile(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with Listener(helios, "drifts,verdicts").listening() as heard:
            await _drifted(helios, "d1")
            await heard.until(lambda: heard.of("drifts"))
        cursor = heard.flushes[-1].cursor
        after = await streams._judged(helios)
        last = await _drifted(helios, "d2")
        assert last > int(after["helios-after"])
        await helios.parts.views.wait_for("verdicts", last)
        again = Listener(helios, "drifts,verdicts", cursor=cursor)
        async with again.listening():
            await again.until(lambda: again.of("drifts") and len(again.of("verdicts")) >= 3)
            assert "d2" in [each.id for each in again.of("drifts")]
            assert {each.id for each in again.of("verdicts")} == {"K/1", "K2", "K3"}

    run(scenario)


def test_a_flood_is_few_messages_and_the_rest_is_counted(run: Any) -> None:
    events = [
        {"source": "shop", "eventType": "Clicked", "id": str(n), "payload": {}}
        for n in range(2_000)
    ]

    async def scenario(helios: Any) -> None:
        async with Listener(helios, "events").listening() as heard:
            await helios.post("/api/v1/events/ingest/batch", events)

            def total() -> int:
                told = sum(isinstance(each, changes.Change) for each in heard.entries)
                rest = [each for each in heard.entries if isinstance(each, changes.Skipped)]
                return told + sum(each.skipped for each in rest)

            await heard.until(lambda: total() >= len(events))
            assert total() == len(events)
            assert any(isinstance(each, changes.Skipped) for each in heard.entries)
            assert all(len(each.changes) <= changes.FLUSH_MAX + 1 for each in heard.flushes)
            assert len(heard.flushes) <= 10

    run(scenario)


def test_more_verdicts_than_are_told_are_said_to_be_there(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("helios.reconcile.streams.newest.LOOK_MAX", 2)
    monkeypatch.setattr(watching, "PACE_S", 0.5)

    async def scenario(helios: Any) -> None:
        async with Listener(helios, "verdicts").listening() as heard:
            await streams._judged(helios)
            await heard.until(lambda: any(isinstance(e, changes.More) for e in heard.entries))
            # All that is there then, whoever was told of it.
            await helios.parts.views.wait_for("verdicts", await helios.parts.log.head())
            more = [each for each in heard.entries if isinstance(each, changes.More)][-1]
            assert sum(more.counts.values()) <= 3

    run(scenario)


def test_nobody_hears_of_clients_that_are_not_his(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        everything = "events,verdicts,drifts,stacks,configuration"
        (route,) = [e for e in helios.application.routes if e.path == "/api/v1/live"]
        feed = route.socket.__closure__[0].cell_contents
        heard: list[Any] = []
        begun, moved = asyncio.Event(), asyncio.Event()

        async def follow() -> None:
            asked = following.asked({"topics": everything}, None)
            async for flush in feed.follow(asked):
                heard.extend(flush.changes)
                begun.set()
                if heard:
                    moved.set()

        with tenancy.within(tenancy.Scope(frozenset({"mine"}))):
            task = asyncio.ensure_future(follow())
        await begun.wait()
        async with Listener(helios, everything).listening() as all_of_it:
            await streams._judged(helios)
            await _drifted(helios)
            await helios.ingest({**order, "client_id": "mine"})
            await all_of_it.until(
                lambda: (
                    len(all_of_it.of("verdicts")) >= 3
                    and any(each.client_id == "mine" for each in all_of_it.of("events"))
                )
            )
            async with asyncio.timeout(LATE_S):
                await moved.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert {each.client_id for each in heard} == {"mine"}

    run(scenario)


def _watchers() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "feed-watcher"]


def test_the_watcher_rests_while_nobody_follows(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with (
            Listener(helios, "verdicts").listening(),
            Listener(helios, "views").listening(),
        ):
            (watcher,) = _watchers()
        await asyncio.wait([watcher], timeout=LATE_S)
        assert watcher.done()
        assert not _watchers()

    run(scenario)


@pytest.mark.parametrize(
    ("query", "status"),
    [("topics=nope", 400), ("topics=", 400), ("topics=events&cursor=zz", 400)],
)
def test_what_cannot_be_followed_is_refused(run: Any, query: str, status: int) -> None:
    async def scenario(helios: Any) -> None:
        answer = await helios.get(f"/api/v1/events/stream?{query}")
        assert answer.status_code == status

    run(scenario)


def test_the_client_raises_what_the_server_refuses(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        transport = httpx.ASGITransport(helios.application)
        async with clients.Client("http://helios", transport=transport) as client:
            found = await client.graphql("{ head }")
            assert found.data is not None
            assert bytes(found.data["head"]) == b"0"
            with pytest.raises(Exception, match="expected events"):
                async for _ in client.live(["nope"]):
                    pass
            with pytest.raises(Exception, match="Cannot query field"):
                await client.graphql("{ nope }")

    run(scenario)
