"""The views of this Helios, kept together.

At the start every view is brought to the version of the code: one whose version changed is rebuilt
beside its old copy, which serves until the swap; one that is new is built at once when the log is
long, else simply followed from its beginning. Then a worker keeps each.
"""

import asyncio
from collections.abc import Callable, Sequence

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.projections import binding, folding, ports, rebuild, verify, wait, worker
from helios.projections.views import contracts, dead_letters, event_mirror, saved_views, sources

SHIPPED: tuple[ports.View, ...] = (
    event_mirror.VIEW,
    contracts.VIEW,
    sources.VIEW,
    dead_letters.VIEW,
    saved_views.VIEW,
)
"""The views that need nothing but the log."""

_FOLLOW_EVENTS_MAX = 10_000
_RETRY_S = 2.0


def _silent(_: rebuild.Step) -> None:
    return None


class Catalog:
    """Keeps views, and knows how they are doing.

    Args:
        views: whose names differ.
        log: where the events come from, open.
        store: where the views are, open.
        clock: for pauses and lag.
        alone: no other process builds views in this store, so what is half built is a crash's.
    """

    def __init__(
        self,
        views: Sequence[ports.View],
        log: log_ports.EventLog,
        store: ports.ViewStore,
        *,
        clock: clocks.Clock,
        alone: bool = True,
    ) -> None:
        self._views = {view.name: view for view in views}
        assert len(self._views) == len(views), "two views of one name"
        store.declare(views)
        self._log = log
        self._store = store
        self._clock = clock
        self._alone = alone
        self._progress = wait.Progress()
        self._waiter = wait.Waiter(store, self._progress)
        self._workers = {
            view.name: worker.Worker(view, log, store, progress=self._progress, clock=clock)
            for view in views
        }
        self._builds: dict[str, rebuild.Step | None] = {}
        self._build_errors: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """Names of the views, sorted."""
        return sorted(self._views)

    @property
    def progress(self) -> wait.Progress:
        """How far the views have come, as seen in this process."""
        return self._progress

    def view(self, name: str) -> ports.View:
        """The view of a name. Raises NotFoundError that lists the names there are."""
        found = self._views.get(name)
        if found is None:
            raise errors.NotFoundError(
                f"no view is called {name!r}; there are {', '.join(self.names)}"
            )
        return found

    async def start(self) -> None:
        """Check that the views belong to this log and to its present.

        Raises:
            CursorError: they hold another log's history, or events that this log has lost;
                the message has the remedy.
        """
        await binding.bind(self._store, self._log.log_id)
        for name in self.names:
            slots = await self._store.slots(name)
            head = await self._log.head()
            for slot in slots:
                if slot.live:
                    folding.refuse_ahead(slot, head)

    async def run(self) -> None:
        """Keep all views until cancelled.

        Raises:
            CursorError: a view is ahead of the log; it must be rebuilt.
            StorageFailedError: a flush failed; the process must stop.
        """
        tasks = [
            asyncio.create_task(self._keep(view), name=f"view-{name}")
            for name, view in self._views.items()
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def wait_for(
        self, view: str, position: envelope.Position, *, timeout_s: float = limits.WAIT_S_MAX
    ) -> envelope.Position:
        """See `wait.Waiter.wait_for`; an unknown view is a NotFoundError at once."""
        self.view(view)
        return await self._waiter.wait_for(view, position, timeout_s=timeout_s)

    def health(self) -> list[worker.Health]:
        """How each view is doing, by name, without asking the log or the store."""
        return [self._health(name).shown() for name in self.names]

    async def rebuild(
        self, name: str, *, report: Callable[[rebuild.Step], None] = _silent
    ) -> ports.Slot:
        """Rebuild one view beside its live copy; see `rebuild.rebuild`.

        A live copy that is ahead of a restored log is dropped first. CursorError when the views
        hold another log's history.
        """
        await binding.bind(self._store, self._log.log_id)
        return await rebuild.rebuild(
            self.view(name), self._log, self._store, clock=self._clock, report=report
        )

    async def verify(self, name: str) -> verify.Verified:
        """Compare one view with the log; see `verify.verify`."""
        await binding.bind(self._store, self._log.log_id)
        return await verify.verify(self.view(name), self._log, self._store, clock=self._clock)

    async def discard(self, name: str) -> None:
        """Drop every copy of a view; the next start builds it anew."""
        for slot in await self._store.slots(self.view(name).name):
            await self._store.drop(slot)

    async def discard_all(self) -> None:
        """Drop every copy of every view and bind the store to this log."""
        for name in self.names:
            await self.discard(name)
        await binding.rebind(self._store, self._log.log_id)

    async def _keep(self, view: ports.View) -> None:
        name = view.name
        attempts = 0
        self._builds[name] = None
        while not await self._is_current(view):
            try:
                await rebuild.rebuild(
                    view,
                    self._log,
                    self._store,
                    clock=self._clock,
                    report=lambda step: self._builds.__setitem__(name, step),
                    alone=self._alone,
                )
            except errors.StorageFailedError:
                raise
            except Exception as error:  # noqa: BLE001 - a view's code may raise anything
                attempts += 1
                self._build_errors[name] = str(error) or type(error).__name__
                await self._clock.sleep(min(_RETRY_S * attempts, limits.WAIT_S_MAX))
        self._builds.pop(name)
        self._build_errors.pop(name, None)
        await self._workers[name].run()

    async def _is_current(self, view: ports.View) -> bool:
        for slot in await self._store.slots(view.name):
            if slot.live:
                # Beside other processes a later version is a newer process's: not ours to replace.
                later = slot.version > view.version and not self._alone
                return later or slot.version == view.version
        return await self._log.head() <= _FOLLOW_EVENTS_MAX

    def _health(self, name: str) -> worker.Health:
        kept = self._workers[name].health()
        if name not in self._builds:
            return kept
        step = self._builds[name]
        error = self._build_errors.get(name)
        position = step.position if step else kept.position
        head = step.head if step else kept.head
        return worker.Health(
            view=name,
            version=kept.version,
            status="failed" if error else "rebuilding",
            position=position,
            head=head,
            lag_events=max(0, head - position),
            lag_s=0.0,
            silent_s=0.0,
            error=error,
        )
