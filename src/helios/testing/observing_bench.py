"""A place for tests of what looks at stacks: real views, a vault, declared sources, real calls."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helios.drivers.outbound import client as outbound_client
from helios.drivers.outbound import policy
from helios.drivers.sqlite import view_store
from helios.drivers.vault import store as vaults
from helios.eventlog import envelope
from helios.ingest import directory, kinds, normalising
from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound
from helios.projections import folding, ports
from helios.projections.views import content, event_mirror
from helios.providers import registry
from helios.reconcile.builds import view as builds
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions import ports as pass_ports
from helios.reconcile.compositions.observing import composite
from helios.reconcile.compositions.observing import ports as check_ports

CLIENT = "acme"
KEY = b"a key of the tests"
ROLE = "cms"


class MovableClock(clocks.SystemClock):
    """The machine's clock, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> clocks.Timestamp:
        return clocks.Timestamp(super().now() + round(self.ahead_s * clocks.SECOND_US))

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class Place:
    """Views, sources and secrets, and an observer over them.

    Attributes:
        environment: variables that `env:` references find.
    """

    def __init__(self, folder: Path, store: ports.ViewStore, client: outbound.Outbound) -> None:
        self.clock = MovableClock()
        self.environment: dict[str, str] = {}
        self.store = store
        self.client = client
        self.vault = vaults.FolderVault(folder, self.environment)
        self.kinds = kinds.Kinds(registry)
        self.table = directory.Sources(self.kinds, self.vault, self.clock)
        self.table.update([], 0)
        self._slots: dict[str, ports.Slot] = {}
        self._sources: list[directory.Entry] = []
        self._position = 0
        self._observers: list[composite.Composite] = []

    async def open(self) -> None:
        """Make the views."""
        for view in (event_mirror.VIEW, builds.VIEW, content.ContentView(normalising.changes)):
            made = await self.store.create(view, live=True)
            self._slots[view.name] = await self.store.claim(made)

    async def close(self) -> None:
        """End what is being asked."""
        for each in self._observers:
            await each.close()

    def observer(
        self, checks: Mapping[str, check_ports.ResourceCheck] | None = None, **more: Any
    ) -> composite.Composite:
        """What looks."""
        made = composite.made(
            store=self.store,
            known=self.kinds,
            table=self.table,
            vault=self.vault,
            clock=self.clock,
            jitter=lambda: 0.0,
            key=KEY,
            checks=checks or {},
            **{"client": self.client, **more},
        )
        self._observers.append(made)
        return made

    def declare(
        self, name: str, provider: str, options: Mapping[str, Any], **credentials: str
    ) -> None:
        """Declare a source."""
        spec = {"provider": provider, "options": options, "credentials": credentials}
        document = {
            "apiVersion": "helios.io/v1",
            "kind": "Source",
            "metadata": {"name": name, "client_id": CLIENT},
            "spec": spec,
        }
        self.remove(name)
        self._sources.append(
            directory.entry(
                client_id=CLIENT,
                name=name,
                provider=provider,
                yaml=jsonio.encode(document).decode(),
                version=1,
                paused=False,
                removed=False,
            )
        )
        self.table.update(self._sources, len(self._sources))

    def remove(self, name: str) -> None:
        """Remove a source."""
        self._sources = [each for each in self._sources if each.name != name]
        self.table.update(self._sources, len(self._sources))

    async def tell(
        self,
        source: str,
        kind: str,
        payload: Mapping[str, Any],
        *,
        age_s: float = 0.0,
        **fields: Any,
    ) -> None:
        """An event of the log, in every view that folds it."""
        self._position += 1
        at = clocks.Timestamp(self.clock.now() - round(age_s * clocks.SECOND_US))
        given: dict[str, Any] = {
            "id": f"e{self._position}",
            "tenant": CLIENT,
            "aggregate_type": "x",
            "aggregate_id": "x",
            "metadata": jsonio.encode({"provider": "strapi"}),
            "occurred_at": at,
            "recorded_at": at,
            **fields,
        }
        event = envelope.Event(
            position=envelope.Position(self._position),
            sequence=self._position,
            source=source,
            type=kind,
            payload=jsonio.encode(payload),
            **given,
        )
        checkpoint = ports.Checkpoint(position=event.position)
        views: Sequence[ports.View] = (
            event_mirror.VIEW,
            builds.VIEW,
            content.ContentView(normalising.changes),
        )
        for view in views:
            fits = view.where.passes(event)
            writes = folding.fold(view, [event] if fits else [])
            self._slots[view.name] = await self.store.commit(
                self._slots[view.name], writes, checkpoint
            )


@contextlib.asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """A place of one's own; calls may go to this machine."""
    store = view_store.SqliteViewStore(str(folder / "views.db"))
    await store.open()
    rng = random.Random(1)  # noqa: S311 - repeatable
    allowed = policy.parse_allowed("127.0.0.1, localhost")
    try:
        async with outbound_client.Client(
            clock=clocks.SystemClock(), allowed=allowed, rng=rng
        ) as client:
            made = Place(folder, store, client)
            await made.open()
            try:
                yield made
            finally:
                await made.close()
    finally:
        await store.close()


def stack(*components: composition.Component, name: str = "site-prod") -> composition.Composition:
    """A declared stack of these components."""

    def of(kind: type[Any]) -> tuple[Any, ...]:
        return tuple(each for each in components if isinstance(each, kind))

    return composition.Composition(
        stack_id=name,
        client_id=CLIENT,
        providers=of(composition.Provider),
        integrations=of(composition.Integration),
        resources=of(composition.Resource),
        content=of(composition.Content),
    )


async def seen(
    observer: pass_ports.Observer,
    *components: composition.Component,
    fresh: bool = False,
) -> model.Seen:
    """How the last of these components is seen."""
    only = frozenset((components[-1].address,))
    look = pass_ports.Look(stack=stack(*components), only=only, fresh=fresh)
    return (await observer.observe(look))[components[-1].address]


async def settle() -> None:
    """Let what is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)
