"""Strapi 5: what its API and the bodies of its webhooks say.

A document has a stable `documentId` and up to two rows at once: the draft and the published one,
each with an `id` of its own that changes at every publication. Both are the same content in two
stages, told apart by `status`. A published row that went while the draft is there was unpublished.

Rows tell what is later: each publication makes a new published row, an edit that is discarded a new
draft, and their ids only grow; within a row `updatedAt` and `publishedAt` tell. Times alone do not
do: a discarded edit takes the draft's `updatedAt` back, and a webhook's `createdAt` is the time at
which it is sent, which may lie after the next change. What went is told by the row that went.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib import parse as urls

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound, secret
from helios.providers import authentication, calling, ports

PAGE_ROWS = 100
READ_AT_ONCE = 50
"""Documents asked for by their ids in one call: the ids stand in its address."""

DRAFT = "draft"
PUBLISHED = "published"

_LISTED_FIELDS = ("documentId", "updatedAt", "publishedAt")
_ROW_DIGITS = 12
_CHANGES: Mapping[str, ports.Change] = {
    "entry.create": "created",
    "entry.update": "updated",
    "entry.publish": "published",
    "entry.draft-discard": "updated",
    "entry.unpublish": "unpublished",
    "entry.delete": "deleted",
}
_GONE = frozenset(("entry.unpublish", "entry.delete"))
_HELD = "heldVersion"
"""In the body of a deletion that a comparison found: the version that was believed to be there."""


class ApiOptions(authentication.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What polling and repairing a Strapi needs, beside how it authenticates.

    Attributes:
        base_url: such as `https://cms.example.com`.
        content_types: name of each content type that is polled, as in webhooks (`article`), and
            its path in the REST API (`articles`).
        drafts: also poll drafts.
        locales: the content types are localised: ask for all languages.
        populate: what the REST API is to fill in, as its parameter of that name.
    """

    base_url: str = ""
    content_types: Mapping[str, str] = {}
    drafts: bool = True
    locales: bool = False
    populate: str = "*"


