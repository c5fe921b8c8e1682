"""A bench for messages to people: real log and views, real receivers; minutes pass at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from helios.drivers.notify import posting
from helios.drivers.sqlite import view_store
from helios.drivers.vault import store as vaults
from helios.eventlog import envelope, log
from helios.heal.notices import events as notice_events
from helios.heal.notices import message, sending, view, worker
from helios.ingest import runners
from helios.kernel import clock as clocks
from helios.kernel import ids, outbound
from helios.projections import catalog
from helios.reconcile.compositions import (
    events,
    fuse,
    guard_events,
    hashing,
    lifecycle,
    model,
    policy_document,
)
from helios.reconcile.compositions import view as stacks_view
from helios.testing import memory_log, repair_bench

CLIENT = "acme"
STACK = "shop"
S = clocks.SECOND_US


class Bench:
    """One life of a process that tells people.

    Attributes:
        notices: what is tested.
        senders: what it sends with.
    """

    def __init__(
        self,
        shared: log.Log,
        store: view_store.SqliteViewStore,
        clock: repair_bench.ManualClock,
        senders: sending.Senders,
    ) -> None:
        self.log, self.store, self.clock, self.senders = shared, store, clock, senders
        self.ids = ids.Uuid7Ids(clock)
        self.views = catalog.Catalog([stacks_view.VIEW, view.VIEW], shared, store, clock=clock)
        self.told: list[tuple[str, str]] = []
        around = worker.Around(
            log=shared,
            store=store,
            wait_for=self.views.wait_for,
            clock=clock,
            ids=self.ids,
            random=lambda: 0.5,
            leases=runners.Alone(),
            told=lambda kind, outcome: self.told.append((kind, outcome)),
        )
        self.notices = worker.Notices(around, senders)

    # -- what happens ---------------------------------------------------------------------------

    async def set_policy(
        self, channels: str, *, client: str = CLIENT, stack_id: str = STACK
    ) -> None:
        """Declare a policy with these channels, given as YAML in flow style."""
        text = (
            "apiVersion: blackwell.io/v1\nkind: ReconciliationPolicy\n"
            f"metadata: {{client_id: {client}, stack_id: {stack_id}}}\n"
            f"spec: {{notifications: {{channels: {channels}}}}}\n"
        )
        parsed = policy_document.parse(text)
        said = events.PolicyDeclared(text=text, hash=parsed.hash)
        await self.say(events.POLICY_DECLARED, said, client=client, stack_id=stack_id)

    async def drift(
        self,
        kind: str = events.DRIFT_DETECTED,
        *,
        client: str = CLIENT,
        stack_id: str = STACK,
        **fields: Any,
    ) -> model.Drift:
        """Say that a drift has moved."""
        made = self.drifted(stack_id=stack_id, **fields)
        await self.say(kind, self.moved(made, client, stack_id), client=client, stack_id=stack_id)
        return made

    def drifted(self, *, stack_id: str = STACK, **fields: Any) -> model.Drift:
        """A drift; the same fields give the same one."""
        component = fields.get("component", "integration/cms-webhook")
        path = fields.get("path", "/url")
        fingerprint = hashing.digest([stack_id, component, path])[:32]
        known: Mapping[str, Any] = {
            "drift_id": lifecycle.drift_id(fingerprint),
            "fingerprint": fingerprint,
            "type": "integration",
            "cause": "webhook_broken",
            "component": component,
            "path": path,
            "expected": "http://helios.test/webhook",
            "observed": "http://elsewhere.test/hook",
            "severity": "medium",
            "confidence": 0.9,
            "state": "confirmed",
            "detected_at": self.clock.now(),
            "last_seen": self.clock.now(),
            "confirmed_at": self.clock.now(),
        }
        return model.Drift(**{**known, **fields})

    def moved(
        self, drift: model.Drift, client: str = CLIENT, stack_id: str = STACK
    ) -> events.DriftMoved:
        """The payload that tells of it."""
        return events.DriftMoved(
            event_id="",
            reconciliation_id="run-1",
            client_id=client,
            stack_id=stack_id,
            drift_type=drift.type,
            component=drift.component,
            expected=drift.expected,
            observed=drift.observed,
            severity=drift.severity,
            detected_at=clocks.to_rfc3339(drift.detected_at),
            auto_heal_eligible=drift.auto_heal_eligible,
            drift=drift,
        )

    async def healed(self, *, client: str = CLIENT, stack_id: str = STACK, **fields: Any) -> None:
        """Say that a drift is gone because it was healed."""
        await self.drift(
            events.DRIFT_RESOLVED,
            client=client,
            stack_id=stack_id,
            state="healed",
            reason="seen to be as declared",
            attempts=1,
            **fields,
        )

    async def blow(self, by: str, stacks: Sequence[str], fuse_id: str = "f1") -> None:
        """Say that too many stacks have drifted at once."""
        said = guard_events.FuseMoved(
            fuse_id=fuse_id, by=by, stacks=tuple(stacks), count=len(stacks), share=0.5
        )
        await self.guard(guard_events.FUSE_BLOWN, fuse.SCOPE, said)

    async def guard(
        self, kind: str, scope: str, said: guard_events.GuardPayload, client: str = CLIENT
    ) -> None:
        """Say something about a guard."""
        event = guard_events.of_guard(
            kind,
            client,
            scope,
            said,
            now=self.clock.now(),
            id_source=self.ids,
            because=events.Because(actor="user:ada"),
        )
        await self.log.append([event])
        await self.settled()

    async def say(
        self,
        kind: str,
        payload: events.StackPayload,
        *,
        client: str = CLIENT,
        stack_id: str = STACK,
    ) -> None:
        """Append an event about a stack, and let the views have it."""
        event = events.of_stack(
            kind, client, stack_id, payload, now=self.clock.now(), event_id=self.ids.new()
        )
        await self.log.append([event])
        await self.settled()

    # -- what Helios does -----------------------------------------------------------------------

    async def passes(self, seconds: float) -> None:
        """Let time pass; whatever is due is told, and what becomes due by that."""
        self.clock.time += int(seconds * S)
        for _ in range(1_000):
            await self.notices.round()
            if not self.notices.is_busy:
                return
            await self.notices.settled()
            await self.settled()
        raise AssertionError("it does not come to rest")

    async def settled(self) -> None:
        """Let the views catch up."""
        head = await self.log.head()
        for name in self.views.names:
            await self.views.wait_for(name, head, timeout_s=10)

    async def said(self, *kinds: str) -> list[notice_events.Told]:
        """What the log says of messages."""
        where = envelope.Filter(types=kinds or notice_events.TYPES)
        page = await self.log.read(envelope.Position(0), where=where)
        return [msgspec.json.decode(e.payload, type=notice_events.Told) for e in page.events]

    async def everything(self) -> bytes:
        """All payloads of the log, one after another."""
        found: list[bytes] = []
        after = envelope.Position(0)
        while True:
            page = await self.log.read(after)
            found += [event.payload for event in page.events]
            after = page.next_after
            if after >= page.head:
                return b"\n".join(found)


class World:
    """What outlives a process: the log and the views' file.

    Args:
        folder: for files.
        environment: where references to secrets lead.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.clock = repair_bench.ManualClock()
        self.storage = memory_log.MemoryLogStorage()
        self.vault = vaults.FolderVault(folder, dict(environment or {}))

    def senders(
        self, client: outbound.Outbound, more: Mapping[str, sending.Sender] | None = None
    ) -> sending.Senders:
        """The real ones over a client for calls out."""

        def look(said: message.Message) -> str:
            return f"http://helios.test/{said.client_id}/{said.stack_id}"

        made: dict[str, sending.Sender] = {
            "slack": posting.Slack(client, self.clock, look),
            "pagerduty": posting.PagerDuty(client, self.clock, look),
            "webhook": posting.Webhook(client, self.clock, look),
        }
        return sending.Senders({**made, **(more or {})}, self.vault)

    @contextlib.asynccontextmanager
    async def life(self, senders: sending.Senders) -> AsyncIterator[Bench]:
        """A process that ends with the block, whatever it was doing."""
        shared = log.Log(self.storage, self.clock)
        await shared.open()
        store = view_store.SqliteViewStore(str(self.folder / "views.sqlite"))
        await store.open()
        bench = Bench(shared, store, self.clock, senders)
        await bench.views.start()
        keeping = asyncio.create_task(bench.views.run())
        try:
            while not all([await store.slots(name) for name in bench.views.names]):
                await self.clock.sleep(0)
            await bench.settled()
            yield bench
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await store.close()
            await shared.close()
