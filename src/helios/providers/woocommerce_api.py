"""WooCommerce: what its REST API and the bodies of its webhooks say.

Times have whole seconds. A deletion is told as `{"id": n}` without a time, when a product goes to
the trash, and from there it may come back; so a deletion has no version unless a poll found it.
"""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound
from helios.providers import calling, paging, ports

PAGE = 100
_CHANGES: Mapping[str, ports.Change] = {
    "product.created": "created",
    "product.updated": "updated",
    "product.restored": "updated",
    "product.deleted": "deleted",
}


class ApiOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        shop: address of the shop, such as `https://shop.example`. If given, deliveries that name
            another one are refused, and the API is asked there.
        api_path: of its REST API.
        orders: orders are polled too.
    """

    shop: str | None = None
    api_path: str = "/wp-json/wc/v3"
    orders: bool = True


class WooCommerceApi:
    """Capabilities beyond the bodies of webhooks.

    Credentials: `consumer_key` and `consumer_secret`; they may write where webhooks are kept.
    """

    capabilities: ClassVar[frozenset[ports.Capability]] = calling.ALL

    def normalise(
        self,
        event_type: str,
        payload: Mapping[str, Any],
        source: ports.Source,  # noqa: ARG002
    ) -> Sequence[ports.ContentChange]:
        """See `ports.Normaliser`."""
        change = _CHANGES.get(event_type)
        if change is None or payload.get("id") is None:
            return ()
        name = str(payload["id"])
        if change == "deleted":
            at = calling.latest(payload.get("deleted_at"))
            version = calling.version(at, 1) if at else ""
            gone = ports.ContentChange(change=change, id=name, type="product", version=version)
            return (gone,)
        content = _content(name, payload)
        return (
            ports.ContentChange(
                change="unpublished" if content.status == "draft" else change,
                id=name,
                type="product",
                content=content,
                version=content.version,
            ),
        )

    def states(self, event_type: str, payload: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """See `ports.Stateful`: which state of an order an event tells."""
        changed = calling.latest(payload.get("date_modified_gmt"))
        if event_type.partition(".")[0] != "order" or payload.get("id") is None or not changed:
            return ()
        return ((f"order/{payload['id']}", calling.version(changed)),)

    async def list_changes(
        self, api: ports.Api, since: clocks.Timestamp
    ) -> AsyncIterator[ports.Changed]:
        """See `ports.ChangeLister`: products, then orders, by (time of change, id)."""
        shop = _shop(api)
        newest: clocks.Timestamp | None = None
        kinds = ("product", "order") if _options(api.source).orders else ("product",)
        for kind in kinds:
            async for items in _changed(shop, kind, since):
                events = [_polled(kind, item) for item in items]
                newest = max([_place(item)[0] for item in items] + [newest or _NEVER]) or None
                yield ports.Changed(
                    events=events, cursor=f"{kind} {items[-1].get('id')}", high_water=newest
                )
        yield ports.Changed(events=(), high_water=newest)

    async def find(self, api: ports.Api, event_type: str, key: str) -> Sequence[ports.Received]:
        """See `ports.Finder`: the present state of an order or product, by its number."""
        kind, _, action = event_type.partition(".")
        if kind not in ("order", "product") or action not in ("created", "updated"):
            return ()
        if not (key.isascii() and key.isdigit()):
            return ()
        shop = _shop(api)
        answer = await shop.ask("GET", f"/{kind}s/{key}")
        if answer.status == 404:
            return ()
        if not answer.ok:
            raise shop.refusal(answer, "GET", f"/{kind}s/{key}")
        return [_polled(kind, calling.mapping(shop.value(answer, f"/{kind}s")), event_type)]

    async def list_ids(self, api: ports.Api) -> AsyncIterator[Sequence[ports.Listed]]:
        """See `ports.IdLister`."""
        shop = _shop(api)
        after = 0
        for number in range(1, calling.LIST_PAGES_MAX):
            params: dict[str, str | int] = {
                "per_page": PAGE, "page": number, "orderby": "id", "order": "asc",
                "_fields": "id,status,date_modified_gmt",
            }  # fmt: skip
            items = calling.listed(await shop.get("/products", params))
            yield [
                ports.Listed(
                    type="product",
                    id=str(item["id"]),
                    stage=_stage(item),
                    version=_content(str(item["id"]), item).version,
                )
                for item in items
            ]
            if len(items) < PAGE or int(items[-1]["id"]) <= after:
                return
            after = int(items[-1]["id"])
        raise ports.ProviderApiError("the pages of the shop's products do not end")

    async def read_contents(
        self, api: ports.Api, wanted: Sequence[ports.Listed]
    ) -> AsyncIterator[Sequence[ports.Received]]:
        """See `ports.ContentReader`."""
        shop = _shop(api)
        names = sorted({each.id for each in wanted if each.id.isdigit()}, key=int)
        for start in range(0, len(names), PAGE):
            some = ",".join(names[start : start + PAGE])
            found = await shop.get("/products", (("include", some), ("per_page", PAGE)))
            items = calling.listed(found)
            yield [_polled("product", item) for item in map(calling.mapping, items)]

    def listed_types(self, source: ports.Source) -> Sequence[str]:  # noqa: ARG002
        """See `ports.IdLister`."""
        return ("product",)

    def deletion(self, listed: ports.Listed, seen_at: clocks.Timestamp) -> ports.Received:
        """See `ports.IdLister`."""
        at = clocks.to_rfc3339(calling.gone_at(seen_at, listed.version))
        return ports.Received(
            id=f"polled:product.deleted:{listed.id}:{at}",
            type="product.deleted",
            occurred_at=seen_at,
            aggregate_type="product",
            aggregate_id=listed.id,
            payload=jsonio.encode({"id": int(listed.id), "deleted_at": at}),
            metadata={"polled": True},
        )

    async def list_hooks(self, api: ports.Api) -> Sequence[ports.Hook]:
        """See `ports.HookManager`: one for each address; its id joins those of its topics."""
        by_url: dict[str, list[Mapping[str, Any]]] = {}
        for each in await _webhooks(_shop(api)):
            by_url.setdefault(str(each.get("delivery_url")), []).append(each)
        return [_hook(url, found) for url, found in sorted(by_url.items())]

    async def create_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`. The shop pings the address and wants exactly 200."""
        shop = _shop(api)
        for topic in hook.events:
            await _create(shop, hook, topic)
        return await _at(shop, hook.url)

    async def update_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`. Switching on again also forgets the failures counted so far."""
        shop = _shop(api)
        ours = set((hook.id or "").split(","))
        there = [each for each in await _webhooks(shop) if str(each.get("id")) in ours]
        for each in there:
            path = f"/webhooks/{each['id']}"
            if each.get("topic") not in hook.events:
                await shop.send("DELETE", path, params={"force": "true"})
            else:
                await shop.send("PUT", path, body=_body(hook))
        for topic in sorted(set(hook.events) - {each.get("topic") for each in there}):
            await _create(shop, hook, topic)
        return await _at(shop, hook.url)

    async def delete_hook(self, api: ports.Api, hook_id: str) -> None:
        """See `ports.HookManager`. One that is gone already is no error."""
        shop = _shop(api)
        for each in hook_id.split(","):
            path = f"/webhooks/{each}"
            answer = await shop.ask("DELETE", path, params={"force": "true"})
            if not answer.ok and answer.status != 404:
                raise shop.refusal(answer, "DELETE", path)

    async def health(self, api: ports.Api) -> ports.Health:
        """See `ports.HealthChecker`."""
        return await calling.health(_probe(api))


_NEVER = clocks.Timestamp(0)


async def _probe(api: ports.Api) -> outbound.Answer:
    return await _shop(api).send("GET", "/products", params={"per_page": 1, "_fields": "id"})


def _options(source: ports.Source) -> ApiOptions:
    return source.options if isinstance(source.options, ApiOptions) else ApiOptions()


def _shop(api: ports.Api) -> calling.Rest:
    options = _options(api.source)
    key = calling.credential(api.source, "consumer_key")
    secret = calling.credential(api.source, "consumer_secret")
    basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
    base = f"{(options.shop or '').rstrip('/')}{options.api_path}" if options.shop else ""
    return calling.rest(api, base, (("Authorization", f"Basic {basic}"),), field="shop")


def _place(item: Mapping[str, Any]) -> tuple[clocks.Timestamp, str]:
    changed = calling.latest(item.get("date_modified_gmt"), item.get("date_created_gmt"))
    return changed, f"{item.get('id'):>20}"


def _changed(
    shop: calling.Rest, kind: str, since: clocks.Timestamp
) -> AsyncIterator[list[dict[str, Any]]]:
    async def fetch(begin: clocks.Timestamp, number: int) -> list[dict[str, Any]]:
        # What changed in that very second is not "after" it.
        second = begin - begin % clocks.SECOND_US - clocks.SECOND_US
        after = clocks.to_rfc3339(clocks.Timestamp(max(0, second))).removesuffix("Z")
        params: dict[str, str | int] = {
            "modified_after": after, "dates_are_gmt": "true", "orderby": "modified",
            "order": "asc", "per_page": PAGE, "page": number,
        }  # fmt: skip
        found = calling.listed(await shop.get(f"/{kind}s", params))
        return sorted((item for item in found if isinstance(item, dict)), key=_place)

    return paging.by_time(fetch, _place, since, PAGE, unit=clocks.SECOND_US)


def _polled(kind: str, item: Mapping[str, Any], event_type: str | None = None) -> ports.Received:
    """The event that a webhook would have brought for this state."""
    kept_type = event_type or f"{kind}.updated"
    return ports.Received(
        id=f"polled:{kept_type}:{item.get('id')}:{item.get('date_modified_gmt')}",
        type=kept_type,
        occurred_at=_place(item)[0],
        aggregate_type=kind,
        aggregate_id=str(item.get("id")),
        payload=jsonio.encode({key: value for key, value in item.items() if key != "_links"}),
        metadata={"polled": True},
    )


def _stage(item: Mapping[str, Any]) -> str:
    return "published" if item.get("status", "publish") == "publish" else "draft"


def _content(name: str, item: Mapping[str, Any]) -> ports.Content:
    changed = calling.instant(item.get("date_modified_gmt"))
    return ports.Content(
        id=name,
        type="product",
        slug=calling.text(item.get("slug")),
        title=calling.text(item.get("name")),
        status=_stage(item),
        price=calling.text(item.get("price")) or None,
        stock=calling.whole(item.get("stock_quantity")),
        created_at=calling.instant(item.get("date_created_gmt")),
        updated_at=changed,
        published_at=calling.instant(item.get("date_created_gmt")),
        version=calling.version(changed or _NEVER),
        raw=item,
    )


async def _webhooks(shop: calling.Rest) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for number in range(1, calling.LIST_PAGES_MAX):
        page = calling.listed(await shop.get("/webhooks", {"per_page": PAGE, "page": number}))
        found += map(calling.mapping, page)
        if len(page) < PAGE:
            break
    return found


def _hook(url: str, found: Sequence[Mapping[str, Any]]) -> ports.Hook:
    ordered = sorted(found, key=lambda each: str(each.get("topic")))
    return ports.Hook(
        id=",".join(str(each.get("id")) for each in ordered),
        name=str(ordered[0].get("name")),
        url=url,
        events=tuple(str(each.get("topic")) for each in ordered),
        enabled=all(each.get("status") == "active" for each in ordered),
        detail={str(each.get("topic")): each.get("status") for each in ordered},
    )


def _body(hook: ports.Hook) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": hook.name,
        "delivery_url": hook.url,
        "status": "active" if hook.enabled else "paused",
    }
    return body if hook.secret is None else body | {"secret": hook.secret.text}


async def _create(shop: calling.Rest, hook: ports.Hook, topic: str) -> None:
    await shop.send("POST", "/webhooks", body=_body(hook) | {"topic": topic}, idempotent=False)


async def _at(shop: calling.Rest, url: str) -> ports.Hook:
    found = [each for each in await _webhooks(shop) if each.get("delivery_url") == url]
    if not found:
        raise ports.ProviderApiError(f"the shop has no webhook for {url} though it made one")
    return _hook(url, found)
