"""Shopify's GraphQL Admin API: how it is called, and how its budget of points is kept."""

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from helios.kernel import outbound
from helios.providers import calling, ports

PACE_S_MAX = 30.0
"""Longest wait for points before a query. Above: the query is sent, and may be refused."""


class ApiOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        shop: domain of the shop, such as `acme.myshopify.com`; deliveries of others are refused.
            None: any shop of the app, for a source that serves just one.
        api_version: of the API that is asked.
        base_url: where the API is called; empty: at `https://<shop>`.
        bulk: load all products by one bulk operation at the first poll (advanced).
    """

    shop: str | None = None
    api_version: str = "2025-10"
    base_url: str = ""
    bulk: bool = False


def options(source: ports.Source) -> ApiOptions:
    """The settings of a source."""
    return source.options if isinstance(source.options, ApiOptions) else ApiOptions()


class Admin:
    """The API with the points that were left at the last answer.

    Attributes:
        available: points left; infinite before the first answer.
        restored_per_s: points that come back each second.
    """

    def __init__(self, rest: calling.Rest, path: str) -> None:
        self.rest = rest
        self.available = float("inf")
        self.restored_per_s = 100.0
        self._path = path
        self._needed = 0.0

    @classmethod
    def of(cls, api: ports.Api) -> Self:
        """The API of a source. Raises InvalidInputError: it does not say where, or no token."""
        said = options(api.source)
        base = said.base_url or (f"https://{said.shop}" if said.shop else "")
        headers = (("X-Shopify-Access-Token", calling.credential(api.source, "token")),)
        path = f"/admin/api/{said.api_version}/graphql.json"
        return cls(calling.rest(api, base, headers, field="shop"), path)

    async def ask(self, query: str, variables: Mapping[str, Any]) -> Any:
        """The data of a query, once there are points for it. Raises as `Rest.graphql`."""
        if self.available < self._needed:
            wait_s = (self._needed - self.available) / self.restored_per_s
            await self.rest.api.clock.sleep(min(wait_s, PACE_S_MAX))
        answer = await self.answer(query, variables)
        return self.rest.graphql_data(answer, self._path)

    async def answer(self, query: str, variables: Mapping[str, Any]) -> outbound.Answer:
        """Its answer.

        Raises:
            OutboundError, ProviderApiError: as `Rest.graphql`; when it throttles, with the time
                until there are enough points again.
        """
        body = {"query": query, "variables": variables}
        answer = await self.rest.send("POST", self._path, body=body)
        self._account(answer)
        try:
            self.rest.graphql_data(answer, self._path)
        except ports.ProviderApiError as error:
            if error.status == 429:
                lacking = max(0.0, self._needed - self.available)
                error.retry_after_s = max(1.0, lacking / self.restored_per_s)
            raise
        return answer

    def _account(self, answer: outbound.Answer) -> None:
        said = calling.mapping(self.rest.value(answer, self._path))
        cost = calling.mapping(calling.mapping(said.get("extensions")).get("cost"))
        left = calling.mapping(cost.get("throttleStatus"))
        if "currentlyAvailable" in left:
            self.available = float(left["currentlyAvailable"])
            self.restored_per_s = max(1.0, float(left.get("restoreRate", 100.0)))
            self._needed = float(cost.get("requestedQueryCost") or 0.0)
