"""What is done with a source beside declaring it: fetch again, look, and mend the sender's side."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import msgspec

from helios.api import operations, services, web, wire
from helios.api.routes import ingest
from helios.api.routes import sources as routes_of_sources
from helios.ingest import directory, hooks, kinds, sources
from helios.kernel import errors, jsonio, outbound
from helios.providers import ports as providers

T = TypeVar("T")

CALL_S = 30.0
"""Longest wait for a provider's API."""

IDS_MAX = 1_000
"""Events named in one replay. More: refused; send them in parts."""

_BODY_BYTES_MAX = 1 << 20
_PATH = f"{routes_of_sources.PATH}/{{name}}"


class SourceReplayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to fetch again: `since` a time, or the events of these `ids`; one of the two."""

    since: str | None = None
    ids: list[str] = []


class SourceHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the provider of a source is doing; null is unknown.

    Attributes:
        supported: the provider can be asked. If not, all else is null.
        reachable: it answered.
        authorised: the credential is valid.
        quota_left: calls left in the present window.
    """

    supported: bool
    reachable: bool | None = None
    authorised: bool | None = None
    quota_left: int | None = None
    detail: str = ""


class HookView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it is registered at the provider; `ours` leads to this source."""

    id: str | None
    name: str
    url: str
    events: list[str]
    enabled: bool
    ours: bool


class HookList(msgspec.Struct, frozen=True, kw_only=True):
    """The webhooks at the provider; `url` is where one for this source has to lead."""

    url: str
    hooks: list[HookView]


class HookRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the webhook has to be.

    Attributes:
        url: where it leads; null: this source's door.
        events: what it tells of; empty: as it is, or as the provider sets it up by itself.
    """

    url: str | None = None
    events: list[str] = []


