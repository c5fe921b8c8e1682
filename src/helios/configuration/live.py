"""What acts now: the values of settings in this process, and who follows the log for them.

A part of Helios that works by a setting gets a callable that gives its value, and asks it each
time; so nothing is global, nothing has to be told, and a part that is tested alone gets a constant.
A value that cannot be read, because a newer Helios has written it, leaves the last good one in
force and is told in health.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

import structlog

from helios.configuration import events, registry, view
from helios.configuration import setting as settings
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import ports as view_ports

RETRY_S = 1.0
_PAGE = 1_000
_log = structlog.get_logger("helios.configuration")


class Live:
    """The values in force.

    Args:
        base: values that this process was started with, by name; what is not in it is at its
            default.

    Attributes:
        unreadable: what is wrong with settings that could not be taken, by name.
    """

    def __init__(self, base: Mapping[str, settings.Value] | None = None) -> None:
        self._base = dict(base or {})
        self._set: dict[tuple[str, str], settings.Value] = {}
        self._taken: dict[tuple[str, str], envelope.Position] = {}
        self._watchers: list[tuple[str, Callable[[], None]]] = []
        self.unreadable: dict[str, str] = {}

    def start(self, name: str) -> settings.Value:
        """What is in force as long as nobody sets it at run time."""
        return self._base.get(name, registry.find(name).default)

    def get(self, name: str, client_id: str | None = None) -> settings.Value:
        """The value in force: of the client, else of the installation, else as started."""
        for scope in (client_id, events.INSTALLATION):
            if scope is not None and (scope, name) in self._set:
                return self._set[scope, name]
        return self.start(name)

    def seconds(self, name: str) -> Callable[[], float]:
        """Gives a duration, in seconds."""
        return lambda: settings.seconds(self.get(name))

    def micros(self, name: str) -> Callable[[], int]:
        """Gives a duration, in microseconds."""
        return lambda: settings.micros(self.get(name))

    def number(self, name: str) -> Callable[[], float]:
        """Gives a number or a share."""
        return lambda: float(self.get(name))

    def whole(self, name: str) -> Callable[[], int]:
        """Gives a whole number."""
        return lambda: int(self.get(name))

    def switch(self, name: str) -> Callable[[], bool]:
        """Tells whether a switch is on for the installation."""
        return lambda: bool(self.get(name))

    def switch_of(self, name: str) -> Callable[[str], bool]:
        """Tells whether a switch is on for a client: for it and for the installation."""
        return lambda client_id: bool(self.get(name)) and bool(self.get(name, client_id))

    def watch(self, name: str, then: Callable[[], None]) -> None:
        """Call something after each change of a setting, for what cannot ask each time."""
        self._watchers.append((name, then))

    def take(self, said: view.Change) -> None:
        """A change from the log or the view; one that was taken already changes nothing."""
        place = (said.client_id, said.name)
        if said.position <= self._taken.get(place, -1):
            return
        self._taken[place] = said.position
        try:
            self._apply(said)
        except errors.HeliosError as error:
            self.unreadable[said.name] = f"position {said.position}: {error}"
            _log.warning("setting_unreadable", setting=said.name, error=str(error))
            return
        self.unreadable.pop(said.name, None)
        for name, then in self._watchers:
            if name == said.name:
                then()

    def forget(self) -> None:
        """Everything that was set: the log begins anew."""
        self._set.clear()
        self._taken.clear()
        self.unreadable.clear()
        for _, then in self._watchers:
            then()

    def unread(self, event: envelope.Event, error: Exception) -> None:
        """An event that is no change as we know them."""
        self.unreadable[event.aggregate_id] = f"position {event.position}: {error}"
        _log.warning("setting_unreadable", setting=event.aggregate_id, error=str(error))

    def _apply(self, said: view.Change) -> None:
        if said.name.startswith(registry.CONTRACT):
            return  # Its truth is the contract.
        found = registry.find(said.name)
        if found.lives_in != "settings":
            return
        if said.is_set:
            self._set[said.client_id, said.name] = found.read(said.value)
        else:
            self._set.pop((said.client_id, said.name), None)


class Follower:
    """Keeps `Live` as the log has it.

    Args:
        live: is kept.
        log: is followed.
        store: where the view is; it spares reading the log from its beginning.
        clock: for pauses.
    """

    def __init__(
        self,
        live: Live,
        log: log_ports.EventLog,
        store: view_ports.ViewStore,
        *,
        clock: clocks.Clock,
    ) -> None:
        self._live = live
        self._log = log
        self._store = store
        self._clock = clock
        self._position = envelope.Position(0)
        self._reading = asyncio.Lock()

    @property
    def position(self) -> envelope.Position:
        """Up to where the log was read."""
        return self._position

    async def fill(self) -> None:
        """Take what was set up to now; before anything else works by it."""
        with contextlib.suppress(errors.NotFoundError):
            async with self._store.reading(view.NAME) as snapshot:
                found = await view.current_in(snapshot)
                position = snapshot.checkpoint.position
            for said in found:
                self._live.take(said)
            # A view that is ahead of a restored log is told of where the views are kept.
            self._position = min(position, await self._log.head())
        await self.catch_up()

    async def catch_up(self) -> None:
        """Take what is in the log by now."""
        async with self._reading:
            while True:
                page = await self._log.read(self._position, limit=_PAGE, where=events.WHERE)
                self._take(page.events)
                self._position = page.next_after
                if page.next_after >= page.head:
                    return

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            StorageFailedError: the process must stop.
        """
        while True:
            try:
                async for page in self._log.tail(self._position, where=events.WHERE):
                    self._take(page.events)
                    self._position = max(self._position, page.next_after)
            except errors.StorageFailedError:
                raise
            except errors.CursorError:
                # The log was restored to an earlier point: what was set then is in force.
                self._live.forget()
                self._position = envelope.Position(0)
            except errors.HeliosError as error:
                _log.warning("settings_not_followed", error=str(error))
            await self._clock.sleep(RETRY_S)

    def _take(self, found: Sequence[envelope.Event]) -> None:
        for event in found:
            try:
                said = view.change(event)
            except errors.InvalidInputError as error:
                self._live.unread(event, error)
            else:
                self._live.take(said)
