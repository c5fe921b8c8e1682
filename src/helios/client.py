"""A typed client of the HTTP API; the command line uses it too.

    async with client.Client("http://127.0.0.1:8420") as helios:
        receipt = await helios.append({"source": "shop", "eventType": "OrderPlaced", "payload": {}})
        verdicts = await helios.key("order-fulfilment", "ORD-7", after=receipt.position)

Problems come back as the errors of `helios.kernel.errors` that the server raised.
"""

import http.cookiejar
import types
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from importlib import metadata
from typing import Any, Self, TypeVar

import httpx
import msgspec

from helios.api import operations, services, wire
from helios.api.routes import alerts as alert_routes
from helios.api.routes import content as content_routes
from helios.api.routes import contracts as contract_routes
from helios.api.routes import source_actions, system
from helios.api.routes import sources as source_routes
from helios.api.routes import verdicts as verdict_routes
from helios.api.routes import views as view_routes
from helios.calls import base, credentials, every
from helios.ingest import gateway
from helios.kernel import errors
from helios.projections.views import content_read
from helios.reconcile.compositions import refusals

T = TypeVar("T")

TIMEOUT_S = 40.0
"""Longest wait for an answer: a little more than the longest wait of the server."""


class UnreachableError(errors.HeliosError):
    """No server answers at the address."""

    code = "server_unreachable"
    retryable = True


class UnexpectedAnswerError(errors.HeliosError):
    """Whoever answers at the address is not Helios, or not this version of it."""

    code = "unexpected_answer"


