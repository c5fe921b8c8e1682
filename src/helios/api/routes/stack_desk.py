"""How a command about a stack becomes events.

A command is decided on the state of the view and appended on condition that nothing was said of
the stack since; where something was, it is decided once more on what is so then, and so is one
that was refused while the view was behind. A request that comes again under its idempotency key is
not decided again: it gets the answer that it had.
"""

import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from helios.access import model as access
from helios.api import services, speaking, stack_asks, web, wire
from helios.api.routes import ingest
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.ingest import incoming
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, limits, rfc3339
from helios.reconcile.compositions import (
    causing,
    composition,
    document,
    events,
    evolving,
    model,
    policy,
    reading,
    secrecy,
    stack,
    versions,
    view,
    writer,
)

T = TypeVar("T")

CLIENT_PATH = "/api/v1/clients/{client}"
PATH = f"{CLIENT_PATH}/stacks/{{stack}}"
TAG = "compositions"
VISIBLE_S = 5.0
TRIES = 8
"""Times that a command is decided at most. A pass says several things one after another."""

ACTOR = web.Parameter(
    "Helios-Actor", "Who asks: a name, `user:NAME` or `service:NAME`.", str, "header"
)
COMMAND = (wire.IDEMPOTENCY_KEY, ACTOR, wire.AFTER)
"""Headers of every command."""

_NEVER = -1
"""No aggregate is at this sequence."""

Decide: TypeAlias = Callable[[reading.Known], Awaitable[Sequence[writer.Said]]]


DecideApproval: TypeAlias = Callable[
    [stack.Stack, model.Approval], Awaitable[Sequence[writer.Said]]
]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """Events to append, and the sequences they build on."""

    events: Sequence[envelope.NewEvent]
    expected: Mapping[envelope.AggregateKey, int] = {}


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command.

    Attributes:
        said: type and payload of the events that it appended, now or when it first came.
        about: names of what they are about, in the same order.
        position: of the last of them; 0: nothing had to be said.
    """

    said: Sequence[tuple[str, bytes]]
    position: envelope.Position
    about: Sequence[str] = ()
    replayed: bool = False

    def every(self, payload: type[T]) -> list[T]:
        """The payloads of all its events, which are of one type."""
        return [msgspec.json.decode(text, type=payload) for _, text in self.said]

    def first(self, kind: str, payload: type[T]) -> T:
        """The payload of the first event of a type. Raises KeyError when there is none."""
        for each, text in self.said:
            if each == kind:
                return msgspec.json.decode(text, type=payload)
        raise KeyError(kind)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the answer says of the log."""
        found = [wire.position_header(self.position)] if self.position else []
        return [*found, wire.REPLAYED] if self.replayed else found


