"""Sanity: what its HTTP API and the bodies of its webhooks say.

What a webhook brings is for its projection to say. Content can be made of it when it holds `_id`,
`_type` and `_updatedAt`; for deletions it has to name them from the document before:
`{"_id": coalesce(after()._id, before()._id), "_type": …, ...}`. Drafts are documents of their own,
whose id begins with `drafts.`: here they are the draft stage of one content. Versions of a release
(`versions.…`) are not content yet and left out.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound, secret
from helios.providers import calling, ports

PAGE = 500
READ_AT_ONCE = 100
DRAFT = "drafts."
_CHANGES: Mapping[str, ports.Change] = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
}
_VISIBLE = "!(_type match 'system.*') && !(_type match 'sanity.*') && !(_id in path('versions.**'))"
_ON = {"create", "update", "delete"}


class ApiOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        tolerance_s: how far the time of signing may be from ours, both ways.
        project, dataset, api_version: of the API that is asked.
        base_url: where the API is called; empty: at `https://<project>.api.sanity.io`.
        types: document types that are polled; empty: all but the system's own.
    """

    tolerance_s: float = 300.0
    project: str | None = None
    dataset: str = "production"
    api_version: str = "2025-02-19"
    base_url: str = ""
    types: tuple[str, ...] = ()


