"""How Helios itself is doing, its description, and the pages for people."""

import contextlib
from collections.abc import Mapping, Sequence
from importlib import metadata, resources

import msgspec

from helios.access import model
from helios.api import metrics, openapi, services, web
from helios.kernel import errors
from helios.projections.views import contracts

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
_SOURCE = "source:"
_TROUBLED = ("waiting", "failed", "unreadable")
_TYPES = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be well; `detail` says what is not."""

    name: str
    ok: bool
    detail: str
    lag_events: int | None = None


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests are served as they should be, thing by thing."""

    status: str
    checks: list[Check]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the start page shows."""

    version: str
    ready: bool
    head: int
    verdicts: Mapping[str, int]
    contracts: int
    ingested: int
    lag_events: int


def routes(parts: services.Services) -> list[web.Route]:
    """The operations of the system; the description of all is added by `describing`."""
    desk = _Desk(parts)
    ready = "Each check, by name."
    return [
        _get("/health", desk.health, "Whether the process answers", web.Reply("Alive.", Alive)),
        web.Route(
            method="GET",
            path="/ready",
            handler=desk.ready,
            summary="Whether the log can be written, the views are kept and the sources work",
            tag="system",
            replies={200: web.Reply(ready, Readiness), 503: web.Reply(ready, Readiness)},
        ),
        _get(
            "/metrics",
            desk.metrics,
            "Counters for Prometheus",
            web.Reply("Text format.", None, "text/plain"),
        ),
        _get("/api/v1/status", desk.status, "Numbers at a glance", web.Reply("Now.", Status)),
        *(_page(path, name) for path, name in _PAGES.items()),
    ]


_PAGES = {
    "/docs": "docs.html",
    "/pages/style.css": "style.css",
    "/pages/docs.js": "docs.js",
    "/favicon.svg": "favicon.svg",
}


def describing(routes_so_far: list[web.Route]) -> web.Route:
    """The route that describes all of them, and itself."""
    reply = web.Reply("The description.", dict[str, msgspec.Raw])
    body: list[bytes] = []

    async def describe(_: web.Request) -> web.Response:
        if not body:
            body.append(
                msgspec.json.encode(
                    openapi.describe([*routes_so_far, route], version=metadata.version("helios"))
                )
            )
        return web.Response(body=body[0])

    route = _get("/openapi.json", describe, "This description", reply)
    return route


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def health(self, _: web.Request) -> web.Response:
        return web.answer(Alive("ok"))

    async def ready(self, request: web.Request) -> web.Response:
        checks = await self._checks()
        well = all(check.ok for check in checks)
        shown = checks if request.principal.may(model.Permission.READ) else _nameless(checks)
        found = Readiness(status="ready" if well else "not_ready", checks=shown)
        return web.answer(found, status=200 if well else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        # A database that is away must not hide the other numbers.
        with contextlib.suppress(errors.HeliosError):
            self._parts.metrics.reconciled(await self._parts.verdicts.counts(None))
            self._parts.metrics.told(await self._parts.alerts.totals())
            ratios = await self._parts.standing.ratios()
            self._parts.metrics.sources(await self._source_states())
            self._parts.metrics.standing(
                [((r.tenant, r.contract), r.share, r.share_max) for r in ratios]
            )
            await self._parts.metrics.refresh()
        return web.Response(body=self._parts.metrics.render(), content_type=metrics.CONTENT_TYPE)

    async def _source_states(self) -> list[tuple[str, str, str, float | None]]:
        return [
            (entry.client_id, entry.name, now.state, now.status.lag)
            for entry, now in await self._parts.runners.all()
        ]

    async def status(self, _: web.Request) -> web.Response:
        parts = self._parts
        declared = await contracts.all_current(parts.store)
        return web.answer(
            Status(
                version=metadata.version("helios"),
                ready=all(check.ok for check in await self._checks()),
                head=await parts.log.head(),
                verdicts=await parts.verdicts.counts(None),
                contracts=len(declared),
                ingested=parts.metrics.ingested_total,
                lag_events=max((h.lag_events for h in parts.views.health()), default=0),
            )
        )

    async def _checks(self) -> list[Check]:
        fault = self._parts.gateway.fault()
        checks = [Check(name="log", ok=fault is None, detail=fault or "writable")]
        for health in self._parts.views.health():
            detail = health.error or str(health.status)
            checks.append(
                Check(
                    name=f"view:{health.view}",
                    ok=health.is_ready,
                    detail=detail,
                    lag_events=health.lag_events,
                )
            )
        return [*checks, self._settings(), *await self._sources()]

    def _settings(self) -> Check:
        """Settings that a newer Helios wrote leave the last good value in force."""
        wrong = self._parts.live.unreadable
        told = "; ".join(f"{name}: {why}" for name, why in sorted(wrong.items()))
        return Check(name="configuration", ok=True, detail=told or "in force")

    async def _sources(self) -> list[Check]:
        """Each source by name; one in trouble is named, and the others go on."""
        needed = self._parts.live.switch("ready.needs_sources")()
        return [
            Check(
                name=f"{_SOURCE}{entry.client_id}/{entry.name}",
                ok=now.state not in _TROUBLED or not needed,
                detail=f"{now.state}: {now.status.detail}" if now.status.detail else now.state,
            )
            for entry, now in await self._parts.runners.all()
        ]


def _nameless(checks: Sequence[Check]) -> list[Check]:
    """The checks for who may not know whose sources there are: those are told as one."""
    sources = [each for each in checks if each.name.startswith(_SOURCE)]
    others = [each for each in checks if each not in sources]
    if not sources:
        return others
    well = sum(each.ok for each in sources)
    detail = f"{well} of {len(sources)}; sign in to see each"
    return [*others, Check(name="sources", ok=well == len(sources), detail=detail)]


def _get(path: str, handler: web.Handler, summary: str, reply: web.Reply) -> web.Route:
    return web.Route(
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        tag="system",
        replies={200: reply},
    )


def _page(path: str, name: str) -> web.Route:
    kind = _TYPES[name.rpartition(".")[2]]
    body = resources.files("helios.api").joinpath("pages", name).read_bytes()
    response = web.Response(body=body, content_type=kind, headers=_HEADERS)

    async def page(_: web.Request) -> web.Response:
        return response

    reply = web.Reply("The page.", None, kind.decode().partition(";")[0])
    return _get(path, page, f"Page: {name}", reply)