class StrapiApi:
    """Capabilities of Strapi beyond its webhooks' bodies.

    Credentials: `token`, a content API token; `admin_token`, an admin API token that may read,
    create, update and delete webhooks.
    """

    capabilities: ClassVar[frozenset[ports.Capability]] = calling.ALL
    hook_headers: ClassVar[bool] = True

    def normalise(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        source: ports.Source,  # noqa: ARG002
    ) -> Sequence[ports.ContentChange]:
        """See `ports.Normaliser`."""
        change = _CHANGES.get(event_type)
        entry = calling.mapping(payload.get("entry"))
        document = entry.get("documentId")
        kind = payload.get("model")
        if change is None or not isinstance(document, str) or not isinstance(kind, str):
            return ()
        locale = calling.text(entry.get("locale"))
        if event_type in _GONE:
            version = _gone_version(event_type, payload, entry, locale)
            gone = ports.ContentChange(
                change=change, id=document, type=kind, locale=locale, version=version
            )
            return (gone,)
        content = _content(document, kind, entry)
        return (
            ports.ContentChange(
                change=change,
                id=document,
                type=kind,
                locale=locale,
                content=content,
                version=content.version,
            ),
        )

    async def list_changes(
        self, api: ports.Api, since: clocks.Timestamp
    ) -> AsyncIterator[ports.Changed]:
        """See `ports.ChangeLister`: rows changed since then, by (updatedAt, id)."""
        options = _options(api.source)
        newest: clocks.Timestamp | None = None
        for kind, path in options.content_types.items():
            for state in _states(options):
                async for rows in _rows(api, path, state, since=since):
                    events = [_polled(kind, row) for row in rows]
                    times = [at for each in events if (at := each.occurred_at) is not None]
                    newest = max([*times, newest or clocks.Timestamp(0)]) or None
                    last = rows[-1]
                    cursor = f"{kind} {state} {last.get('updatedAt')} {last.get('id')}"
                    yield ports.Changed(events=events, cursor=cursor, high_water=newest)
        yield ports.Changed(events=(), high_water=newest)

    async def find(self, api: ports.Api, event_type: str, key: str) -> Sequence[ports.Received]:
        """The present row of a document, by its documentId, as an event of this type."""
        if event_type in _GONE or event_type not in _CHANGES:
            return ()
        options = _options(api.source)
        content = _content_api(api)
        params = _shape(options, "published")
        for kind, path in options.content_types.items():
            where = f"/api/{path}/{urls.quote(key, safe='')}"
            answer = await content.ask("GET", where, params=params)
            if answer.ok:
                row = calling.mapping(calling.mapping(content.value(answer, where)).get("data"))
                return [_polled(kind, row, event_type)]
            if answer.status != 404:
                raise content.refusal(answer, "GET", where)
        return ()

    async def list_ids(self, api: ports.Api) -> AsyncIterator[Sequence[ports.Listed]]:
        """See `ports.IdLister`: what is published now, and the drafts if they are polled."""
        options = _options(api.source)
        for kind, path in options.content_types.items():
            for state in _states(options):
                async for rows in _rows(api, path, state):
                    yield [_listed(kind, row) for row in rows]

    async def read_contents(
        self, api: ports.Api, wanted: Sequence[ports.Listed]
    ) -> AsyncIterator[Sequence[ports.Received]]:
        """See `ports.ContentReader`."""
        options = _options(api.source)
        for kind, path in options.content_types.items():
            for state in _states(options):
                of = {each.id for each in wanted if each.type == kind and each.stage == state}
                chosen = sorted(of)
                for start in range(0, len(chosen), READ_AT_ONCE):
                    some = chosen[start : start + READ_AT_ONCE]
                    async for rows in _rows(api, path, state, documents=some):
                        yield [_polled(kind, row) for row in rows]

    def listed_types(self, source: ports.Source) -> Sequence[str]:
        """See `ports.IdLister`."""
        return tuple(_options(source).content_types)

    def deletion(self, listed: ports.Listed, seen_at: clocks.Timestamp) -> ports.Received:
        """See `ports.IdLister`: who has no draft is gone, who is only not published is not."""
        at = calling.rfc3339_ms(seen_at)
        event = "entry.delete" if listed.stage == DRAFT else "entry.unpublish"
        entry = {"documentId": listed.id} | ({"locale": listed.locale} if listed.locale else {})
        body = {"event": event, "createdAt": at, "model": listed.type, "entry": entry}
        return ports.Received(
            id=_id(listed.type, listed.id, listed.locale, f"{event}:{listed.version or at}"),
            type=event,
            occurred_at=seen_at,
            aggregate_type=listed.type,
            aggregate_id=listed.id,
            payload=jsonio.encode(body | ({_HELD: listed.version} if listed.version else {})),
            metadata={"polled": True},
        )

    async def list_hooks(self, api: ports.Api) -> Sequence[ports.Hook]:
        """See `ports.HookManager`."""
        admin = _admin_api(api)
        found = calling.mapping(await admin.get("/admin/webhooks"))
        return [_hook(each) for each in calling.listed(found.get("data"))]

    async def create_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`. Strapi makes each webhook enabled; without events named it is
        one of all that tells of content.
        """
        admin = _admin_api(api)
        body = _hook_body(hook, {}, _options(api.source))
        answer = await admin.send("POST", "/admin/webhooks", body=body, idempotent=False)
        made = _hook(_data(admin, answer, "/admin/webhooks"))
        if hook.enabled:
            return made
        return await self.update_hook(api, msgspec.structs.replace(hook, id=made.id))

    async def update_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`. Headers that `hook` gives no value for stay as they are."""
        admin = _admin_api(api)
        path = f"/admin/webhooks/{hook.id}"
        kept = calling.mapping(_data(admin, await admin.send("GET", path), path).get("headers"))
        body = _hook_body(hook, kept, _options(api.source)) | {"isEnabled": hook.enabled}
        return _hook(_data(admin, await admin.send("PUT", path, body=body), path))

    async def delete_hook(self, api: ports.Api, hook_id: str) -> None:
        """See `ports.HookManager`. One that is gone already is no error."""
        path = f"/admin/webhooks/{hook_id}"
        admin = _admin_api(api)
        answer = await admin.ask("DELETE", path)
        if not answer.ok and answer.status != 404:
            raise admin.refusal(answer, "DELETE", path)

    async def trigger_hook(self, api: ports.Api, hook_id: str) -> ports.Triggered:
        """See `ports.HookTrigger`."""
        admin = _admin_api(api)
        path = f"/admin/webhooks/{hook_id}/trigger"
        data = _data(admin, await admin.send("POST", path, idempotent=False), path)
        status = calling.whole(data.get("statusCode"))
        return ports.Triggered(status=status, detail=calling.text(data.get("message")) or "")

    async def health(self, api: ports.Api) -> ports.Health:
        """See `ports.HealthChecker`."""
        return await calling.health(_probe(api))


async def _probe(api: ports.Api) -> outbound.Answer:
    for path in _options(api.source).content_types.values():
        params = (("pagination[pageSize]", 1), ("fields[0]", "documentId"))
        return await _content_api(api).send("GET", f"/api/{path}", params=params)
    return await _admin_api(api).send("GET", "/admin/webhooks")


def _states(options: ApiOptions) -> tuple[str, ...]:
    return (PUBLISHED, DRAFT) if options.drafts else (PUBLISHED,)


def _options(source: ports.Source) -> ApiOptions:
    return source.options if isinstance(source.options, ApiOptions) else ApiOptions()


def _content_api(api: ports.Api) -> calling.Rest:
    token = calling.credential(api.source, "token")
    headers = (("Authorization", f"Bearer {token}"),)
    return calling.rest(api, _options(api.source).base_url, headers)


def _admin_api(api: ports.Api) -> calling.Rest:
    token = calling.credential(api.source, "admin_token")
    headers = (("Authorization", f"Bearer {token}"),)
    return calling.rest(api, _options(api.source).base_url, headers)


def _shape(options: ApiOptions, state: str) -> list[tuple[str, str | int]]:
    params: list[tuple[str, str | int]] = [("status", state)]
    if options.locales:
        params.append(("locale", "*"))
    if options.populate:
        params.append(("populate", options.populate))
    return params


async def _rows(
    api: ports.Api,
    path: str,
    state: str,
    *,
    since: clocks.Timestamp | None = None,
    documents: Sequence[str] = (),
) -> AsyncIterator[list[dict[str, Any]]]:
    """Rows of a content type by (updatedAt, id), page by page, each after the last row before it.

    Those changed since a time, or those of some documents; else all, and only what tells their
    state. Pages by number would leave rows out when one of an earlier page changes meanwhile.
    """
    content = _content_api(api)
    options = _options(api.source)
    base = _shape(options, state)
    base += [("sort[0]", "updatedAt:asc"), ("sort[1]", "id:asc")]
    base += [("pagination[pageSize]", PAGE_ROWS), ("pagination[withCount]", "false")]
    if documents:
        base += [(f"filters[documentId][$in][{i}]", each) for i, each in enumerate(documents)]
    elif since is None:
        base = [pair for pair in base if pair[0] != "populate"]
        names = (*_LISTED_FIELDS, *(["locale"] if options.locales else []))
        base += [(f"fields[{i}]", name) for i, name in enumerate(names)]
    else:
        at = calling.rfc3339_ms(since)
        base += [("filters[$and][0][$or][0][updatedAt][$gte]", at)]
        base += [("filters[$and][0][$or][1][publishedAt][$gte]", at)]
    params = base
    for _ in range(calling.LIST_PAGES_MAX):
        body = calling.mapping(await content.get(f"/api/{path}", params))
        rows = [row for row in calling.listed(body.get("data")) if isinstance(row, dict)]
        if not rows:
            return
        yield rows
        params = base + _after(rows[-1])
    raise ports.ProviderApiError(f"{content.place('GET', path)}: its pages do not end")


def _after(row: Mapping[str, Any]) -> list[tuple[str, str | int]]:
    at, number = str(row.get("updatedAt")), str(row.get("id"))
    return [
        ("filters[$and][1][$or][0][updatedAt][$gt]", at),
        ("filters[$and][1][$or][1][$and][0][updatedAt][$eq]", at),
        ("filters[$and][1][$or][1][$and][1][id][$gt]", number),
    ]


def _polled(kind: str, row: Mapping[str, Any], event_type: str | None = None) -> ports.Received:
    """The event that a webhook would have brought for this state of a row."""
    is_draft = _stage(row) == DRAFT
    changed = calling.latest(row.get("updatedAt"), row.get("publishedAt"))
    document = str(row.get("documentId"))
    locale = calling.text(row.get("locale"))
    kept_type = event_type or ("entry.update" if is_draft else "entry.publish")
    body = {
        "event": kept_type,
        "createdAt": calling.rfc3339_ms(changed),
        "model": kind,
        "entry": row,
    }
    return ports.Received(
        id=_id(kind, document, locale, f"{kept_type}:{_version(row)}"),
        type=kept_type,
        occurred_at=changed,
        aggregate_type=kind,
        aggregate_id=document,
        payload=jsonio.encode(body),
        metadata={"polled": True},
    )


def _id(kind: str, document: str, locale: str | None, version: str) -> str:
    return ":".join(part for part in ("polled", kind, document, locale, version) if part)


def _listed(kind: str, row: Mapping[str, Any]) -> ports.Listed:
    # Where a content type has no drafts Strapi lists what is published, whatever is asked for.
    return ports.Listed(
        type=kind,
        id=str(row.get("documentId")),
        locale=calling.text(row.get("locale")),
        stage=_stage(row),
        version=_version(row),
    )


def _stage(row: Mapping[str, Any]) -> str:
    return DRAFT if row.get("publishedAt", "") is None else PUBLISHED


def _version(row: Mapping[str, Any], rank: int = 0) -> str:
    changed = calling.latest(row.get("updatedAt"), row.get("publishedAt"))
    return f"{calling.whole(row.get('id')) or 0:0{_ROW_DIGITS}d}.{calling.version(changed, rank)}"


def _gone_version(
    event_type: str, payload: Mapping[str, Any], entry: Mapping[str, Any], locale: str | None
) -> str:
    """A document that is deleted never comes back; a language of it, or its publication, may."""
    if event_type == "entry.delete" and locale is None:
        return calling.FINAL
    held = calling.text(payload.get(_HELD))
    return f"{held}.gone" if held else _version(entry, 1)


def _content(document: str, kind: str, entry: Mapping[str, Any]) -> ports.Content:
    return ports.Content(
        id=document,
        type=kind,
        slug=calling.text(entry.get("slug")),
        title=calling.text(entry.get("title", entry.get("name"))),
        status=_stage(entry),
        locale=calling.text(entry.get("locale")),
        price=calling.text(entry.get("price")),
        currency=calling.text(entry.get("currency")),
        stock=calling.whole(entry.get("stock")),
        created_at=calling.instant(entry.get("createdAt")),
        updated_at=calling.instant(entry.get("updatedAt")),
        published_at=calling.instant(entry.get("publishedAt")),
        version=_version(entry),
        raw=entry,
    )


def _data(admin: calling.Rest, answer: outbound.Answer, path: str) -> Mapping[str, Any]:
    return calling.mapping(calling.mapping(admin.value(answer, path)).get("data"))


def _hook(value: Mapping[str, Any]) -> ports.Hook:
    return ports.Hook(
        id=str(value.get("id")),
        name=str(value.get("name")),
        url=str(value.get("url")),
        events=tuple(sorted(map(str, calling.listed(value.get("events"))))),
        enabled=value.get("isEnabled") is True,
        headers=tuple(sorted(calling.mapping(value.get("headers")))),
        header_values={
            name: secret.Secret(str(kept))
            for name, kept in sorted(calling.mapping(value.get("headers")).items())
        },
    )


def _hook_body(hook: ports.Hook, kept: Mapping[str, Any], options: ApiOptions) -> dict[str, Any]:
    """What Strapi is to store. The secret goes into the header that the source looks for it in."""
    headers = {each: kept[each] for each in hook.headers or kept if each in kept}
    given = {name: value.text for name, value in hook.header_values.items()}
    if hook.secret is not None:
        bearer = "Bearer " if options.header.lower() == "authorization" else ""
        given = _without(given, options.header)
        given[options.header] = f"{options.prefix or bearer}{hook.secret.text}"
    for name in given:
        headers = _without(headers, name)
    events = sorted(hook.events or _CHANGES)
    return {"name": hook.name, "url": hook.url, "headers": headers | given, "events": events}


def _without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {each: value for each, value in headers.items() if each.lower() != name.lower()}
