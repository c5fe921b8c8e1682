"""A bench for passes over stacks: real log, real views, a scripted reality; days pass at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.projections import catalog
from helios.reconcile.compositions import (
    composition,
    document,
    events,
    fuse,
    guard_events,
    model,
    passing,
    policy_document,
    reading,
    stack,
    view,
)
from helios.reconcile.runtime import keys
from helios.reconcile.runtime import ports as runtime
from helios.testing import memory_log, repair_bench, stack_reality

CLIENT = "acme"
STACK = "shop"
S = clocks.SECOND_US
DECLARED = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {{client_id: {client}, stack_id: {stack}, environment: prod}}
spec:
  providers:
    cms: {{name: strapi, url: "http://cms.test", secret_ref: "env:CMS", content_types: [article]}}
  integrations:
    cms-webhook:
      provider: cms
      events: [entry.publish, entry.update]
      url: "http://helios.test/webhook/strapi"
  resources:
    orders: {{kind: sqs_queue, name: orders, region: us-east-1}}
    page: {{kind: http, url: "http://site.test"}}
  content:
    article: {{min_count: 1}}
"""
POLICY = """\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {{client_id: {client}, stack_id: {stack}}}
spec:
  schedule: {{interval: 5m, timezone: UTC}}
  auto_heal:
    enabled: true
    max_attempts: 3
    backoff_strategy: exponential
    allowed_drift_types: [provider_missing, webhook_broken, resource_unhealthy, content_differs]
    require_approval: [cms_provider_change, data_deletion, resource_replacement]
"""


