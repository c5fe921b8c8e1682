"""Webhooks of a Shopify shop: one subscription for each topic, here one hook for each address.

Listed are the subscriptions of the app that asks, and not those in the app's own configuration nor
those made in the shop's admin. The secret is that of the app and cannot be set.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from helios.providers import calling, ports
from helios.providers.shopify_graphql import Admin

_LIST = """query($after: String) { webhookSubscriptions(first: 100, after: $after) {
  pageInfo { hasNextPage endCursor }
  nodes { id topic endpoint { ... on WebhookHttpEndpoint { callbackUrl } } } } }"""
_CREATE = """mutation($topic: WebhookSubscriptionTopic!, $url: URL!) {
  webhookSubscriptionCreate(topic: $topic,
    webhookSubscription: {callbackUrl: $url, format: JSON}) {
    webhookSubscription { id } userErrors { message } } }"""
_UPDATE = """mutation($id: ID!, $url: URL!) {
  webhookSubscriptionUpdate(id: $id, webhookSubscription: {callbackUrl: $url}) {
    webhookSubscription { id } userErrors { message } } }"""
_DELETE = """mutation($id: ID!) { webhookSubscriptionDelete(id: $id) {
  deletedWebhookSubscriptionId userErrors { message } } }"""

_LONG = (
    "app_purchases_one_time", "app_subscriptions", "bulk_operations", "collection_listings",
    "customer_groups", "customer_payment_methods", "draft_orders", "fulfillment_events",
    "fulfillment_orders", "inventory_items", "inventory_levels", "inventory_transfers",
    "order_transactions", "payment_schedules", "product_feeds", "product_listings",
    "selling_plan_groups", "subscription_contracts", "tender_transactions",
)  # fmt: skip


class Hooks:
    """Capability `webhooks`."""

    async def list_hooks(self, api: ports.Api) -> Sequence[ports.Hook]:
        """See `ports.HookManager`. The id of a hook joins those of its subscriptions."""
        by_url: dict[str, list[tuple[str, str]]] = {}
        for gid, topic, url in await _subscriptions(Admin.of(api)):
            by_url.setdefault(url, []).append((topic, gid))
        return [
            ports.Hook(
                id=",".join(gid for _, gid in sorted(found)),
                url=url,
                events=tuple(topic for topic, _ in sorted(found)),
            )
            for url, found in sorted(by_url.items())
        ]

    async def create_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`."""
        admin = Admin.of(api)
        for topic in hook.events:
            await _create(admin, topic, hook.url)
        return await self._at(api, hook.url)

    async def update_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`: the same topics, at the same address, no others."""
        admin = Admin.of(api)
        ours = set((hook.id or "").split(","))
        there = [each for each in await _subscriptions(admin) if each[0] in ours]
        for gid, topic, url in there:
            if topic not in hook.events:
                await _mutate(admin, "webhookSubscriptionDelete", _DELETE, {"id": gid})
            elif url != hook.url:
                await _mutate(
                    admin, "webhookSubscriptionUpdate", _UPDATE, {"id": gid, "url": hook.url}
                )
        for topic in sorted(set(hook.events) - {topic for _, topic, _ in there}):
            await _create(admin, topic, hook.url)
        return await self._at(api, hook.url)

    async def delete_hook(self, api: ports.Api, hook_id: str) -> None:
        """See `ports.HookManager`. One that is gone already is no error."""
        admin = Admin.of(api)
        ours = set(hook_id.split(","))
        for gid, _, _ in await _subscriptions(admin):
            if gid in ours:
                await _mutate(admin, "webhookSubscriptionDelete", _DELETE, {"id": gid})

    async def _at(self, api: ports.Api, url: str) -> ports.Hook:
        found = [each for each in await self.list_hooks(api) if each.url == url]
        if not found:
            raise ports.ProviderApiError(f"Shopify has no webhook for {url} though it made one")
        return found[0]


def to_enum(topic: str) -> str:
    """`orders/create` as the API names it: `ORDERS_CREATE`."""
    return topic.replace("/", "_").upper()


def from_enum(name: str) -> str:
    """`ORDERS_CREATE` as webhooks name it: `orders/create`."""
    lower = name.lower()
    for resource in _LONG:
        if lower.startswith(f"{resource}_"):
            return f"{resource}/{lower[len(resource) + 1 :]}"
    return lower.replace("_", "/", 1)


async def _subscriptions(admin: Admin) -> list[tuple[str, str, str]]:
    """(id, topic, address) of each subscription by HTTP."""
    found: list[tuple[str, str, str]] = []
    after: object = None
    for _ in range(calling.LIST_PAGES_MAX):
        page = calling.mapping(
            (await admin.ask(_LIST, {"after": after})).get("webhookSubscriptions")
        )
        for node in calling.listed(page.get("nodes")):
            url = calling.mapping(node.get("endpoint")).get("callbackUrl")
            if url is not None:
                found.append((str(node["id"]), from_enum(str(node["topic"])), str(url)))
        info = calling.mapping(page.get("pageInfo"))
        if not info.get("hasNextPage"):
            break
        after = info.get("endCursor")
    return found


async def _create(admin: Admin, topic: str, url: str) -> None:
    variables = {"topic": to_enum(topic), "url": url}
    await _mutate(admin, "webhookSubscriptionCreate", _CREATE, variables)


async def _mutate(admin: Admin, name: str, query: str, variables: Mapping[str, Any]) -> None:
    done = calling.mapping((await admin.ask(query, variables)).get(name))
    faults = calling.listed(done.get("userErrors"))
    if faults:
        said = calling.mapping(faults[0]).get("message")
        raise ports.ProviderApiError(f"Shopify refuses {name}: {said}", status=422)
