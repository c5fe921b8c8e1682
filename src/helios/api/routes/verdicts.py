"""Reading verdicts: of one key, by page, and judging anew."""

from typing import Annotated, Any, TypeAlias

import msgspec

from helios.access import model
from helios.api import operations, services, showing, web, wire
from helios.api.routes import ingest
from helios.eventlog import envelope
from helios.ingest import incoming
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, limits
from helios.reconcile.streams import verdicts

VIEW = "verdicts"
"""Name of the view that verdicts are read from."""

REPLAY = "/api/v1/reconciliation/replay"
REPLAY_KEYS_MAX = 1_000
_NOT_MATCHED: tuple[verdicts.Status, ...] = ("mismatched", "partial")


class VerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict, as `reconciliation_results` has it; times as RFC 3339."""

    id: str
    contract: str
    contract_version: int
    client_id: str
    key: str
    window_start: str
    window_end: str
    status: verdicts.Status
    events: dict[str, list[str]]
    missing_events: list[str]
    validation_errors: dict[str, dict[str, Any]]
    events_count: int
    late: bool
    superseded_by: str | None
    position: int
    created_at: str
    reconciled_at: str | None


class VerdictList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of verdicts; `next_cursor` is null at the end."""

    verdicts: list[VerdictView]
    next_cursor: str | None


class KeyVerdicts(msgspec.Struct, frozen=True, kw_only=True):
    """The verdicts of one key: the current ones, with `history` all, oldest first."""

    key: str
    verdicts: list[VerdictView]


