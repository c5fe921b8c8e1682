"""Commands to the control bus, and the correlations that follow from them."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from helios.access import model
from helios.api import services, showing, speaking, web, wire
from helios.api.routes import ingest
from helios.api.routes import stack_desk as desks
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding
from helios.reconcile.bus import commands, events, view

COMMANDS = "/api/v1/commands"
CORRELATIONS = "/api/v1/correlations"
_NEVER = -1
"""No aggregate is at this sequence: an append that only a known idempotency key gets through."""

_CLOSED: tuple[events.Status, ...] = ("completed", "expired", "failed")


class CommandView(events.Command, frozen=True, kw_only=True):
    """A command and what became of it.

    Attributes:
        status: `queued`: not carried out yet; `completed`: what it asks for is in the log.
        attempts: tries so far; next_at: of the next one.
        code, detail: of the last error; empty when there was none.
        position: of the command in the log.
    """

    status: view.CommandStatus
    attempts: int
    next_at: str | None
    code: str
    detail: str
    position: int
    updated_at: str
    ended_at: str | None


class CommandList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of commands, newest first; read on with `cursor=next_cursor`."""

    commands: list[CommandView]
    next_cursor: str | None


class Together(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Commands that are issued together and complete or fail as one."""

    commands: list[commands.Issue]
    correlation_id: str | None = None


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that are in the log; follow them by their correlation.

    Attributes:
        position: to wait for, to read one's own write.
        unchanged: they were there before.
    """

    correlation_id: str
    commands: list[events.Command]
    position: int
    unchanged: bool = False


class CorrelationList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of correlations, newest first; read on with `cursor=next_cursor`."""

    correlations: list[events.Record]
    next_cursor: str | None


_Row: TypeAlias = tuple[
    str, str, web.Handler, str, dict[int, web.Reply], Sequence[web.Parameter], Mapping[str, Any]
]
"""Method, path, handler, summary, replies, parameters, body."""


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on commands and correlations."""
    return [
        web.Route(
            method=method,
            path=path,
            handler=handler,
            summary=summary,
            tag="control bus",
            replies=replies,
            parameters=parameters,
            body=body,
        )
        for method, path, handler, summary, replies, parameters, body in _table(_Desk(parts))
    ]


def _table(desk: "_Desk") -> list[_Row]:
    client = web.Parameter("client_id", "Whose it is; `default` without it.")
    of_client = web.Parameter("client_id", "Of this client only.")
    queued = web.Parameter("status", "`queued`, `completed`, `failed` or `expired` only.")
    status = web.Parameter("status", f"{', '.join(events.STATUSES)}: those in this status only.")
    paged = (wire.CURSOR, wire.LIMIT, wire.AFTER)
    write = (wire.IDEMPOTENCY_KEY, desks.ACTOR)
    issued = {
        200: web.Reply("They are in the log since before.", Issued),
        202: web.Reply("In the log.", Issued),
    }
    one, several = {"application/json": commands.Issue}, {"application/json": Together}
    command = {200: web.Reply("The command.", CommandView)}
    record = {200: web.Reply("The correlation.", events.Record)}
    listed = {200: web.Reply("One page.", CommandList)}
    found = {200: web.Reply("One page.", CorrelationList)}
    together = f"{COMMANDS}/together"
    as_one = "Issue commands that complete or fail as one"
    how = "A correlation and how it stands"
    return [
        ("POST", COMMANDS, desk.issue, "Issue a command", issued, write, one),
        ("POST", together, desk.issue_together, as_one, issued, write, several),
        ("GET", COMMANDS, desk.listing, "Commands", listed, (of_client, queued, *paged), {}),
        ("GET", f"{COMMANDS}/{{id}}", desk.one, "A command", command, (client, wire.AFTER), {}),
        (
            "GET",
            CORRELATIONS,
            desk.correlations,
            "Correlations",
            found,
            (of_client, status, *paged),
            {},
        ),
        (
            "GET",
            f"{CORRELATIONS}/{{id}}",
            desk.correlation,
            how,
            record,
            (client, wire.AFTER),
            {},
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def issue(self, request: web.Request) -> web.Response:
        asked, content = await desks.body(request, commands.Issue)
        return await self._issue(request, [asked], content)

    async def issue_together(self, request: web.Request) -> web.Response:
        asked, content = await desks.body(request, Together)
        return await self._issue(request, asked.commands, content, asked.correlation_id)

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "status", "cursor", "limit")
        status = _choice(query.get("status"), ("queued", "completed", "failed", "expired"))
        limit = wire.limit(query)
        await self._visible(request)
        found = await view.commands(
            self._parts.store,
            query.get("client_id"),
            status=status,
            before=_before(query),
            limit=limit,
        )
        more = str(found[-1].position) if len(found) == limit else None
        return web.answer(CommandList(commands=[_command(r) for r in found], next_cursor=more))

    async def one(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        await self._visible(request)
        found = await view.command(self._parts.store, client_id, request.params["id"])
        return web.answer(_command(found))

    async def correlations(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "status", "cursor", "limit")
        status = _choice(query.get("status"), events.STATUSES)
        limit = wire.limit(query)
        await self._visible(request)
        found = await view.correlations(
            self._parts.store,
            query.get("client_id"),
            status=status,
            before=_before(query),
            limit=limit,
        )
        more = str(found[-1].began) if len(found) == limit else None
        records = [row.record for row in found]
        return web.answer(CorrelationList(correlations=records, next_cursor=more))

    async def correlation(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        await self._visible(request)
        found = await view.correlation(self._parts.store, client_id, request.params["id"])
        return web.answer(found.record)

    async def _issue(
        self,
        request: web.Request,
        asked: Sequence[commands.Issue],
        content: bytes,
        correlation_id: str | None = None,
    ) -> web.Response:
        parts = self._parts
        for each in asked:
            request.principal.require(model.Permission.OPERATE, each.client_id)
        now, actor = parts.clock.now(), speaking.actor_of(request)
        made = commands.made(
            asked,
            now=now,
            id_source=parts.ids,
            correlation_id=correlation_id,
            window_s=parts.live.seconds("stacks.consistency_window")(),
        )
        known = await self._known(made)
        if known is not None:
            return web.answer(_issued(known, None, unchanged=True))
        client_id = made[0].client_id
        key = ingest.idempotency(request, content, client_id)
        said = commands.issued(made, now=now, actor=actor)
        closed = await self._closed(made[0])
        # What was refused is answered as before to who asks again by the same key.
        expected = {said[0].aggregate: _NEVER} if closed is not None else {}
        try:
            appended = await parts.log.append(said, expected=expected, idempotency=key)
        except errors.ConflictError:
            raise errors.ConflictError(
                f"correlation {made[0].correlation_id} has ended ({closed}); leave correlation_id "
                "out, or give another one"
            ) from None
        if appended.replayed or any(appended.duplicates):
            made = await self._again(made, appended)
        headers = [wire.position_header(appended.position)]
        headers += [wire.REPLAYED] if appended.replayed else []
        return web.answer(_issued(made, appended.position), status=202, headers=headers)

    async def _known(self, made: Sequence[events.Command]) -> list[events.Command] | None:
        """The same commands, issued before under these ids; None: at least one is new.

        Raises:
            IdempotencyError: an id names another command.
        """
        found = []
        for command in made:
            event_id = commands.issue_id(command.command_id)
            event = await self._parts.log.find(command.client_id, events.SOURCE, event_id)
            if event is not None:
                found.append(_first(command, event))
        if found and len(found) < len(made):
            raise errors.IdempotencyError(
                f"command {found[0].command_id} was issued before without the others"
            )
        return found or None

    async def _again(
        self, made: Sequence[events.Command], appended: envelope.Appended
    ) -> tuple[events.Command, ...]:
        """What the log has in place of these commands."""
        there = await self._parts.log.read_at(appended.positions)
        issued = [event for event in there if event.type == events.COMMAND_ISSUED]
        if appended.replayed:
            return tuple(folding.payload(event, events.Command) for event in issued)
        return tuple(_first(c, event) for c, event in zip(made, issued, strict=True))

    async def _closed(self, command: events.Command) -> events.Status | None:
        """The status of the correlation that a command wants to join, if that has ended."""
        with contextlib.suppress(errors.NotFoundError):
            row = await view.correlation(
                self._parts.store, command.client_id, command.correlation_id
            )
            return row.record.status if row.record.status in _CLOSED else None
        return None

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(view.NAME, after)


def _first(command: events.Command, event: envelope.Event) -> events.Command:
    first = folding.payload(event, events.Command)
    if not commands.is_same(first, command):
        raise errors.IdempotencyError(
            f"command {command.command_id} was issued before and says something else; give a new "
            "command_id"
        )
    return first


def _issued(
    made: Sequence[events.Command], position: int | None, *, unchanged: bool = False
) -> Issued:
    return Issued(
        correlation_id=made[0].correlation_id,
        commands=list(made),
        position=position or 0,
        unchanged=unchanged,
    )


def _choice(value: str | None, known: Sequence[Any]) -> Any:
    if value is not None and value not in known:
        raise errors.InvalidInputError(f"expected one of {', '.join(known)}", field="status")
    return value


def _before(query: Mapping[str, str]) -> int | None:
    if "cursor" not in query:
        return None
    return wire.whole(query["cursor"], "cursor", most=2**63 - 1, least=1)


def _command(row: view.CommandRow) -> CommandView:
    said = {name: getattr(row.command, name) for name in row.command.__struct_fields__}
    return CommandView(
        **said,
        status=row.status,
        attempts=row.attempts,
        next_at=showing.at(row.next_at),
        code=row.code,
        detail=row.detail,
        position=row.position,
        updated_at=clocks.to_rfc3339(row.updated_at),
        ended_at=showing.at(row.ended_at),
    )
