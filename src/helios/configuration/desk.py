"""Changing settings: what is asked for is checked, said in words, and appended with its truth.

A change is decided on what is in force and appended on condition that nobody changed it since.
Where the truth of a setting is a contract or a guard, its event and that of the setting are one
append: either both are there or none, so there are never two truths.

Whether somebody may do this is asked before; what is read here is of all clients.
"""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol

import msgspec

from helios.configuration import contracts, effects, events, finding, live, view
from helios.configuration import setting as settings
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, jsonio, tenancy
from helios.projections import ports
from helios.projections.views import contracts as declared
from helios.reconcile.compositions import events as stack_events
from helios.reconcile.compositions import guard_events
from helios.reconcile.compositions import view as stacks_view
from helios.reconcile.streams import contract as streams
from helios.reconcile.streams import view as verdict_view

VISIBLE_S = 5.0
"""How long a change waits to be seen in the views; it is in the log all the same."""

TRIES = 8
"""Times that a change is decided at most, when others change the same setting."""

REASON_CHARS_MAX = 500
_VIEWS = (view.NAME, declared.NAME, stacks_view.NAME)


class Waiting(Protocol):
    """Waits until a view shows a position."""

    async def __call__(
        self, view: str, position: envelope.Position, *, timeout_s: float = ...
    ) -> envelope.Position: ...


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A change that somebody asks for.

    Attributes:
        client_id: the scope; None: the installation, and of a contract the client `default`.
        actor: who asks.
        match: the etag that must still hold, or None.
        dry_run: say what would be, and change nothing.
        idempotency: the client's name for the request, or None.
    """

    name: str
    client_id: str | None
    actor: str
    reason: str = ""
    match: str | None = None
    dry_run: bool = False
    idempotency: log_ports.Idempotency | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change.

    Attributes:
        before, after: what was and is in force; with `dry_run` what would be.
        position: of the change in the log; 0 when nothing was appended.
        effect: what it does, in words.
        unchanged: it was so already.
        replayed: the same request came before, and this is its answer.
    """

    found: finding.Found
    before: settings.Value
    after: settings.Value
    position: envelope.Position
    effect: str
    unchanged: bool
    dry_run: bool
    replayed: bool = False


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted: a value, or None for the default; and which change that takes back."""

    value: settings.Value | None
    undoes: int | None = None


class Desk:
    """Reads and changes settings.

    Args:
        log: where changes are appended.
        store: where the views are.
        wait_for: returns when a view has reached a position.
        follower: has this process act on a change before its answer is given.
        finder: reads what is in force.
        verdicts: whose open windows tell what another window does.
        clock: whose time passes.
        id_source: of event ids.
    """

    def __init__(
        self,
        log: log_ports.EventLog,
        store: ports.ViewStore,
        *,
        wait_for: Waiting,
        follower: live.Follower,
        finder: finding.Finder,
        verdicts: verdict_view.VerdictView,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self._log = log
        self._store = store
        self._wait_for = wait_for
        self._follower = follower
        self._finder = finder
        self._verdicts = verdicts
        self._clock = clock
        self._ids = id_source

    # -- reading --------------------------------------------------------------------------------

    def fixed(self) -> list[finding.Fixed]:
        """Settings that need a restart."""
        return self._finder.fixed()

    async def every(
        self, clients: Collection[str] | None, client_id: str | None
    ) -> list[finding.Found]:
        """See `finding.Finder.every`."""
        with tenancy.within(tenancy.EVERYTHING):
            return await self._finder.every(clients, client_id)

    async def one(self, name: str, client_id: str | None) -> finding.Found:
        """See `finding.Finder.one`."""
        with tenancy.within(tenancy.EVERYTHING):
            return await self._finder.one(name, client_id)

    async def history(
        self, name: str, client_id: str | None, *, before: int | None, limit: int
    ) -> list[finding.Past]:
        """Changes of a setting, newest first. Raises NotFoundError."""
        with tenancy.within(tenancy.EVERYTHING):
            found = await self._finder.one(name, client_id)
            return await finding.history(self._store, found, before=before, limit=limit)

    async def visible(self, position: envelope.Position) -> None:
        """Wait until a position shows in what is read here. Raises DeadlineError."""
        for name in _VIEWS:
            await self._wait_for(name, position)

    # -- changing -------------------------------------------------------------------------------

    async def change(self, asked: Asked, given: Any) -> Done:
        """Set a value.

        Raises:
            NotFoundError: there is no such setting, or no such contract.
            InvalidInputError: the value does not do; names the field and the bounds.
            ConflictError: it is not as `match` says.
        """

        async def wish(found: finding.Found) -> _Wish:
            return _Wish(value=found.setting.read(given))

        return await self._made(asked, wish)

    async def reset(self, asked: Asked) -> Done:
        """Put a setting back to its default. Raises as `change`."""

        async def wish(_: finding.Found) -> _Wish:
            return _Wish(value=None)

        return await self._made(asked, wish)

    async def undo(self, asked: Asked, *, position: int | None, force: bool) -> Done:
        """Take a change back: what was in force before it is set again.

        Args:
            asked: the setting, its scope, who asks.
            position: of the change; None: the last one.
            force: also where somebody changed it since.

        Raises:
            NotFoundError: there is no such change.
            ConflictError: somebody changed it since.
        """

        async def wish(found: finding.Found) -> _Wish:
            said = await self._undone(found, position, force=force)
            if found.setting.lives_in == "settings" and not said.was_set:
                return _Wish(value=None, undoes=said.position)
            return _Wish(value=found.setting.read(said.previous), undoes=said.position)

        return await self._made(asked, wish)

    async def _undone(
        self, found: finding.Found, position: int | None, *, force: bool
    ) -> view.Change:
        last = found.change
        said = last if position is None else await view.at(self._store, position)
        named = None if said is None else (said.client_id, said.name)
        if last is None or said is None or named != (found.client_id, found.setting.name):
            where = "" if position is None else f" at position {position}"
            raise errors.NotFoundError(
                f"{found.setting.name} was not changed{where}; "
                f"`helios config history {found.setting.name}` shows its changes"
            )
        if force:
            return said
        if said.position != last.position:
            raise errors.ConflictError(
                f"{found.setting.name} was changed since, at position {last.position} by "
                f"{last.actor}: undo that change first, or force it"
            )
        if found.setting.lives_in != "settings" and _is_others(found, said):
            raise errors.ConflictError(
                f"{found.setting.name} was changed since ({found.origin}), from {said.value} to "
                f"{found.value}: change that, or force it"
            )
        return said

    async def _made(self, asked: Asked, wish: Callable[[finding.Found], Awaitable[_Wish]]) -> Done:
        _check_reason(asked.reason)
        with tenancy.within(tenancy.EVERYTHING):
            for _ in range(TRIES - 1):
                try:
                    return await self._once(asked, wish)
                except errors.ConflictError as error:
                    # A sequence that moved: look again. What we refuse ourselves stays refused.
                    if error.aggregate is None:
                        raise
            return await self._once(asked, wish)

    async def _once(self, asked: Asked, wish: Callable[[finding.Found], Awaitable[_Wish]]) -> Done:
        await self._caught_up(await self._log.head())
        found = await self._finder.one(asked.name, asked.client_id)
        wanted = await wish(found)
        if asked.match is not None and asked.match.strip().strip('"') != found.etag:
            raise errors.ConflictError(
                f'If-Match asks for {asked.match[:40]}, but it is "{found.etag}": '
                f"{found.setting.name} was changed meanwhile; look at it and decide again"
            )
        value = wanted.value
        if value is None:
            value = await self._default(found)
        is_reset = wanted.value is None
        same = _is_so(found, value, is_reset=is_reset)
        now = self._clock.now()
        made = None if same else await self._truth(found, value, asked, now)
        effect = "it is so already" if same else await self._effect(found, value, made)
        if same or asked.dry_run:
            return _done(found, found, value, effect, asked, unchanged=same)
        kind: type[events.Changed | events.Reset] = events.Reset if is_reset else events.Changed
        said = kind(
            name=found.setting.name,
            client_id=found.client_id,
            value=value,
            previous=found.value,
            was_set=found.own is not None,
            reason=asked.reason,
            undoes=wanted.undoes,
        )
        told = events.made(said, now=now, event_id=self._ids.new(), actor=asked.actor)
        return await self._appended(found, (said, told), made, effect, asked)

    async def _appended(
        self,
        found: finding.Found,
        told: tuple[events.Changed | events.Reset, envelope.NewEvent],
        truth: "_Truth | None",
        effect: str,
        asked: Asked,
    ) -> Done:
        said, event = told
        expected = {found.aggregate: found.sequence}
        batch: Sequence[envelope.NewEvent] = [event]
        if truth is not None:
            batch = [truth.event, event]
            expected |= truth.expected
        done = await self._log.append(batch, expected=expected, idempotency=asked.idempotency)
        await self._caught_up(done.position)
        # This process acts on it before anybody is told that it was done.
        await self._follower.catch_up()
        now = await self._finder.one(asked.name, asked.client_id)
        made = _done(found, now, said.value, effect, asked, position=done.position)
        return msgspec.structs.replace(made, replayed=done.replayed)

    async def _caught_up(self, position: envelope.Position) -> None:
        for name in _VIEWS:
            await self._wait_for(name, position, timeout_s=VISIBLE_S)

    async def _default(self, found: finding.Found) -> settings.Value:
        if found.setting.lives_in == "contract":
            return await finding.declared_value(self._store, found)
        return found.setting.default

    # -- where the truth is ---------------------------------------------------------------------

    async def _truth(
        self, found: finding.Found, value: settings.Value, asked: Asked, now: clocks.Timestamp
    ) -> "_Truth | None":
        """What has to be said where the truth of a setting is; None: in the setting itself."""
        if found.setting.lives_in == "guards":
            return self._switched(found, value, asked, now)
        if found.contract is None:
            return None
        below = contracts.split(found.setting.name)[1]
        before = streams.parse(found.contract.yaml)
        after = contracts.changed(before, below, value)
        payload = {
            "name": after.name,
            "yaml": after.text,
            "hash": hashlib.sha256(after.text.encode()).hexdigest(),
            "carries": streams.carries(before, after),
        }
        event = envelope.NewEvent(
            id=self._ids.new(),
            source=declared.SOURCE,
            type=declared.DECLARED,
            occurred_at=now,
            tenant=after.tenant,
            aggregate_type=declared.AGGREGATE_TYPE,
            aggregate_id=after.name,
            actor=asked.actor,
            payload=jsonio.encode(payload),
        )
        (last,) = await self._log.read_at([found.contract.position])
        return _Truth(event=event, expected={event.aggregate: last.sequence}, contract=after)

    def _switched(
        self, found: finding.Found, value: settings.Value, asked: Asked, now: clocks.Timestamp
    ) -> "_Truth":
        if not asked.reason.strip():
            raise errors.InvalidInputError(
                "required: who comes later has to know why", field="reason"
            )
        event = guard_events.of_guard(
            guard_events.KILL_SWITCH_SET,
            found.client_id,
            "kill_switch",
            guard_events.KillSwitch(on=not value, reason=asked.reason),
            now=now,
            id_source=self._ids,
            because=stack_events.Because(actor=asked.actor),
        )
        return _Truth(event=event)

    async def _effect(
        self, found: finding.Found, value: settings.Value, truth: "_Truth | None"
    ) -> str:
        setting = found.setting
        if truth is None or truth.contract is None or found.contract is None:
            return effects.changed(setting.title, found.value, value, setting.acts_on)
        below = contracts.split(setting.name)[1]
        if below not in ("within", "grace") and not below.endswith(".within"):
            return effects.changed(setting.title, found.value, value, setting.acts_on)
        before = streams.parse(found.contract.yaml)
        if not streams.carries(before, truth.contract):
            return effects.of_other_windows(before.name, before)
        fold = self._verdicts.live
        running = None
        if fold is not None:
            running = fold.contracts.get((truth.contract.tenant, truth.contract.name))
        if running is None:
            # Another process judges: it knows which keys wait.
            return effects.changed(setting.title, found.value, value, setting.acts_on)
        engines = [each.engine for each in running.versions.values()]
        waiting = effects.waiting(engines, truth.contract)
        return effects.of_window(before.name, waiting, self._clock.now())


def _is_others(found: finding.Found, said: view.Change) -> bool:
    """Whether somebody has changed the truth of a setting itself since."""
    if found.value != said.value:
        return True
    by_hand = found.own is not None and found.origin != finding.RUN_TIME
    return found.setting.lives_in == "guards" and by_hand


class _Truth(msgspec.Struct, frozen=True, kw_only=True):
    """The event where the truth of a setting is, and what it builds on."""

    event: envelope.NewEvent
    expected: dict[envelope.AggregateKey, int] = {}
    contract: streams.Contract | None = None


def _is_so(found: finding.Found, value: settings.Value, *, is_reset: bool) -> bool:
    """Whether nothing has to be said."""
    if found.setting.lives_in == "settings":
        return found.own is None if is_reset else found.own == value
    if found.setting.lives_in == "guards":
        # The switch of this scope: that of the installation is another setting.
        return (found.own is None) == bool(value)
    return found.value == value


def _done(
    before: finding.Found,
    after: finding.Found,
    value: settings.Value,
    effect: str,
    asked: Asked,
    *,
    position: envelope.Position = envelope.Position(0),  # noqa: B008 - a plain number
    unchanged: bool = False,
) -> Done:
    return Done(
        found=after,
        before=before.value,
        after=value,
        position=position,
        effect=effect,
        unchanged=unchanged,
        dry_run=asked.dry_run,
    )


def _check_reason(reason: str) -> None:
    if len(reason) > REASON_CHARS_MAX or "\0" in reason:
        raise errors.InvalidInputError(
            f"expected a text of at most {REASON_CHARS_MAX} characters", field="reason"
        )