class Desk:
    """What all routes about stacks share."""

    def __init__(self, parts: services.Services) -> None:
        self.parts = parts

    async def visible(self, request: web.Request) -> None:
        """Wait for the position that the client asks for."""
        after = wire.after_header(request)
        if after is not None:
            await self.parts.views.wait_for(view.NAME, after)

    async def known(self, request: web.Request) -> reading.Known:
        """The stack of the path, as new as was asked for. Raises NotFoundError."""
        await self.visible(request)
        return await self.stack_of(*name(request))

    async def stack_of(self, client_id: str, stack_id: str) -> reading.Known:
        """A declared stack. That nothing has changed is told once in a while only; that something
        was done or found, at once: it was last looked at when the newer of both was.
        """
        found = await reading.stack_of(self.parts.store, client_id, stack_id)
        last = await reading.reconciliations(self.parts.store, client_id, stack_id, limit=1)
        times = [rfc3339.parse(each.record.completed_at) for each in last]
        if found.last_verified is not None:
            times.append(found.last_verified)
        return msgspec.structs.replace(found, last_verified=max(times, default=None))

    async def of_client(self, client_id: str) -> list[str]:
        """Names of the stacks of a client.

        Raises:
            NotFoundError: it has none.
            InvalidInputError: it has too many to be asked about at once.
        """
        found = await reading.stacks(self.parts.store, client_id, limit=limits.PAGE_EVENTS_MAX)
        if not found:
            raise errors.NotFoundError(
                f"client {client_id[:80]} has no stacks: declare one with `helios apply`"
            )
        if len(found) == limits.PAGE_EVENTS_MAX:
            raise errors.InvalidInputError(
                f"client {client_id[:80]} has {len(found)} stacks or more: name one of them"
            )
        return [each.stack_id for each in found]

    async def command(
        self,
        request: web.Request,
        decide: Decide,
        *,
        content: bytes = b"",
        about: tuple[str, str] | None = None,
        anew: bool = False,
    ) -> Written:
        """Decide a command about a stack, and append what was decided.

        Args:
            request: whose idempotency key and actor count.
            decide: what has to be said, given the state; raises to refuse.
            content: of the request; with another one its key is not the same request.
            about: client and stack; None: those of the path.
            anew: the stack need not be declared.

        Raises:
            NotFoundError: no such stack is declared.
            ConflictError: others write about this stack all the time.
        """
        client_id, stack_id = about or name(request)
        actor = speaking.actor_of(request)

        async def made() -> Made:
            known = await self.at_hand(client_id, stack_id, anew=anew)
            said = await decide(known)
            expected = {known.state.key: known.state.sequence}
            found = [
                self.event(client_id, stack_id, *each, actor=actor, state=known.state)
                for each in said
            ]
            return Made(events=found, expected=expected)

        return await self.append(request, (client_id, events.STACK, stack_id), made, content)

    async def at_hand(self, client_id: str, stack_id: str, *, anew: bool) -> reading.Known:
        """A stack; with `anew` it need not be declared."""
        if not anew:
            return await reading.stack_of(self.parts.store, client_id, stack_id)
        found = await reading.known(self.parts.store, client_id, stack_id)
        return found or reading.Known(
            state=evolving.empty(client_id, stack_id),
            declared=None,
            policy=policy.DEFAULT,
            last_verified=None,
        )

    async def noted(
        self, request: web.Request, decide: Decide, content: bytes = b""
    ) -> web.Response:
        """A command whose answer is where in the log it is; who reconciles is told."""
        done = await self.command(request, decide, content=content)
        client_id, stack_id = name(request)
        if done.position:
            self.parts.compositions.wake(client_id, stack_id)
        made = stack_asks.Noted(
            client_id=client_id,
            stack_id=stack_id,
            position=done.position,
            unchanged=not done.position,
        )
        return web.answer(made, status=202, headers=done.headers())

    async def append(
        self,
        request: web.Request,
        about: envelope.AggregateKey,
        decide: Callable[[], Awaitable[Made]],
        content: bytes = b"",
    ) -> Written:
        """Append what is decided about an aggregate; see `command`."""
        await self.visible(request)
        key = ingest.idempotency(request, content + request.scope["query_string"], about[0])
        if key is not None:
            found = await self._replayed(key, about)
            if found is not None:
                return found
        made = await self._decided(decide)
        for _ in range(TRIES - 1):
            try:
                return await self._append(made, key)
            except errors.ConflictError as error:
                if error.aggregate is None:
                    raise
            # Somebody was faster: once more, on what is so by now.
            await self._caught_up()
            made = await decide()
        return await self._append(made, key)

    async def _decided(self, decide: Callable[[], Awaitable[Made]]) -> Made:
        """What is decided. A no, and that nothing is to be done, hold on the newest state only."""
        try:
            made = await decide()
        except errors.HeliosError:
            if not await self._caught_up():
                raise
            return await decide()
        if made.events or not await self._caught_up():
            return made
        return await decide()

    async def twice(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call something that writes about a stack; once more whenever somebody else was faster."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(errors.ConflictError):
                return await call()
            await self._caught_up()
        return await call()

    async def _caught_up(self) -> bool:
        """Wait until the view has what is in the log by now; whether it has within a moment."""
        head = await self.parts.log.head()
        try:
            await self.parts.views.wait_for(view.NAME, head, timeout_s=VISIBLE_S)
        except errors.DeadlineError:
            return False
        return True

    async def _append(self, made: Made, key: log_ports.Idempotency | None) -> Written:
        if not made.events:
            return Written(said=(), position=envelope.Position(0))
        done = await self.parts.log.append(made.events, expected=made.expected, idempotency=key)
        if done.replayed:
            return await self._first(done)
        return _written(made.events, done)

    async def _replayed(
        self, key: log_ports.Idempotency, about: envelope.AggregateKey
    ) -> Written | None:
        """What the request led to when it first came; None: it comes for the first time.

        Raises:
            IdempotencyError: the key was used for another request.
        """
        # A known key is looked up before anything else is checked; an unknown one then fails at
        # the sequence, so that this appends nothing in either case.
        probe = envelope.NewEvent(
            id=self.parts.ids.new(),
            source=events.SOURCE,
            type="probe",
            occurred_at=self.parts.clock.now(),
            tenant=about[0],
            aggregate_type=about[1],
            aggregate_id=about[2],
        )
        try:
            done = await self.parts.log.append([probe], expected={about: _NEVER}, idempotency=key)
        except errors.ConflictError:
            return None
        assert done.replayed, "an impossible sequence was accepted"
        return await self._first(done)

    async def _first(self, done: envelope.Appended) -> Written:
        return _written(await self.parts.log.read_at(done.positions), done)

    def event(
        self,
        client_id: str,
        stack_id: str,
        kind: str,
        payload: events.StackPayload,
        *,
        actor: str,
        state: stack.Stack | None = None,
    ) -> envelope.NewEvent:
        """An event about a stack, by somebody; `state` knows what it answers to."""
        event_id = self.parts.ids.new()
        if isinstance(payload, events.DriftMoved | events.HealMoved):
            payload = msgspec.structs.replace(payload, event_id=event_id)
        return events.of_stack(
            kind,
            client_id,
            stack_id,
            payload,
            now=self.parts.clock.now(),
            event_id=event_id,
            because=causing.ordered(state, (kind, payload), actor),
        )

    def later(self, text: str | None, field: str = "until") -> clocks.Timestamp | None:
        """See the function."""
        return later(text, self.parts.clock.now(), field)


def _written(
    found: Sequence[envelope.NewEvent | envelope.Event], done: envelope.Appended
) -> Written:
    return Written(
        said=[(event.type, event.payload) for event in found],
        about=[event.aggregate_id for event in found],
        position=done.position,
        replayed=done.replayed,
    )


def name(request: web.Request) -> tuple[str, str]:
    """Client and stack of the path."""
    return request.params["client"], request.params["stack"]


def later(text: str | None, now: clocks.Timestamp, field: str = "until") -> clocks.Timestamp | None:
    """A time that is to come. Raises InvalidInputError when it is none, or has passed."""
    found = wire.when(text, field)
    if found is not None and found <= now:
        raise errors.InvalidInputError(
            f"{text} has passed; expected a time that is to come", field=field
        )
    return found


async def body(request: web.Request, kind: type[T]) -> tuple[T, bytes]:
    """The request's body as a value, and as it came; nothing stands for `{}`.

    Raises:
        InvalidInputError: not JSON, an unknown field, or a wrong value; names the field.
    """
    found = await request.body(limits.EVENT_BYTES_MAX) or b"{}"
    jsonio.parse_object(found)
    try:
        return msgspec.json.decode(found, type=kind), found
    except msgspec.ValidationError as error:
        incoming.refuse_shape(error)


def before(query: Mapping[str, str]) -> int | None:
    """The position that a page begins before. Raises InvalidInputError."""
    if "cursor" not in query:
        return None
    return wire.whole(query["cursor"], "cursor", most=2**63 - 1, least=1)


route = functools.partial(web.Route, tag=TAG)
"""A route of this group."""


def json(kind: Any) -> Mapping[str, Any]:
    """A body of JSON."""
    return {"application/json": kind}


class Declaring(Desk):
    """A desk whose commands declare stacks."""

    async def declared(
        self,
        done: Written,
        parsed: composition.Composition,
        before: reading.Known | None,
    ) -> web.Response:
        """What became of a declaration; `before` is what it was decided on."""
        if not done.position:
            assert before is not None, "nothing is said only of what was looked at"
            return web.answer(declaration(before, parsed, None))
        self.parts.compositions.wake(parsed.client_id, parsed.stack_id)
        said = done.first(events.STACK_DECLARED, events.Declared)
        if before is None:
            before = await self._before(parsed, said)
        made = declaration(before, parsed, said, position=done.position)
        headers = [*done.headers(), wire.version_etag(said.generation)]
        return web.answer(made, status=201, headers=headers)

    async def _before(
        self, parsed: composition.Composition, said: events.Declared
    ) -> reading.Known | None:
        """What an answer that is given again was decided on, as far as it is shown."""
        if said.generation == 1:
            return None
        about = (parsed.client_id, parsed.stack_id)
        text = await reading.text(self.parts.store, *about, said.generation - 1)
        return reading.Known(
            state=msgspec.structs.replace(evolving.empty(*about), uid=said.uid),
            declared=document.parse(text),
            policy=None,
            last_verified=None,
        )


def may_reach(
    request: web.Request, parsed: composition.Composition, *known: composition.Composition | None
) -> None:
    """Refuse what reaches secrets, commands or files of this machine as nobody has let it who may.

    Raises:
        ForbiddenError: who asks does not administer where the stack is to be.
    """
    found = secrecy.new_reaches(parsed, *known)
    where = (parsed.client_id, parsed.environment)
    if found and not request.principal.may(access.Permission.ADMINISTER, *where):
        raise errors.ForbiddenError(
            f"{', '.join(found[:5])}: reaches secrets, commands or files of this server, and is "
            f"new or not as before: that needs the role admin for client {where[0][:80]}, "
            f"environment {where[1][:80]}; whoever operates may change the rest"
        )


def declaration(
    before: reading.Known | None,
    parsed: composition.Composition,
    said: events.Declared | None,
    *,
    position: int = 0,
    dry_run: bool = False,
) -> stack_asks.DeclaredStack:
    """What a declaration changes; `said` None: it is declared so already."""
    known = before if before is not None and before.state.is_declared else None
    if said is not None:
        found = versions.changes(None if known is None else known.declared, parsed)
        generation, version = said.generation, said.version
    else:
        assert known is not None, "nothing is said only of what is declared so already"
        found = versions.Changes()
        generation, version = known.state.generation, known.state.version
    return stack_asks.DeclaredStack(
        client_id=parsed.client_id,
        stack_id=parsed.stack_id,
        generation=generation,
        state_version=version,
        position=position,
        hash=parsed.hash,
        added=list(found.added),
        changed=list(found.changed),
        removed=list(found.removed),
        unchanged=said is None,
        dry_run=dry_run,
    )


DECLARED = {
    200: web.Reply("Checked (`dry_run`), or declared so already.", stack_asks.DeclaredStack),
    201: web.Reply("Declared.", stack_asks.DeclaredStack),
}