class Client(every.Calls):
    """Talks to one server.

    Args:
        url: where it is, such as `http://127.0.0.1:8420`.
        token: shows who asks: of a service, or of a session; None where nobody has to.
        session: shows it by a session that is kept going; instead of a token.
        transport: another way to it than the network: for tests, and for reading a data folder.
        timeout_s: longest wait for an answer.
        speaks: whether to say on whose behalf it asks; not where the token says that.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        session: credentials.Kept | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
        speaks: bool = True,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.url,
            auth=session if token is None else credentials.Bearer(token),
            transport=transport,
            timeout=timeout_s,
            headers={"user-agent": f"helios/{metadata.version('helios')}"},
            trust_env=False,
            event_hooks={"request": [] if speaks else [credentials.silent]},
        )
        # Who asks shows in each request by itself; cookies would be a second opinion.
        self._http.cookies.jar.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: types.TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def append(
        self, event: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> gateway.Receipt:
        """Append one event, in the form of `POST /api/v1/events/ingest`."""
        return await self._send(
            gateway.Receipt,
            "POST",
            "/api/v1/events/ingest",
            json=event,
            headers=_headers(idempotency_key),
        )

    async def append_lines(
        self, lines: bytes, *, idempotency_key: str | None = None
    ) -> gateway.BatchReceipt:
        """Append events given as NDJSON; says of each line that was refused why."""
        headers = {**_headers(idempotency_key), "content-type": "application/x-ndjson"}
        return await self._send(
            gateway.BatchReceipt,
            "POST",
            "/api/v1/events/ingest/batch",
            content=lines,
            headers=headers,
        )

    async def events(self, **query: str | int | None) -> wire.EventList:
        """One page of events; parameters as of `GET /api/v1/events`."""
        return await self._get(wire.EventList, "/api/v1/events", query)

    async def status(self) -> system.Status:
        """Numbers at a glance."""
        return await self._get(system.Status, "/api/v1/status")

    async def ready(self) -> system.Readiness:
        """Whether requests are served as they should be, thing by thing."""
        answer = await self._request("GET", "/ready")
        if answer.status_code not in (200, 503):
            _raise(answer)
        return _decode(answer, system.Readiness)

    async def declare(
        self,
        document: str,
        *,
        dry_run: bool = False,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> contract_routes.Declared:
        """Declare a contract (YAML), or only check it."""
        headers = {**_headers(idempotency_key), "content-type": "application/yaml"}
        if if_match is not None:
            headers["if-match"] = if_match
        return await self._send(
            contract_routes.Declared,
            "POST",
            "/api/v1/contracts",
            content=document.encode(),
            params={"dry_run": "true"} if dry_run else {},
            headers=headers,
        )

    async def contracts(self, client_id: str | None = None) -> contract_routes.ContractList:
        """The contracts that apply now."""
        return await self._get(
            contract_routes.ContractList, "/api/v1/contracts", {"client_id": client_id}
        )

    async def contract(
        self, name: str, client_id: str | None = None
    ) -> contract_routes.ContractView:
        """The version of a contract that applies now."""
        path = f"/api/v1/contracts/{base.segment(name)}"
        return await self._get(contract_routes.ContractView, path, {"client_id": client_id})

    async def withdraw(self, name: str, client_id: str | None = None) -> contract_routes.Withdrawn:
        """Withdraw a contract; its history stays."""
        return await self._send(
            contract_routes.Withdrawn,
            "DELETE",
            f"/api/v1/contracts/{base.segment(name)}",
            params=base.given({"client_id": client_id}),
        )

    async def declare_sources(
        self,
        documents: str,
        *,
        dry_run: bool = False,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> source_routes.DeclaredSources:
        """Declare sources (YAML, several separated by `---`), or only check them."""
        headers = {**_headers(idempotency_key), "content-type": "application/yaml"}
        if if_match is not None:
            headers["if-match"] = if_match
        return await self._send(
            source_routes.DeclaredSources,
            "POST",
            source_routes.PATH,
            content=documents.encode(),
            params={"dry_run": "true"} if dry_run else {},
            headers=headers,
        )

    async def sources(self, client_id: str | None = None) -> source_routes.SourceList:
        """The sources that are declared now."""
        return await self._get(
            source_routes.SourceList, source_routes.PATH, {"client_id": client_id}
        )

    async def source(self, name: str, client_id: str | None = None) -> source_routes.SourceView:
        """A source and how it is doing."""
        return await self._of_source(source_routes.SourceView, "GET", name, "", client_id)

    async def pause_source(
        self, name: str, client_id: str | None = None
    ) -> source_routes.ChangedSource:
        """Fetch nothing until it is resumed."""
        return await self._of_source(source_routes.ChangedSource, "POST", name, "/pause", client_id)

    async def resume_source(
        self, name: str, client_id: str | None = None
    ) -> source_routes.ChangedSource:
        """Fetch again."""
        return await self._of_source(
            source_routes.ChangedSource, "POST", name, "/resume", client_id
        )

    async def remove_source(
        self, name: str, client_id: str | None = None
    ) -> source_routes.ChangedSource:
        """Remove a source; its events stay."""
        return await self._of_source(source_routes.ChangedSource, "DELETE", name, "", client_id)

    async def source_health(
        self, name: str, client_id: str | None = None
    ) -> source_actions.SourceHealth:
        """How the provider of a source is doing."""
        return await self._of_source(source_actions.SourceHealth, "GET", name, "/health", client_id)

    async def hooks(self, name: str, client_id: str | None = None) -> source_actions.HookList:
        """The webhooks that are registered at the provider of a source."""
        return await self._of_source(source_actions.HookList, "GET", name, "/hooks", client_id)

    async def mend_hook(
        self,
        name: str,
        client_id: str | None = None,
        *,
        url: str | None = None,
        events: Sequence[str] = (),
        dry_run: bool = False,
    ) -> source_actions.HookChange:
        """Register the webhook of a source at its provider, or mend it."""
        query = {"client_id": client_id, "dry_run": "true" if dry_run else None}
        return await self._send(
            source_actions.HookChange,
            "POST",
            _source_path(name, "/hooks"),
            params=base.given(query),
            json={"url": url, "events": list(events)},
        )

    async def delete_hook(
        self, name: str, hook_id: str, client_id: str | None = None, *, dry_run: bool = False
    ) -> source_actions.HookChange:
        """Take a webhook off at the provider."""
        query = {"client_id": client_id, "dry_run": "true" if dry_run else None, "hook_id": hook_id}
        return await self._send(
            source_actions.HookChange,
            "DELETE",
            _source_path(name, "/hooks"),
            params=base.given(query),
        )

    def replay_source(
        self,
        name: str,
        client_id: str | None = None,
        *,
        since: str | None = None,
        ids: Sequence[str] = (),
    ) -> AsyncIterator[operations.Progress]:
        """Fetch again what a source had since a time, or these events: the steps, the last with
        the result. Raises as `on_view`.
        """
        asked = {"since": since, "ids": list(ids)}
        query = base.given({"client_id": client_id})
        return self._steps(_source_path(name, "/replay"), params=query, json=asked)

    def poll_source(
        self, name: str, client_id: str | None = None
    ) -> AsyncIterator[operations.Progress]:
        """Ask the provider of a source now what changed. As `replay_source`."""
        return self._steps(_source_path(name, "/poll"), params=base.given({"client_id": client_id}))

    async def providers(self) -> source_actions.ProviderList:
        """What a source can be of."""
        return await self._get(source_actions.ProviderList, "/api/v1/providers")

    async def verdicts(
        self, contract: str | None = None, **query: str | int | None
    ) -> verdict_routes.VerdictList:
        """Current verdicts of a contract, or of all the keys that do not match."""
        if contract is None:
            path = "/api/v1/reconciliation/mismatches"
        else:
            path = f"/api/v1/contracts/{base.segment(contract)}/verdicts"
        return await self._get(verdict_routes.VerdictList, path, query)

    async def alerts(self, **query: str | int | None) -> alert_routes.AlertList:
        """What somebody was told of keys that do not match, newest first."""
        return await self._get(alert_routes.AlertList, "/api/v1/alerts", query)

    async def key(
        self,
        contract: str,
        key: str,
        *,
        client_id: str | None = None,
        history: bool = False,
        after: int | None = None,
    ) -> verdict_routes.KeyVerdicts:
        """How one key stands; `after` waits until that position is visible."""
        return await self._send(
            verdict_routes.KeyVerdicts,
            "GET",
            f"/api/v1/contracts/{base.segment(contract)}/verdicts/{base.segment(key)}",
            params=base.given({"client_id": client_id, "history": "true" if history else None}),
            headers={} if after is None else {"helios-after": str(after)},
        )

    async def order(self, order_id: str, client_id: str | None = None) -> verdict_routes.OrderView:
        """How one order stands, whichever contract knows it."""
        path = f"/api/v1/reconciliation/{base.segment(order_id)}"
        return await self._get(verdict_routes.OrderView, path, {"client_id": client_id})

    async def views(self) -> view_routes.ViewList:
        """How the views are doing."""
        return await self._get(view_routes.ViewList, "/api/v1/views")

    async def content(self, **query: str | int | None) -> content_read.Page:
        """One page of cached content; parameters as of `GET /api/v1/content`."""
        return await self._get(content_read.Page, "/api/v1/content", query)

    async def content_one(
        self, source: str, content_type: str, content_id: str, **query: str | None
    ) -> content_read.Page:
        """One content, a row for each language. Raises NotFoundError when it is not there."""
        place = "/".join(base.segment(part) for part in (source, content_type, content_id))
        return await self._get(content_read.Page, f"/api/v1/content/{place}", query)

    async def invalidate(self, source: str, **which: str | None) -> content_routes.Invalidated:
        """Mark cached content of a source as stale: all, or of a `type`, or one `id`."""
        return await self._send(
            content_routes.Invalidated,
            "POST",
            "/api/v1/content/invalidate",
            json={"source": source, **base.given(which)},
        )

    async def on_view(self, name: str, operation: str) -> AsyncIterator[operations.Progress]:
        """`rebuild` or `verify` a view: its steps, the last with the result.

        Raises:
            HeliosError: the operation failed; says why.
        """
        path = f"/api/v1/views/{base.segment(name)}/{operation}"
        async for step in self._steps(path):
            yield step

    async def _steps(self, path: str, **request: Any) -> AsyncIterator[operations.Progress]:
        async for step in self._lines(operations.Progress, path, **request):
            yield step

    async def _lines(self, kind: type[T], path: str, **request: Any) -> AsyncIterator[T]:
        try:
            async with self._http.stream("POST", path, timeout=None, **request) as answer:
                if answer.is_error:
                    await answer.aread()
                    _raise(answer)
                async for line in answer.aiter_lines():
                    step = msgspec.json.decode(line, type=kind)
                    problem = getattr(step, "problem", None)
                    if problem is not None:
                        raise _error(msgspec.json.encode(problem))
                    yield step
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    async def _of_source(
        self, kind: type[T], method: str, name: str, below: str, client_id: str | None
    ) -> T:
        return await self._send(
            kind, method, _source_path(name, below), params=base.given({"client_id": client_id})
        )

    async def _get(self, kind: type[T], path: str, query: base.Params | None = None) -> T:
        return await self._send(kind, "GET", path, params=base.given(query or {}))

    async def _send(self, kind: type[T], method: str, path: str, **request: Any) -> T:
        answer = await self._request(method, path, **request)
        if answer.is_error:
            _raise(answer)
        return _decode(answer, kind)

    async def _followed(self, path: str, query: base.Params) -> AsyncGenerator[str, None]:
        try:
            async with self._http.stream(
                "GET", path, params=base.given(query), timeout=None
            ) as answer:
                if answer.is_error:
                    await answer.aread()
                    _raise(answer)
                async for line in answer.aiter_lines():
                    yield line
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _fetched(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            _raise(answer)
        return answer

    async def _fetch(self, path: str, query: base.Params | None = None) -> httpx.Response:
        return self._fetched(await self._request("GET", path, params=base.given(query or {})))

    async def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        reason = str(error) or type(error).__name__
        return UnreachableError(
            f"no server answers at {self.url} ({reason}): start one with `helios serve`, or give "
            "another address with --url"
        )


_KINDS: tuple[type[errors.HeliosError], ...] = (
    errors.InvalidInputError,
    errors.TooLargeError,
    errors.NotFoundError,
    errors.ConflictError,
    errors.CursorError,
    errors.IdempotencyError,
    errors.DeadlineError,
    errors.OverloadError,
    errors.StorageError,
    errors.StorageFailedError,
    errors.CorruptionError,
    errors.GoneError,
    errors.LimitedError,
    errors.UnauthenticatedError,
    errors.ForbiddenError,
    services.NotRunningError,
    *refusals.REFUSED,
)
_BY_CODE: dict[str, type[errors.HeliosError]] = {kind.code: kind for kind in _KINDS}


def _decode(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswerError(
            f"{answer.request.url} does not answer as this version of Helios does: {error}"
        ) from error


def _raise(answer: httpx.Response) -> None:
    raise _error(answer.content, f"{answer.request.url} answers {answer.status_code}")


def _error(body: bytes, place: str = "the server") -> errors.HeliosError:
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
        code, detail = problem["code"], problem["detail"]
    except (msgspec.DecodeError, KeyError):
        return UnexpectedAnswerError(f"{place}, and not as Helios does; is it another server?")
    return _BY_CODE.get(code, errors.HeliosError)(detail)


def _source_path(name: str, below: str) -> str:
    return f"{source_routes.PATH}/{base.segment(name)}{below}"


def _headers(idempotency_key: str | None) -> dict[str, str]:
    return {} if idempotency_key is None else {"idempotency-key": idempotency_key}


__all__: Sequence[str] = ("Client", "UnexpectedAnswerError", "UnreachableError")