class OrderView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One order, in the words of the order API; the newest verdict where there are several."""

    order_id: str
    status: verdicts.Status
    contract: str
    events: dict[str, list[str]]
    missing_events: list[str]
    validation_errors: dict[str, dict[str, Any]]
    late: bool
    reconciled_at: str | None
    verdicts: list[VerdictView]


_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ID_CHARS_MAX)]


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to judge again: some keys of a contract, or everything in a range of event time."""

    contract: _Name
    client_id: _Name = envelope.DEFAULT_TENANT
    keys: list[str] | None = None
    start_time: str | None = None
    end_time: str | None = None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that are judged again.

    Attributes:
        requested: how many.
        position: the verdicts are those of then; to wait for.
    """

    requested: int
    position: int


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on verdicts."""
    desk = _Desk(parts)
    client = web.Parameter("client_id", "Whose contract; `default` without it.")
    of_client = web.Parameter("client_id", "Of this client only.")
    page = (of_client, wire.CURSOR, wire.LIMIT, wire.AFTER)
    return [
        web.Route(
            method="GET",
            path="/api/v1/reconciliation/mismatches",
            handler=desk.mismatches,
            summary="Keys that do not match (mismatched or partial), newest first",
            tag="reconciliation",
            replies={200: web.Reply("One page.", VerdictList)},
            parameters=(
                web.Parameter("start_time", "Decided not before this time (RFC 3339)."),
                web.Parameter("end_time", "Decided before this time (RFC 3339)."),
                *page,
            ),
        ),
        web.Route(
            method="POST",
            path=REPLAY,
            handler=desk.replay,
            summary="Judge keys again from the log",
            tag="reconciliation",
            body={"application/json": ReplayRequest},
            replies={200: web.Reply("Asked for.", Replayed)},
            parameters=(wire.IDEMPOTENCY_KEY,),
        ),
        web.Route(
            method="GET",
            path="/api/v1/reconciliation/{orderId}",
            handler=desk.order,
            summary="How one order stands",
            tag="reconciliation",
            replies={200: web.Reply("The order.", OrderView)},
            parameters=(client, wire.AFTER),
        ),
        web.Route(
            method="GET",
            path="/api/v1/contracts/{name}/verdicts",
            handler=desk.page,
            summary="Current verdicts of a contract, newest first",
            tag="reconciliation",
            replies={200: web.Reply("One page.", VerdictList)},
            parameters=(web.Parameter("status", "matched, mismatched or partial."), *page),
        ),
        web.Route(
            method="GET",
            path="/api/v1/contracts/{name}/verdicts/{key}",
            handler=desk.key,
            summary="How one key of a contract stands",
            tag="reconciliation",
            replies={200: web.Reply("The key.", KeyVerdicts)},
            parameters=(
                client,
                web.Parameter("history", "`true`: also the verdicts that were superseded."),
                wire.AFTER,
            ),
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts
        self._reader = parts.verdicts

    async def order(self, request: web.Request) -> web.Response:
        tenant = _client(request.query("client_id"))
        key = request.params["orderId"]
        await self._visible(request)
        found = await self._reader.latest(tenant, None, key)
        if not found:
            raise errors.NotFoundError(f"no event of key {key[:80]!r} is known to any contract")
        newest = max(found, key=lambda verdict: (verdict.position, verdict.contract))
        return web.answer(
            OrderView(
                order_id=key,
                status=newest.status,
                contract=newest.contract,
                events=newest.events,
                missing_events=newest.missing_events,
                validation_errors=newest.validation_errors,
                late=newest.late,
                reconciled_at=showing.at(newest.reconciled_at),
                verdicts=[view(verdict) for verdict in found],
            )
        )

    async def mismatches(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "start_time", "end_time", "limit", "cursor")
        start, end = wire.time(query, "start_time"), wire.time(query, "end_time")
        if start is not None and end is not None and start >= end:
            raise errors.InvalidInputError("not after start_time", field="end_time")
        return await self._list(request, query, statuses=_NOT_MATCHED, start=start, end=end)

    async def page(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "status", "limit", "cursor")
        wanted = query.get("status")
        if wanted is not None and wanted not in ("matched", "mismatched", "partial"):
            raise errors.InvalidInputError(
                "expected matched, mismatched or partial; pending keys are not listed, ask for "
                "the key",
                field="status",
            )
        statuses: tuple[verdicts.Status, ...] | None
        statuses = None if wanted is None else (wanted,)  # type: ignore[assignment]
        return await self._list(request, query, contract=request.params["name"], statuses=statuses)

    async def key(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "history")
        tenant, name, key = _client(query), request.params["name"], request.params["key"]
        await self._visible(request)
        if query.get("history") == "true":
            found = await self._reader.history(tenant, name, key)
        else:
            found = await self._reader.latest(tenant, name, key)
        if not found:
            raise errors.NotFoundError(
                f"contract {name[:80]!r} of client {tenant[:80]} knows no event of key {key[:80]!r}"
            )
        return web.answer(KeyVerdicts(key=key, verdicts=[view(v) for v in found]))

    async def replay(self, request: web.Request) -> web.Response:
        body = await request.body(limits.EVENT_BYTES_MAX)
        jsonio.parse_object(body)
        try:
            asked = msgspec.json.decode(body, type=ReplayRequest)
        except msgspec.ValidationError as error:
            incoming.refuse_shape(error)
        request.principal.require(model.Permission.OPERATE, asked.client_id)
        keys = asked.keys
        if keys is not None and not 1 <= len(keys) <= REPLAY_KEYS_MAX:
            raise errors.InvalidInputError(f"1 to {REPLAY_KEYS_MAX} keys", field="keys")
        times = {
            name: value
            for name in ("start_time", "end_time")
            if (value := getattr(asked, name)) is not None
        }
        start, end = wire.time(times, "start_time"), wire.time(times, "end_time")
        if keys is None and start is None and end is None:
            raise errors.InvalidInputError("required, or start_time or end_time", field="keys")
        result, replayed = await operations.once(
            self._parts,
            operations.Operation(
                kind="reconciliation.replay",
                tenant=asked.client_id,
                aggregate_type="contract",
                aggregate_id=asked.contract,
                request=msgspec.to_builtins(asked),
            ),
            ingest.idempotency(request, body, asked.client_id),
            lambda: self._parts.rejudge(
                tenant=asked.client_id, contract=asked.contract, keys=keys, start=start, end=end
            ),
        )
        headers = [wire.REPLAYED] if replayed else []
        return web.answer(result, headers=headers)

    async def _list(
        self,
        request: web.Request,
        query: dict[str, str],
        *,
        contract: str | None = None,
        statuses: tuple[verdicts.Status, ...] | None = None,
        start: clocks.Timestamp | None = None,
        end: clocks.Timestamp | None = None,
    ) -> web.Response:
        await self._visible(request)
        found = await self._reader.page(
            query.get("client_id"),
            contract=contract,
            statuses=statuses,
            start=start,
            end=end,
            after=query.get("cursor"),
            limit=wire.limit(query),
        )
        shown = [view(verdict) for verdict in found.verdicts]
        return web.answer(VerdictList(verdicts=shown, next_cursor=found.next))

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(VIEW, after)


def view(seen: verdicts.Verdict) -> VerdictView:
    """A verdict as the API shows it."""
    return VerdictView(
        id=seen.id,
        contract=seen.contract,
        contract_version=seen.contract_version,
        client_id=seen.tenant,
        key=seen.key,
        window_start=clocks.to_rfc3339(seen.window_start),
        window_end=clocks.to_rfc3339(seen.window_end),
        status=seen.status,
        events=seen.events,
        missing_events=seen.missing_events,
        validation_errors=seen.validation_errors,
        events_count=seen.events_count,
        late=seen.late,
        superseded_by=seen.superseded_by,
        position=seen.position,
        created_at=clocks.to_rfc3339(seen.created_at),
        reconciled_at=showing.at(seen.reconciled_at),
    )


def _client(query: dict[str, str]) -> str:
    return query.get("client_id", envelope.DEFAULT_TENANT)