class HookChange(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be with `dry_run`: `create`, `update`, `delete` or `none`."""

    action: str
    dry_run: bool
    hook: HookView


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    """What a source can be of.

    Attributes:
        installed: it can be used here; if not, `detail` says what to install.
        capabilities: what its adapter can do.
        fetches: it reads a queue, a subscription or a topic.
        trust: how far its event ids can be trusted; null when that is not its to say.
        options: JSON Schema of its settings.
    """

    name: str
    title: str
    installed: bool
    detail: str = ""
    capabilities: list[str] = []
    fetches: bool = False
    trust: str | None = None
    options: dict[str, Any] | None = None


class ProviderList(msgspec.Struct, frozen=True, kw_only=True):
    """All there are, by name."""

    providers: list[ProviderView]


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on sources that are declared, and the list of providers."""
    desk = _Desk(parts)
    return [*_fetching(desk), *_hooks(desk), *_listing(desk)]


def _route(method: str, path: str, handler: web.Handler, summary: str, **more: Any) -> web.Route:
    more.setdefault("tag", "sources")
    return web.Route(method=method, path=path, handler=handler, summary=summary, **more)


def _fetching(desk: "_Desk") -> list[web.Route]:
    progress = "A line per step; the last has the result."
    lines = {200: web.Reply(progress, operations.Progress, operations.NDJSON)}
    parameters = (routes_of_sources.CLIENT, wire.IDEMPOTENCY_KEY)
    return [
        _route(
            "POST",
            f"{_PATH}/replay",
            desk.replay,
            "Fetch again; what is in the log already stays as it is",
            body={"application/json": SourceReplayRequest},
            replies=lines,
            parameters=parameters,
        ),
        _route(
            "POST",
            f"{_PATH}/poll",
            desk.poll,
            "Ask the provider now what changed",
            replies=lines,
            parameters=parameters,
        ),
        _route(
            "GET",
            f"{_PATH}/health",
            desk.health,
            "How the provider of a source is doing",
            replies={200: web.Reply("As far as it can be told.", SourceHealth)},
            parameters=(routes_of_sources.CLIENT,),
        ),
    ]


def _hooks(desk: "_Desk") -> list[web.Route]:
    change = (routes_of_sources.CLIENT, routes_of_sources.DRY_RUN, wire.IDEMPOTENCY_KEY)
    changed = {200: web.Reply("What was done, or would be.", HookChange)}
    return [
        _route(
            "GET",
            f"{_PATH}/hooks",
            desk.hooks,
            "The webhooks that are registered at the provider",
            replies={200: web.Reply("All of them.", HookList)},
            parameters=(routes_of_sources.CLIENT,),
        ),
        *(
            _route(
                method,
                f"{_PATH}/hooks",
                desk.mend_hook,
                "Register the webhook of a source at the provider, or mend it",
                body={"application/json": HookRequest},
                replies=changed,
                parameters=change,
            )
            for method in ("POST", "PUT")
        ),
        _route(
            "DELETE",
            f"{_PATH}/hooks",
            desk.delete_hook,
            "Take a webhook off at the provider",
            replies=changed,
            parameters=(web.Parameter("hook_id", "The provider's id of it."), *change),
        ),
    ]


def _listing(desk: "_Desk") -> list[web.Route]:
    return [
        _route(
            "GET",
            "/api/v1/providers",
            desk.all_providers,
            "What a source can be of",
            tag="providers",
            replies={200: web.Reply("All, by name.", ProviderList)},
        ),
        _route(
            "GET",
            "/api/v1/providers/{name}",
            desk.provider,
            "One provider, with the schema of its settings",
            tag="providers",
            replies={200: web.Reply("The provider.", ProviderView)},
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def replay(self, request: web.Request) -> web.Response:
        tenant, name = wire.client(request), request.params["name"]
        body = await request.body(_BODY_BYTES_MAX)
        what = _replay(body)
        self._parts.table.find(tenant, name)

        async def run() -> Mapping[str, Any]:
            return _plain(await self._parts.runners.replay(tenant, name, what))

        asked = {"since": what.since, "ids": list(what.ids)}
        return self._long(request, "source.replay", body, asked, run)

    async def poll(self, request: web.Request) -> web.Response:
        tenant, name = wire.client(request), request.params["name"]
        self._parts.table.find(tenant, name)

        async def run() -> Mapping[str, Any]:
            return _plain(await self._parts.runners.poll(tenant, name))

        return self._long(request, "source.poll", b"", {}, run)

    async def health(self, request: web.Request) -> web.Response:
        found = self._found(request)
        if providers.Capability.HEALTH not in found.kind.capabilities:
            detail = f"{found.kind.title} cannot be asked how it is doing"
            return web.answer(SourceHealth(supported=False, detail=detail))
        adapter = cast("providers.HealthChecker", found.kind.adapter)
        try:
            told = await _bounded(adapter.health(self._api(found)))
        except outbound.OutboundError as error:
            told = providers.Health(reachable=False, detail=str(error))
        except providers.ProviderApiError as error:
            refused = error.status in (401, 403)
            authorised = False if refused else None
            told = providers.Health(reachable=True, authorised=authorised, detail=str(error))
        except errors.DeadlineError as error:
            told = providers.Health(reachable=False, detail=str(error))
        return web.answer(
            SourceHealth(
                supported=True,
                reachable=told.reachable,
                authorised=told.authorised,
                quota_left=told.quota_left,
                detail=told.detail,
            )
        )

    async def hooks(self, request: web.Request) -> web.Response:
        found = self._found(request)
        url = self._url(found, request)
        listed = await _bounded(_manager(found).list_hooks(self._api(found)))
        return web.answer(HookList(url=url, hooks=[_hook(each, url) for each in listed]))

    async def mend_hook(self, request: web.Request) -> web.Response:
        found, is_dry = self._found(request, "dry_run"), _is_dry(request)
        body = await request.body(_BODY_BYTES_MAX)
        wanted = _decode(body, HookRequest) if body else HookRequest()
        url = wanted.url or self._url(found, request)
        manager, api = _manager(found), self._api(found)

        async def run() -> Mapping[str, Any]:
            listed = await _bounded(manager.list_hooks(api))
            plan = hooks.mended(
                listed, url=url, events=tuple(wanted.events), secrets=found.source.secrets
            )
            made = plan.hook
            if plan.action == "create" and not is_dry:
                made = await _bounded(manager.create_hook(api, plan.hook))
            elif plan.action == "update" and not is_dry:
                made = await _bounded(manager.update_hook(api, plan.hook))
            return _plain(HookChange(action=plan.action, dry_run=is_dry, hook=_hook(made, url)))

        return await self._once(request, "source.hook_mend", found, body, run, is_dry=is_dry)

    async def delete_hook(self, request: web.Request) -> web.Response:
        found, is_dry = self._found(request, "dry_run", "hook_id"), _is_dry(request, "hook_id")
        hook_id = request.query("client_id", "dry_run", "hook_id").get("hook_id")
        if not hook_id:
            raise errors.InvalidInputError("is missing: say which webhook", field="hook_id")
        manager, api = _manager(found), self._api(found)

        async def run() -> Mapping[str, Any]:
            listed = await _bounded(manager.list_hooks(api))
            gone = next((each for each in listed if each.id == hook_id), None)
            if gone is None:
                raise errors.NotFoundError(f"the provider has no webhook {hook_id[:80]}")
            if not is_dry:
                await _bounded(manager.delete_hook(api, hook_id))
            shown = _hook(gone, self._url(found, request))
            return _plain(HookChange(action="delete", dry_run=is_dry, hook=shown))

        body = hook_id.encode()
        return await self._once(request, "source.hook_delete", found, body, run, is_dry=is_dry)

    async def all_providers(self, request: web.Request) -> web.Response:
        request.query()
        known = self._parts.kinds
        return web.answer(ProviderList(providers=[shown(known, name) for name in known.names]))

    async def provider(self, request: web.Request) -> web.Response:
        request.query()
        name, known = request.params["name"], self._parts.kinds
        if name not in known.names:
            known.get(name)
        return web.answer(shown(known, name))

    def _found(self, request: web.Request, *known: str) -> directory.Found:
        tenant = wire.client(request, *known)
        return self._parts.table.find(tenant, request.params["name"])

    def _api(self, found: directory.Found) -> providers.Api:
        return providers.Api(
            source=found.source, client=self._parts.outbound, clock=self._parts.clock
        )

    def _url(self, found: directory.Found, request: web.Request) -> str:
        path = directory.door(found.declared, self._parts.kinds)
        return self._parts.address(request.header(b"host")) + (path or "")

    def _operation(
        self, request: web.Request, kind: str, asked: Mapping[str, Any]
    ) -> operations.Operation:
        name = request.params["name"]
        return operations.Operation(
            kind=kind,
            tenant=wire.client(request, "dry_run", "hook_id"),
            # Not the source itself: its own events decide what If-Match means.
            aggregate_type="source_action",
            aggregate_id=name,
            request={"source": name, **asked},
        )

    def _long(
        self,
        request: web.Request,
        kind: str,
        body: bytes,
        asked: Mapping[str, Any],
        run: Callable[[], Awaitable[Mapping[str, Any]]],
    ) -> web.Response:
        operation = self._operation(request, kind, asked)
        key = ingest.idempotency(request, body, operation.tenant)
        steps: asyncio.Queue[operations.Progress] = asyncio.Queue(1)
        steps.put_nowait(operations.Progress(phase="asking"))
        return operations.response(self._parts, operation, key, run, steps)

    async def _once(
        self,
        request: web.Request,
        kind: str,
        found: directory.Found,
        body: bytes,
        run: Callable[[], Awaitable[Mapping[str, Any]]],
        *,
        is_dry: bool,
    ) -> web.Response:
        """A change at the provider, recorded; what is only tried leaves no trace."""
        if is_dry:
            return web.answer(await run())
        operation = self._operation(request, kind, {"provider": found.declared.provider})
        key = ingest.idempotency(request, body, operation.tenant)
        result, replayed = await operations.once(self._parts, operation, key, run)
        headers = [wire.REPLAYED] if replayed else []
        return web.answer(result, headers=headers)


def shown(known: kinds.Kinds, name: str) -> ProviderView:
    """A kind of source as the API shows it, also one that is not installed."""
    fetcher = known.fetcher(name)
    try:
        kind = known.get(name)
    except (errors.StorageError, errors.InvalidInputError) as error:
        title = fetcher.title if fetcher is not None else name
        is_fetched = fetcher is not None
        return ProviderView(
            name=name, title=title, installed=False, detail=str(error), fetches=is_fetched
        )
    return ProviderView(
        name=name,
        title=kind.title,
        installed=True,
        capabilities=sorted(kind.capabilities),
        fetches=kind.make is not None,
        trust=None if kind.adapter is None else kind.adapter.trust,
        options=kinds.described(kind.options),
    )


def _manager(found: directory.Found) -> providers.HookManager:
    if providers.Capability.WEBHOOKS not in found.kind.capabilities:
        raise errors.InvalidInputError(
            f"the webhooks of {found.kind.title} cannot be managed from here; set them up there"
        )
    return cast("providers.HookManager", found.kind.adapter)


async def _bounded(call: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(CALL_S):
            return await call
    except TimeoutError:
        raise errors.DeadlineError(f"the provider did not answer within {CALL_S:g} s") from None


def _hook(hook: providers.Hook, url: str) -> HookView:
    return HookView(
        id=hook.id,
        name=hook.name,
        url=hook.url,
        events=list(hook.events),
        enabled=hook.enabled,
        ours=hook.url == url,
    )


def _replay(body: bytes) -> sources.Replay:
    asked = _decode(body, SourceReplayRequest)
    if (asked.since is None) == (not asked.ids):
        raise errors.InvalidInputError("say either since or ids", field="since")
    if len(asked.ids) > IDS_MAX:
        raise errors.InvalidInputError(f"at most {IDS_MAX}, found {len(asked.ids)}", field="ids")
    return sources.Replay(since=wire.when(asked.since, "since"), ids=tuple(asked.ids))


def _decode(body: bytes, kind: type[T]) -> T:
    value = jsonio.parse_object(body)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise errors.InvalidInputError(str(error)) from None


def _is_dry(request: web.Request, *known: str) -> bool:
    return wire.flag(request.query("client_id", "dry_run", *known), "dry_run")


def _plain(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found
