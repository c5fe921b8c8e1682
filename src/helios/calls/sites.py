"""Sites and builds."""

from helios.api.routes import sites as routes
from helios.calls import base

_SITES = "/api/v1/sites"
_BUILDS = "/api/v1/builds"


class SiteCalls(base.Calls):
    """The client's methods for sites and builds."""

    async def declare_site(self, text: str, *, dry_run: bool = False) -> routes.DeclaredSite:
        """Declare a site, given as YAML; with `dry_run` only check it."""
        return await self._send(
            routes.DeclaredSite,
            "PUT",
            _SITES,
            content=text.encode(),
            headers={"content-type": "application/yaml"},
            params={"dry_run": "true"} if dry_run else {},
        )

    async def sites(self, client_id: str | None = None) -> routes.SiteList:
        """The declared sites, of one client or of all."""
        return await self._get(routes.SiteList, _SITES, {"client_id": client_id})

    async def site(
        self, name: str, client_id: str | None = None, *, after: int | None = None
    ) -> routes.SiteView:
        """One site, not older than the position `after`. Raises NotFoundError."""
        return await self._send(
            routes.SiteView,
            "GET",
            f"{_SITES}/{base.segment(name)}",
            params=base.given({"client_id": client_id}),
            headers={} if after is None else {"helios-after": str(after)},
        )

    async def remove_site(self, name: str, client_id: str | None = None) -> routes.Accepted:
        """Remove a site; its builds stay to be read."""
        path = f"{_SITES}/{base.segment(name)}"
        query = base.given({"client_id": client_id})
        return await self._send(routes.Accepted, "DELETE", path, params=query)

    async def build_site(self, name: str, client_id: str | None = None) -> routes.Accepted:
        """Ask for a build now; it happens beside."""
        path = f"{_SITES}/{base.segment(name)}/build"
        query = base.given({"client_id": client_id})
        return await self._send(routes.Accepted, "POST", path, params=query)

    async def builds(self, **query: str | int | None) -> routes.BuildList:
        """One page of builds, newest first; parameters as of `GET /api/v1/builds`."""
        return await self._get(routes.BuildList, _BUILDS, query)

    async def build(self, build_id: str, client_id: str | None = None) -> routes.BuildView:
        """One build. Raises NotFoundError."""
        path = f"{_BUILDS}/{base.segment(build_id)}"
        return await self._get(routes.BuildView, path, {"client_id": client_id})

    async def build_log(self, build_id: str, client_id: str | None = None) -> bytes:
        """What a build printed. Raises NotFoundError when it is not kept, or not there."""
        path = f"{_BUILDS}/{base.segment(build_id)}/log"
        return (await self._fetch(path, {"client_id": client_id})).content

    async def cancel_build(self, build_id: str, client_id: str | None = None) -> routes.Accepted:
        """End a build. Raises ConflictError when it has ended."""
        path = f"{_BUILDS}/{base.segment(build_id)}/cancel"
        query = base.given({"client_id": client_id})
        return await self._send(routes.Accepted, "POST", path, params=query)