class Bench:
    """One life of a process over a log and views that outlive it.

    Attributes:
        reality: what there is besides Helios.
        passes: what is tested.
    """

    def __init__(
        self,
        shared: log.Log,
        store: view_store.SqliteViewStore,
        clock: repair_bench.ManualClock,
        reality: stack_reality.Reality,
    ) -> None:
        self.log, self.store, self.clock, self.reality = shared, store, clock, reality
        self.ids = ids.Uuid7Ids(clock)
        self.views = catalog.Catalog([*catalog.SHIPPED, view.VIEW], shared, store, clock=clock)
        self.healed: list[model.Heal] = []
        self.passes = passing.Passes(self.around(reality))

    def around(self, reality: stack_reality.Reality) -> passing.Around:
        """What passes are given, over this reality."""
        return passing.Around(
            log=self.log,
            store=self.store,
            wait_for=self._wait_for,
            observer=reality,
            executor=reality,
            clock=self.clock,
            ids=self.ids,
            meter=passing.Meter(healed=self.healed.append),
        )

    async def _wait_for(self, name: str, position: envelope.Position, timeout_s: float) -> object:
        del timeout_s
        return await self.views.wait_for(name, position)

    # -- what people do -------------------------------------------------------------------------

    async def declare(
        self,
        text: str = DECLARED,
        *,
        client: str = CLIENT,
        stack_id: str = STACK,
        anew: bool = False,
    ) -> None:
        """Declare a stack, without asking whether it may be; `anew`: as another incarnation."""
        text = text.format(client=client, stack=stack_id)
        parsed = document.parse(text)
        before = await self.state(client, stack_id)
        is_same = before is not None and before.uid != "" and not anew
        generation = (before.generation if before is not None and is_same else 0) + 1
        said = events.Declared(
            stack_id=stack_id,
            uid=before.uid if before is not None and is_same else self.ids.new(),
            generation=generation,
            version=f"v1.0.{generation - 1}",
            hash=parsed.hash,
            text=text,
            environment=parsed.environment,
        )
        await self.say(events.STACK_DECLARED, said, client=client, stack_id=stack_id)

    async def set_policy(
        self, text: str = POLICY, *, client: str = CLIENT, stack_id: str = STACK
    ) -> None:
        """Declare a policy."""
        text = text.format(client=client, stack=stack_id)
        parsed = policy_document.parse(text)
        said = events.PolicyDeclared(text=text, hash=parsed.hash)
        await self.say(events.POLICY_DECLARED, said, client=client, stack_id=stack_id)

    async def request(self, *, heal: bool = True, trigger: Any = "manual") -> str:
        """Ask for a pass; the id of the reconciliation."""
        run_id = self.ids.new()
        said = events.Requested(reconciliation_id=run_id, trigger=trigger, heal=heal)
        await self.say(events.RECONCILIATION_REQUESTED, said)
        return run_id

    async def approve(self, actor: str = "user:ada", *, granted: bool = True) -> None:
        """Answer the approval that is waited for."""
        state = await self.known()
        approval = state.approval
        assert approval is not None, "nobody is asked"
        grant = model.Grant(
            actor=actor,
            roles=("approver",),
            digest=approval.digest,
            granted=granted,
            reason="looked at",
            at=self.clock.now(),
        )
        kind = events.APPROVAL_GRANTED if granted else events.APPROVAL_DENIED
        said = events.ApprovalAnswered(approval_id=approval.approval_id, grant=grant)
        await self.say(kind, said, actor=actor)

    async def reset_fuse(self, fuse_id: str, *, client: str = CLIENT) -> None:
        """Agree that healing goes on after a fuse has blown."""
        found = (await reading.guards_of(self.store, client)).fuses[fuse_id]
        said = guard_events.FuseMoved(fuse_id=fuse_id, by=found.by, reason="looked at")
        event = guard_events.of_guard(
            guard_events.FUSE_RESET,
            client,
            fuse.SCOPE,
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
        actor: str = "user:ada",
        client: str = CLIENT,
        stack_id: str = STACK,
    ) -> None:
        """Append an event about a stack, and let the views have it."""
        event = events.of_stack(
            kind,
            client,
            stack_id,
            payload,
            now=self.clock.now(),
            event_id=self.ids.new(),
            because=events.Because(actor=actor),
        )
        await self.log.append([event])
        await self.settled()

    # -- what Helios does -----------------------------------------------------------------------

    async def pass_(
        self,
        *,
        client: str = CLIENT,
        stack_id: str = STACK,
        fence: runtime.Fence | None = None,
    ) -> runtime.Result:
        """One pass, and its events in the views."""
        key = keys.Key(client, passing.FAMILY, stack_id)
        fence = runtime.NoFence() if fence is None else fence
        why = runtime.Reason(priority=keys.Priority.EVENT, fence=fence)
        result = await self.passes.reconcile(key, why)
        await self.settled()
        return result

    async def run(
        self,
        seconds: float,
        *,
        client: str = CLIENT,
        stacks: Sequence[str] = (STACK,),
        interval_s: float = 300.0,
    ) -> int:
        """Let time pass as the runtime would: a pass when one is due; how many there were."""
        until = self.clock.time + int(seconds * S)
        due = dict.fromkeys(stacks, self.clock.time)
        count = 0
        while due and min(due.values()) <= until:
            name = min(due, key=lambda each: due[each])
            self.clock.time = max(self.clock.time, due[name])
            try:
                result = await self.pass_(client=client, stack_id=name)
                again = result.requeue_after_s
            except errors.HeliosError:
                again = 1.0
            count += 1
            wait = interval_s if again is None else min(interval_s, max(again, 0.01))
            due[name] = self.clock.time + int(wait * S)
        self.clock.time = max(self.clock.time, until)
        return count

    async def begun(self) -> None:
        """Return when every view has a copy that is kept."""
        while not all([await self.store.slots(name) for name in self.views.names]):
            await self.clock.sleep(0)
        await self.settled()

    async def settled(self) -> None:
        """Let the views catch up."""
        head = await self.log.head()
        for name in self.views.names:
            try:
                await self.views.wait_for(name, head, timeout_s=60)
            except errors.DeadlineError as error:
                told = [health.error for health in self.views.health() if health.error]
                raise AssertionError(f"{error}: {told}") from error

    # -- what is known --------------------------------------------------------------------------

    async def state(self, client: str = CLIENT, stack_id: str = STACK) -> stack.Stack | None:
        """How a stack stands; None: never declared."""
        found = await reading.known(self.store, client, stack_id)
        return None if found is None else found.state

    async def known(self, client: str = CLIENT, stack_id: str = STACK) -> stack.Stack:
        """How a declared stack stands."""
        return (await reading.stack_of(self.store, client, stack_id)).state

    async def declared(
        self, client: str = CLIENT, stack_id: str = STACK
    ) -> composition.Composition:
        """What is declared."""
        found = (await reading.stack_of(self.store, client, stack_id)).declared
        assert found is not None
        return found

    async def said(self, *kinds: str, stack_id: str | None = STACK) -> list[envelope.Event]:
        """Events of these types, or of all; about a stack, or about anything."""
        found: list[envelope.Event] = []
        where = envelope.Filter(types=kinds or None)
        after = envelope.Position(0)
        while True:
            page = await self.log.read(after, where=where)
            found += page.events
            after = page.next_after
            if after >= page.head:
                break
        return [e for e in found if stack_id in (None, e.aggregate_id)]

    async def drifts(self, stack_id: str = STACK) -> Mapping[str, model.Drift]:
        """Open drifts, by component."""
        state = await self.known(stack_id=stack_id)
        return {drift.component: drift for drift in state.drifts.values()}


class World:
    """What outlives a process: the log, the views' file, and reality."""

    def __init__(self, folder: Path) -> None:
        self.file = str(folder / "views.sqlite")
        self.clock = repair_bench.ManualClock()
        self.storage = memory_log.MemoryLogStorage()
        self.reality = stack_reality.Reality(self.clock)

    @contextlib.asynccontextmanager
    async def life(self) -> AsyncIterator[Bench]:
        """A process that ends with the block, whatever it was doing."""
        shared = log.Log(self.storage, self.clock)
        await shared.open()
        store = view_store.SqliteViewStore(self.file)
        await store.open()
        bench = Bench(shared, store, self.clock, self.reality)
        await bench.views.start()
        keeping = asyncio.create_task(bench.views.run())
        try:
            await bench.begun()
            yield bench
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await store.close()
            await shared.close()
