"""Settings that change while Helios runs."""

from helios.api.routes import configuration as routes
from helios.calls import base
from helios.configuration import setting as kinds


class ConfigurationCalls(base.Calls):
    """The client's methods for settings."""

    async def settings(self, client_id: str | None = None) -> routes.SettingList:
        """All settings, with what is in force and where it comes from."""
        return await self._get(routes.SettingList, routes.PATH, {"client_id": client_id})

    async def setting(self, name: str, client_id: str | None = None) -> routes.SettingView:
        """One setting. Raises NotFoundError."""
        return await self._get(routes.SettingView, _path(name), {"client_id": client_id})

    async def change_setting(
        self,
        name: str,
        value: kinds.Value,
        *,
        client_id: str | None = None,
        reason: str = "",
        match: str | None = None,
        dry_run: bool = False,
        actor: str | None = None,
    ) -> routes.ChangeView:
        """Set a value; every process acts on it within two seconds.

        Args:
            name: of the setting.
            value: as its kind has it, such as `45s`, `1%` or `true`.
            client_id: for this client alone, or whose contract.
            reason: why; kept with it.
            match: `etag` that must still hold.
            dry_run: say what would be, and change nothing.
            actor: who asks.

        Raises:
            InvalidInputError: the value does not do; says what is expected.
            ConflictError: it was changed meanwhile.
        """
        return await self._send(
            routes.ChangeView,
            "PUT",
            _path(name),
            params=_params(client_id, dry_run=dry_run),
            json={"value": value, "reason": reason},
            headers=_headers(match, actor),
        )

    async def reset_setting(
        self,
        name: str,
        *,
        client_id: str | None = None,
        reason: str = "",
        match: str | None = None,
        dry_run: bool = False,
        actor: str | None = None,
    ) -> routes.ChangeView:
        """Put a setting back to its default; see `change_setting`."""
        return await self._send(
            routes.ChangeView,
            "DELETE",
            _path(name),
            params=_params(client_id, dry_run=dry_run),
            json={"reason": reason},
            headers=_headers(match, actor),
        )

    async def setting_history(
        self,
        name: str,
        client_id: str | None = None,
        *,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> routes.PastList:
        """Changes of a setting, newest first."""
        query = {"client_id": client_id, "limit": limit, "cursor": cursor}
        return await self._get(routes.PastList, _path(name, "/history"), query)

    async def undo_setting(
        self,
        name: str,
        *,
        client_id: str | None = None,
        position: int | None = None,
        force: bool = False,
        reason: str = "",
        dry_run: bool = False,
        actor: str | None = None,
    ) -> routes.ChangeView:
        """Take a change back: the last one, or the one at a position.

        Raises:
            NotFoundError: there is no such change.
            ConflictError: somebody changed it since, and `force` is not given.
        """
        return await self._send(
            routes.ChangeView,
            "POST",
            _path(name, "/undo"),
            params=_params(client_id, dry_run=dry_run),
            json={"position": position, "force": force, "reason": reason},
            headers=_headers(None, actor),
        )


def _path(name: str, below: str = "") -> str:
    return f"{routes.PATH}/{base.segment(name)}{below}"


def _params(client_id: str | None, *, dry_run: bool) -> dict[str, str]:
    return base.given({"client_id": client_id, "dry_run": "true" if dry_run else None})


def _headers(match: str | None, actor: str | None) -> dict[str, str]:
    found = {"if-match": None if match is None else f'"{match}"', "helios-actor": actor}
    return base.given(found)