class SanityApi:
    """Capabilities beyond the bodies of webhooks.

    Credentials: `token`, of a robot that may read drafts and manage webhooks.
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
        document, kind = payload.get("_id"), payload.get("_type")
        if change is None or not isinstance(document, str) or not isinstance(kind, str):
            return ()
        if document.startswith("versions."):
            return ()
        is_draft = document.startswith(DRAFT)
        name = document.removeprefix(DRAFT)
        if change == "deleted":
            # A draft goes when it is published: that the document is gone says the published one.
            if is_draft:
                return ()
            at = calling.latest(payload.get("deletedAt"), payload.get("_updatedAt"))
            gone: ports.Change = "unpublished" if payload.get("hasDraft") is True else "deleted"
            version = calling.version(at, 1) if at else ""
            return (
                ports.ContentChange(
                    change=gone,
                    id=name,
                    type=kind,
                    locale=calling.text(payload.get("language")),
                    version=version,
                ),
            )
        content = _content(name, kind, payload, is_draft=is_draft)
        return (
            ports.ContentChange(
                change=change if is_draft or change == "updated" else "published",
                id=name,
                type=kind,
                locale=content.locale,
                content=content,
                version=content.version,
            ),
        )

    async def list_changes(
        self, api: ports.Api, since: clocks.Timestamp
    ) -> AsyncIterator[ports.Changed]:
        """See `ports.ChangeLister`: documents by (_updatedAt, _id)."""
        at, last = clocks.to_rfc3339(since), ""
        newest: clocks.Timestamp | None = None
        for _ in range(calling.LIST_PAGES_MAX):
            where = "(_updatedAt > $at || (_updatedAt == $at && _id > $last))"
            query = f"*[{_wanted(api.source)} && {where}] | order(_updatedAt asc, _id asc)"
            rows = await _query(api, f"{query} [0...{PAGE}]", {"at": at, "last": last})
            if not rows:
                break
            at, last = str(rows[-1]["_updatedAt"]), str(rows[-1]["_id"])
            newest = calling.latest(at)
            yield ports.Changed(
                events=[_polled(row) for row in rows], cursor=f"{at} {last}", high_water=newest
            )
        yield ports.Changed(events=(), high_water=newest)

    async def find(self, api: ports.Api, event_type: str, key: str) -> Sequence[ports.Received]:
        """See `ports.Finder`: the present state of a document, by its id."""
        if event_type not in ("create", "update"):
            return ()
        rows = await _query(api, "*[_id == $id]", {"id": key})
        return [_polled(row, event_type) for row in rows]

    async def list_ids(self, api: ports.Api) -> AsyncIterator[Sequence[ports.Listed]]:
        """See `ports.IdLister`."""
        last = ""
        for _ in range(calling.LIST_PAGES_MAX):
            query = f"*[{_wanted(api.source)} && _id > $last] | order(_id asc)"
            rows = await _query(
                api, f"{query} [0...{PAGE}] {{_id, _type, _updatedAt, language}}", {"last": last}
            )
            if not rows:
                return
            last = str(rows[-1]["_id"])
            yield [each for row in rows for each in _listed(row)]

    async def read_contents(
        self, api: ports.Api, wanted: Sequence[ports.Listed]
    ) -> AsyncIterator[Sequence[ports.Received]]:
        """See `ports.ContentReader`."""
        ids = sorted({f"{DRAFT if e.stage == 'draft' else ''}{e.id}" for e in wanted})
        for start in range(0, len(ids), READ_AT_ONCE):
            some = ids[start : start + READ_AT_ONCE]
            rows = await _query(api, "*[_id in $ids]", {"ids": some})
            yield [_polled(row) for row in rows]

    def listed_types(self, source: ports.Source) -> Sequence[str]:
        """See `ports.IdLister`: the types that are named in the options."""
        return _options(source).types

    def deletion(self, listed: ports.Listed, seen_at: clocks.Timestamp) -> ports.Received:
        """See `ports.IdLister`: who has not even a draft is gone, the others are not published."""
        at = clocks.to_rfc3339(calling.gone_at(seen_at, listed.version))
        has_draft = listed.stage == "published"
        body = {"_id": listed.id, "_type": listed.type, "deletedAt": at, "hasDraft": has_draft}
        if listed.locale is not None:
            body["language"] = listed.locale
        return ports.Received(
            id=f"polled:delete:{listed.stage}:{listed.id}:{at}",
            type="delete",
            occurred_at=seen_at,
            aggregate_type="document",
            aggregate_id=listed.id,
            payload=jsonio.encode(body),
            metadata={"polled": True},
        )

    async def list_hooks(self, api: ports.Api) -> Sequence[ports.Hook]:
        """See `ports.HookManager`."""
        found = calling.listed(await _api(api).get(_hooks_path(api)))
        hooks = [calling.mapping(each) for each in found]
        return [_hook(each) for each in hooks if each.get("type", "document") == "document"]

    async def create_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`. Its projection is the document, and whose it was if it went."""
        rest, path = _api(api), _hooks_path(api)
        body = {**_hook_body(hook, api.source), "type": "document"}
        answer = await rest.send("POST", path, body=body, idempotent=False)
        return _hook(calling.mapping(rest.value(answer, path)))

    async def update_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`."""
        rest, path = _api(api), f"{_hooks_path(api)}/{hook.id}"
        answer = await rest.send("PATCH", path, body=_hook_body(hook, api.source))
        return _hook(calling.mapping(rest.value(answer, path)))

    async def delete_hook(self, api: ports.Api, hook_id: str) -> None:
        """See `ports.HookManager`. One that is gone already is no error."""
        rest, path = _api(api), f"{_hooks_path(api)}/{hook_id}"
        answer = await rest.ask("DELETE", path)
        if not answer.ok and answer.status != 404:
            raise rest.refusal(answer, "DELETE", path)

    async def health(self, api: ports.Api) -> ports.Health:
        """See `ports.HealthChecker`."""
        return await calling.health(_probe(api), quota_header="ratelimit-remaining")


async def _probe(api: ports.Api) -> outbound.Answer:
    path = f"/v{_options(api.source).api_version}/users/me"
    rest = _api(api)
    answer = await rest.send("GET", path)
    if not calling.mapping(rest.value(answer, path)).get("id"):
        raise ports.ProviderApiError(f"{rest.place('GET', path)}: nobody is logged in", status=401)
    return answer


def _options(source: ports.Source) -> ApiOptions:
    return source.options if isinstance(source.options, ApiOptions) else ApiOptions()


def _api(api: ports.Api) -> calling.Rest:
    options = _options(api.source)
    usual = f"https://{options.project}.api.sanity.io" if options.project else ""
    token = calling.credential(api.source, "token")
    headers = (("Authorization", f"Bearer {token}"),)
    return calling.rest(api, options.base_url or usual, headers, field="project")


def _hooks_path(api: ports.Api) -> str:
    options = _options(api.source)
    return f"/v{options.api_version}/hooks/projects/{options.project}"


def _wanted(source: ports.Source) -> str:
    types = _options(source).types
    return f"_type in {jsonio.encode(list(types)).decode()} && {_VISIBLE}" if types else _VISIBLE


async def _query(api: ports.Api, query: str, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a query, drafts too."""
    options = _options(api.source)
    path = f"/v{options.api_version}/data/query/{options.dataset}"
    params = {"query": query, "perspective": "raw"}
    params |= {f"${name}": jsonio.encode(value).decode() for name, value in variables.items()}
    found = calling.mapping(await _api(api).get(path, params)).get("result")
    return [row for row in calling.listed(found) if isinstance(row, dict)]


def _listed(row: Mapping[str, Any]) -> list[ports.Listed]:
    """The stages of a document that is there.

    A draft goes when it is published, and nobody tells; so what is published counts as both.
    """
    document = str(row["_id"])
    is_draft = document.startswith(DRAFT)
    found = ports.Listed(
        type=str(row["_type"]),
        id=document.removeprefix(DRAFT),
        locale=calling.text(row.get("language")),
        stage="draft" if is_draft else "published",
        version=calling.version(calling.latest(row.get("_updatedAt"))),
    )
    if is_draft:
        return [found]
    return [msgspec.structs.replace(found, stage="draft", version=""), found]


def _polled(row: Mapping[str, Any], event_type: str = "update") -> ports.Received:
    """The event that a webhook would have brought for this state of a document."""
    document = str(row["_id"])
    return ports.Received(
        id=f"polled:{event_type}:{document}:{row.get('_rev') or row.get('_updatedAt')}",
        type=event_type,
        occurred_at=calling.instant(row.get("_updatedAt")),
        aggregate_type="document",
        aggregate_id=document,
        payload=jsonio.encode(row),
        metadata={"polled": True},
    )


def _content(name: str, kind: str, document: Mapping[str, Any], *, is_draft: bool) -> ports.Content:
    slug = document.get("slug")
    changed = calling.instant(document.get("_updatedAt"))
    return ports.Content(
        id=name,
        type=kind,
        slug=calling.text(calling.mapping(slug).get("current") or slug),
        title=calling.text(document.get("title", document.get("name"))),
        status="draft" if is_draft else "published",
        locale=calling.text(document.get("language")),
        price=calling.text(document.get("price")),
        currency=calling.text(document.get("currency")),
        stock=calling.whole(document.get("stock")),
        created_at=calling.instant(document.get("_createdAt")),
        updated_at=changed,
        published_at=None if is_draft else calling.instant(document.get("publishedAt")),
        version=calling.version(changed) if changed else "",
        raw=document,
    )


def _hook(value: Mapping[str, Any]) -> ports.Hook:
    rule = calling.mapping(value.get("rule"))
    return ports.Hook(
        id=str(value.get("id")),
        name=str(value.get("name")),
        url=str(value.get("url")),
        events=tuple(sorted(map(str, calling.listed(rule.get("on"))))),
        enabled=value.get("isDisabledByUser") is not True and value.get("isDisabled") is not True,
        headers=tuple(sorted(calling.mapping(value.get("headers")))),
        header_values={
            name: secret.Secret(str(kept))
            for name, kept in sorted(calling.mapping(value.get("headers")).items())
        },
        detail={k: value[k] for k in ("dataset", "apiVersion", "httpMethod") if k in value},
    )


_PROJECTION = (
    '{"_id": coalesce(after()._id, before()._id), "_type": coalesce(after()._type, '
    'before()._type), "_updatedAt": coalesce(after()._updatedAt, before()._updatedAt), ...}'
)


def _hook_body(hook: ports.Hook, source: ports.Source) -> dict[str, Any]:
    options = _options(source)
    on = [each for each in hook.events if each in _ON] or sorted(_ON)
    rule: dict[str, Any] = {"on": on, "projection": _PROJECTION}
    if options.types:
        rule["filter"] = f"_type in {jsonio.encode(list(options.types)).decode()}"
    body: dict[str, Any] = {
        "name": hook.name,
        "url": hook.url,
        "dataset": options.dataset,
        "httpMethod": "POST",
        "apiVersion": f"v{options.api_version}",
        "includeDrafts": True,
        "isDisabledByUser": not hook.enabled,
        "rule": rule,
    }
    if hook.header_values:
        body["headers"] = {name: value.text for name, value in hook.header_values.items()}
    return body if hook.secret is None else body | {"secret": hook.secret.text}
