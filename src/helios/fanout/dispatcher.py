"""Keeps one worker for each subscriber that is declared and enabled."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping

import structlog

from helios.eventlog import envelope
from helios.fanout import channels, events, subscriber, view, worker
from helios.ingest import runners
from helios.kernel import errors, secret

LEASE = "fanout"
STANDBY_S = 5.0
RETRY_S = 1.0
BROKEN_S = 15.0
"""Pause before a subscriber that could not be set up is tried again: a secret may be there then."""

STOP_S = 3.0

_CHANGES = envelope.Filter(
    sources=(events.SOURCE,),
    types=(events.DECLARED, events.REMOVED, events.DISABLED, events.ENABLED),
    aggregate_type=events.AGGREGATE_TYPE,
)
_Key = tuple[str, str]
_log = structlog.get_logger("helios.fanout")


class Dispatcher:
    """Delivers to all subscribers for as long as it runs.

    Args:
        around: see `worker.Around`.
        makers: how channels are made, by the type of `Subscriber.channel`.
        vault: where secrets are.
        leases: of several processes one delivers.
    """

    def __init__(
        self,
        around: worker.Around,
        makers: Mapping[type, channels.Maker],
        vault: secret.Vault,
        leases: runners.Leases,
    ) -> None:
        self._around = around
        self._makers = makers
        self._vault = vault
        self._leases = leases
        self._workers: dict[_Key, worker.Worker] = {}
        self._broken: dict[_Key, str] = {}

    def state(self, client_id: str, name: str) -> tuple[str, str]:
        """How deliveries to a subscriber go in this process, and a detail for people."""
        key = (client_id, name)
        if key in self._broken:
            return "failed", self._broken[key]
        found = self._workers.get(key)
        return ("standby", "") if found is None else (found.state, found.detail)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            try:
                lease = await self._leases.acquire(LEASE)
                if lease is None:
                    await self._around.clock.sleep(STANDBY_S)
                else:
                    await self._lead(lease)
            except errors.StorageFailedError:
                raise
            except errors.HeliosError as error:
                _log.warning("fanout_paused", error=str(error))
                await self._around.clock.sleep(RETRY_S)

    async def _lead(self, lease: runners.Lease) -> None:
        lost = asyncio.ensure_future(lease.lost())
        keeping = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait([lost, keeping], return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
        finally:
            for task in (lost, keeping):
                task.cancel()
            await asyncio.gather(lost, keeping, return_exceptions=True)
            await lease.release()

    async def _keep(self) -> None:
        running: dict[_Key, tuple[int, asyncio.Task[None]]] = {}
        try:
            head = await self._around.log.head()
            await self._update(running, head)
            async with contextlib.aclosing(_tail(self._around, head)) as changes:
                async for position in changes:
                    await self._update(running, position)
        finally:
            await _stop([task for _, task in running.values()])
            self._workers.clear()

    async def _update(
        self, running: dict[_Key, tuple[int, asyncio.Task[None]]], position: envelope.Position
    ) -> None:
        await self._around.wait_for(view.NAME, position)
        rows = await view.every(self._around.store)
        wanted = {(r.client_id, r.name): r for r in rows if not r.disabled}
        gone = [
            key
            for key, (version, _) in running.items()
            if key not in wanted or wanted[key].version != version
        ]
        ended = [key for key, (_, task) in running.items() if task.done()]
        await _stop([running.pop(key)[1] for key in {*gone, *ended}])
        if gone:
            # They wrote down how far they came: read again where to go on.
            head = await self._around.log.head()
            await self._around.wait_for(view.NAME, head)
            rows = await view.every(self._around.store)
            wanted = {(r.client_id, r.name): r for r in rows if not r.disabled}
        for key, row in wanted.items():
            if key not in running:
                running[key] = (row.version, asyncio.create_task(self._deliver(key, row)))

    async def _deliver(self, key: _Key, row: view.Row) -> None:
        """Deliver to one subscriber, whatever happens, until cancelled or disabled."""
        while True:
            try:
                declared = subscriber.parse(row.yaml)
                secrets = {n: self._vault.find(ref) for n, ref in declared.references.items()}
                channel = await self._makers[type(declared.channel)](declared, secrets)
            except Exception as error:  # noqa: BLE001 - a channel may be anyone's SDK
                self._note(key, error, "subscriber_not_set_up")
                await self._around.clock.sleep(BROKEN_S)
                continue
            self._broken.pop(key, None)
            one = self._workers[key] = worker.Worker(self._around, row, declared, channel)
            try:
                await one.run()
            except errors.StorageFailedError:
                raise
            except Exception as error:  # noqa: BLE001 - or deliveries end without a word
                self._note(key, error, "deliveries_paused")
                await self._around.clock.sleep(RETRY_S)
                row = await self._again(row)
            else:
                return
            finally:
                self._workers.pop(key, None)
                with contextlib.suppress(errors.HeliosError, TimeoutError):
                    await asyncio.wait_for(one.finish(), STOP_S)

    async def _again(self, row: view.Row) -> view.Row:
        """How the subscriber stands now, or stood as far as can be told."""
        try:
            return await view.one(self._around.store, row.client_id, row.name)
        except errors.HeliosError:
            return row

    def _note(self, key: _Key, error: Exception, message: str) -> None:
        known = isinstance(error, (errors.HeliosError, channels.DeliveryError))
        self._broken[key] = str(error) if known else type(error).__name__
        _log.warning(
            message, subscriber=key[1], error=self._broken[key], exc_info=None if known else error
        )


async def _tail(
    around: worker.Around, after: envelope.Position
) -> AsyncGenerator[envelope.Position, None]:
    async for page in around.log.tail(after, where=_CHANGES):
        if page.events:
            yield page.events[-1].position


async def _stop(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
