"""Dead letters: reading them, mending them, trying them again."""

import base64
import math
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import msgspec

from helios.access import model
from helios.api import dead_letters as shown
from helios.api import facets, jobs, links, problems, services, web, wire
from helios.eventlog import envelope
from helios.ingest import dead_letters
from helios.kernel import (
    acting,
    cloudevents_wire,
    errors,
    filtering,
    jsonio,
    limits,
)
from helios.projections.views import dead_letters as view

NDJSON = "application/x-ndjson"
VISIBLE_S = 5.0
"""How long a request waits for the view to know the letters recorded so far."""

PER_S_MAX = 10_000.0
NOTE_CHARS_MAX = 1_000
_SAMPLE = 10
_HISTORY_MAX = 200
_STATUSES = ("open", "retried", "discarded", "all")


_CLIENT = web.Parameter("client_id", "Whose letter; `default` without it.")
_OF_ANY = web.Parameter("client_id", "Whose letter; without it the id alone finds it.")
_FILTERS = (
    web.Parameter("client_id", "Of this client only."),
    web.Parameter("source", "For this source only."),
    web.Parameter("reason", "Of this reason only."),
    web.Parameter("type", "Of this event type only."),
    web.Parameter("template", "Whose detail is this, without what differs."),
    web.Parameter("status", "`open` (without it), `retried`, `discarded` or `all`."),
    web.Parameter("since", "Recorded at this time or later (RFC 3339)."),
    web.Parameter("until", "Recorded before this time (RFC 3339)."),
)
_FILTER_NAMES = tuple(parameter.name for parameter in _FILTERS)
_wanted = msgspec.json.Decoder(shown.Wanted).decode


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on dead letters."""
    return [*_reading(_Reader(parts)), *_working(_Worker(parts)), *_together(_Bulk(parts))]


def _reading(reader: "_Reader") -> list[web.Route]:
    return [
        web.Route(
            method="GET",
            path="/api/v1/dead-letters",
            handler=reader.listing,
            summary="What could not be taken, newest first",
            tag="dead letters",
            replies={200: web.Reply("One page.", shown.LetterList)},
            parameters=(*_FILTERS, wire.CURSOR, wire.LIMIT, wire.AFTER),
        ),
        web.Route(
            method="GET",
            path="/api/v1/dead-letters/groups",
            handler=reader.groups,
            summary="How many there are of each cause",
            tag="dead letters",
            replies={200: web.Reply("Most frequent first.", shown.GroupList)},
            parameters=(*_FILTERS, wire.AFTER),
        ),
        web.Route(
            method="GET",
            path="/api/v1/dead-letters/{id}",
            handler=reader.one,
            summary="A dead letter with its body",
            tag="dead letters",
            replies={200: web.Reply("All that was kept.", shown.WholeLetter)},
            parameters=(_OF_ANY, wire.AFTER),
        ),
    ]


def _working(worker: "_Worker") -> list[web.Route]:
    note = web.Parameter("note", "Why; kept with it.")
    return [
        web.Route(
            method="PUT",
            path="/api/v1/dead-letters/{id}/body",
            handler=worker.edit,
            summary="Give a dead letter another body to try with; the first one stays in the log",
            tag="dead letters",
            body={"*/*": str},
            replies={200: web.Reply("Edited.", shown.Changed)},
            parameters=(_CLIENT, note),
        ),
        web.Route(
            method="POST",
            path="/api/v1/dead-letters/{id}/retry",
            handler=worker.retry,
            summary="Try a dead letter again; any number of times makes one event",
            tag="dead letters",
            replies={200: web.Reply("What came of it.", shown.Retried)},
            parameters=(_CLIENT,),
        ),
        web.Route(
            method="POST",
            path="/api/v1/dead-letters/{id}/discard",
            handler=worker.discard,
            summary="Close a dead letter; it stays in the log",
            tag="dead letters",
            replies={200: web.Reply("Discarded.", shown.Changed)},
            parameters=(_CLIENT, note),
        ),
    ]


def _together(bulk: "_Bulk") -> list[web.Route]:
    lines = {
        200: web.Reply(
            "A line per step; the last says what came of all.", shown.LettersProgress, NDJSON
        ),
        202: web.Reply("With `background`: the job that does it.", jobs.JobView),
    }
    return [
        web.Route(
            method="POST",
            path=f"/api/v1/dead-letters/{name}",
            handler=handler,
            summary=summary,
            tag="dead letters",
            body={"application/json": shown.Wanted},
            replies=lines,
        )
        for name, handler, summary in (
            ("retry", bulk.retry, "Try all open letters of a filter again, oldest first"),
            ("discard", bulk.discard, "Close all open letters of a filter"),
        )
    ]


class _Reader:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts
        self._store = parts.store

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query(*_FILTER_NAMES, "cursor", "limit")
        await self._visible(request)
        page = await view.page(
            self._store, _where(query), after=query.get("cursor"), limit=wire.limit(query)
        )
        letters = [shown.letter(one) for one in page.letters]
        return web.answer(shown.LetterList(letters=letters, next_cursor=page.next_cursor))

    async def groups(self, request: web.Request) -> web.Response:
        query = request.query(*_FILTER_NAMES)
        await self._visible(request)
        return web.answer(shown.grouped(await view.groups(self._store, _where(query))))

    async def one(self, request: web.Request) -> web.Response:
        client_id = wire.client_or_any(request)
        await self._visible(request)
        row = await view.one(self._store, client_id, request.params["id"])
        letter = await self._parts.letters.read(row.position, row.edited_position)
        events = await self._parts.log.read(
            envelope.Position(row.position - 1),
            limit=_HISTORY_MAX,
            where=envelope.Filter(
                tenant=row.client_id,
                types=(view.RECORDED, view.EDITED, view.RETRIED, view.DISCARDED),
                aggregate_type=view.AGGREGATE_TYPE,
                aggregate_id=row.id,
            ),
        )
        return web.answer(
            shown.WholeLetter(
                letter=shown.letter(row),
                method=letter.recorded.method,
                path=letter.recorded.path,
                headers=[shown.Header(*pair) for pair in letter.recorded.headers],
                body=base64.b64encode(letter.body).decode(),
                text=_text(letter.body),
                history=shown.history(events.events),
            )
        )

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(view.NAME, after)


class _Worker:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def edit(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "note")
        body = await request.body(dead_letters.BODY_BYTES_MAX)
        row = await self._row(query, request)
        at = await self._parts.letters.edit(
            row.client_id, row.id, body, note=_note(query.get("note", "")), actor=acting.current()
        )
        return _changed(row, at)

    async def discard(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "note")
        row = await self._row(query, request)
        if row.status == "discarded":
            return _changed(row, row.position)
        at = await self._parts.letters.discard(
            row.client_id, row.id, note=_note(query.get("note", "")), actor=acting.current()
        )
        return _changed(row, at)

    async def retry(self, request: web.Request) -> web.Response:
        row = await self._row(request.query("client_id"), request)
        letter = await self._parts.letters.read(row.position, row.edited_position)
        done = await self._parts.letters.retry(letter, actor=acting.current())
        told = shown.Retried(
            id=row.id,
            client_id=row.client_id,
            result=done.outcome.result,
            positions=done.outcome.positions,
            reason=done.outcome.reason,
            detail=done.outcome.detail,
            position=done.position,
        )
        return web.answer(told, headers=[wire.position_header(done.position)])

    async def _row(self, query: dict[str, str], request: web.Request) -> view.Letter:
        """The letter as it is now, and not as a view that lags has it.

        Raises:
            ConflictError: it was discarded.
        """
        await caught_up(self._parts)
        client_id = query.get("client_id", envelope.DEFAULT_TENANT)
        row = await view.one(self._parts.store, client_id, request.params["id"])
        if row.status == "discarded" and not request.path.endswith("/discard"):
            raise errors.ConflictError(
                f"dead letter {row.id} was discarded; nothing more is done with it"
            )
        return row


class _Bulk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def retry(self, request: web.Request) -> web.Response:
        return await self._work(request, "retry")

    async def discard(self, request: web.Request) -> web.Response:
        return await self._work(request, "discard")

    async def _work(self, request: web.Request, what: Literal["retry", "discard"]) -> web.Response:
        request.query()
        wanted = _asked(await _document(request))
        if wanted.client_id is not None:
            request.principal.require(model.Permission.OPERATE, wanted.client_id)
        where, expression = _open(wanted), _expression(wanted)
        await caught_up(self._parts)
        upto = await self._parts.log.head()
        if wanted.dry_run:
            preview = await self._preview(where, expression, upto)
            return web.Response(body=jsonio.encode(preview) + b"\n", content_type=NDJSON.encode())
        total = (await self._preview(where, expression, upto)).total
        work = _Work(wanted, where, expression, upto, total, what)
        if not wanted.background:
            return web.Response(content_type=NDJSON.encode(), stream=self._lines(work))
        assert self._parts.jobs is not None, "an application has jobs"
        asked = jobs.Asked(
            kind=f"dead-letters.{what}",
            title=f"{what} {total} dead letters",
            client_id=wanted.client_id,
            total=total,
            failures_max=wanted.stop_after,
        )
        return web.answer(self._parts.jobs.start(asked, lambda: self._steps(work)), status=202)

    async def _preview(
        self, where: view.Where, expression: filtering.Expression, upto: envelope.Position
    ) -> shown.LettersProgress:
        """How many there are, of which groups, and some of them."""
        if not expression.terms:
            found = await view.groups(self._parts.store, where)
            first = await view.oldest(
                self._parts.store, where, after=envelope.Position(0), upto=upto, limit=_SAMPLE
            )
            return shown.LettersProgress(
                phase="preview",
                total=await view.count(self._parts.store, where),
                groups=[shown.group(one) for one in found.groups],
                sample=[shown.letter(one) for one in first],
            )
        letters = []
        async for row in self._open_letters(where, expression, upto):
            letters.append(row)
            if len(letters) >= limits.LETTERS_FILTERED_MAX:
                break
        return shown.LettersProgress(
            phase="preview",
            total=len(letters),
            groups=[shown.group(one) for one in view.grouped(letters)],
            sample=[shown.letter(one) for one in letters[:_SAMPLE]],
        )

    async def _steps(self, work: "_Work") -> AsyncIterator[jobs.Step]:
        """Work letter by letter, not faster than asked for."""
        clock = self._parts.clock
        due_s = clock.monotonic()
        async for row in self._open_letters(work.where, work.expression, work.upto):
            await clock.sleep(max(0.0, due_s - clock.monotonic()))
            due_s = max(due_s, clock.monotonic() - 1.0) + 1.0 / work.wanted.per_s
            yield await self._one(row, work.wanted, work.what)

    async def _lines(self, work: "_Work") -> AsyncIterator[bytes]:
        """The same as lines; a client that goes away ends it between two letters."""
        counts: dict[str, int] = {}
        failed, phase = 0, "done"
        try:
            async for step in self._steps(work):
                counts[step.outcome] = counts.get(step.outcome, 0) + 1
                failed += step.failure is not None
                yield jsonio.encode(_progress("working", counts, work.total)) + b"\n"
                if work.wanted.stop_after is not None and failed >= work.wanted.stop_after:
                    phase = "stopped"
                    break
        except errors.HeliosError as error:
            problem = msgspec.Raw(problems.of(error).body)
            last = msgspec.structs.replace(_progress("failed", counts, work.total), problem=problem)
        else:
            last = _progress(phase, counts, work.total)
        yield jsonio.encode(last) + b"\n"

    async def _open_letters(
        self, where: view.Where, expression: filtering.Expression, upto: envelope.Position
    ) -> AsyncIterator[view.Letter]:
        after = envelope.Position(0)
        while rows := await view.oldest(self._parts.store, where, after=after, upto=upto):
            for row in rows:
                if filtering.holds(expression, facets.look(facets.letter(row))):
                    yield row
            after = rows[-1].position

    async def _one(self, row: view.Letter, wanted: shown.Wanted, what: str) -> jobs.Step:
        desk = self._parts.letters
        if what == "discard":
            await desk.discard(row.client_id, row.id, note=wanted.note, actor=acting.current())
            return jobs.Step(outcome="discarded")
        letter = await desk.read(row.position, row.edited_position)
        try:
            told = (await desk.retry(letter, actor=acting.current())).outcome
        except errors.ConflictError:
            return jobs.Step(outcome="skipped")
        failure = None
        if told.result == "dead":
            failure = jobs.Failure(
                id=row.id,
                client_id=row.client_id,
                reason=told.reason,
                detail=told.detail,
                link=links.letter(row.client_id, row.id),
            )
        return jobs.Step(outcome=told.result, failure=failure)


class _Work(msgspec.Struct, frozen=True):
    wanted: shown.Wanted
    where: view.Where
    expression: filtering.Expression
    upto: envelope.Position
    total: int
    what: Literal["retry", "discard"]


async def caught_up(parts: services.Services) -> None:
    """Return when the view knows every letter recorded so far, or at a bound."""
    await parts.views.wait_for(view.NAME, await parts.log.head(), timeout_s=VISIBLE_S)


def _progress(phase: str, counts: Mapping[str, int], total: int) -> shown.LettersProgress:
    return shown.LettersProgress(
        phase=phase,
        done=sum(counts.values()),
        total=total,
        stored=counts.get("stored", 0),
        duplicates=counts.get("duplicate", 0),
        dead=counts.get("dead", 0),
        discarded=counts.get("discarded", 0),
        skipped=counts.get("skipped", 0),
    )


async def _document(request: web.Request) -> bytes:
    body = await request.body(64 << 10)
    kind = cloudevents_wire.media_type(request.header(b"content-type"))
    if body and kind != "application/json":
        raise problems.MediaTypeError(f"content type {kind or 'nothing'}; send application/json")
    jsonio.parse_object(body or b"{}")
    return body or b"{}"


def _asked(document: bytes) -> shown.Wanted:
    try:
        wanted = _wanted(document)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        field = place.rstrip("`").lstrip(".") or None
        raise errors.InvalidInputError(message, field=field) from None
    if not (math.isfinite(wanted.per_s) and 0 < wanted.per_s <= PER_S_MAX):
        raise errors.InvalidInputError(f"expected above 0, up to {PER_S_MAX:g}", field="per_s")
    _note(wanted.note)
    return wanted


def _expression(wanted: shown.Wanted) -> filtering.Expression:
    if wanted.stop_after is not None and wanted.stop_after < 1:
        raise errors.InvalidInputError("expected 1 or more", field="stop_after")
    expression = filtering.parse(wanted.filter)
    facets.check(expression, "dead-letters")
    return expression


def _open(wanted: shown.Wanted) -> view.Where:
    return view.Where(
        client_id=wanted.client_id,
        source=wanted.source,
        reason=wanted.reason,
        event_type=wanted.type,
        template=wanted.template,
        status="open",
        start=wire.when(wanted.since, "since"),
        end=wire.when(wanted.until, "until"),
    )


def _where(query: dict[str, str]) -> view.Where:
    status: Any = query.get("status", "open")
    if status not in _STATUSES:
        raise errors.InvalidInputError(f"expected one of {', '.join(_STATUSES)}", field="status")
    return view.Where(
        client_id=query.get("client_id"),
        source=query.get("source"),
        reason=query.get("reason"),
        event_type=query.get("type"),
        template=query.get("template"),
        status=None if status == "all" else status,
        start=wire.time(query, "since"),
        end=wire.time(query, "until"),
    )


def _note(text: str) -> str:
    if len(text) > NOTE_CHARS_MAX:
        raise errors.InvalidInputError(f"at most {NOTE_CHARS_MAX} characters", field="note")
    return text


def _changed(row: view.Letter, at: int) -> web.Response:
    told = shown.Changed(id=row.id, client_id=row.client_id, position=at)
    return web.answer(told, headers=[wire.position_header(at)])


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
