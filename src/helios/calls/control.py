"""Commands and correlations."""

from collections.abc import Sequence

import msgspec

from helios.api.routes import control as routes
from helios.calls import base
from helios.reconcile.bus import commands, events


class ControlCalls(base.Calls):
    """The client's methods for the control bus; `actor` is who asks, for the audit."""

    async def issue_command(
        self,
        asked: commands.Issue,
        *,
        idempotency_key: str | None = None,
        actor: str | None = None,
    ) -> routes.Issued:
        """Issue a command. Raises IdempotencyError when its id names another one."""
        return await self._send(
            routes.Issued,
            "POST",
            routes.COMMANDS,
            content=msgspec.json.encode(_bare(asked)),
            headers=_headers(idempotency_key, actor),
        )

    async def issue_together(
        self,
        asked: Sequence[commands.Issue],
        *,
        correlation_id: str | None = None,
        idempotency_key: str | None = None,
        actor: str | None = None,
    ) -> routes.Issued:
        """Issue commands that complete or fail as one."""
        body = {"commands": [_bare(each) for each in asked], "correlation_id": correlation_id}
        return await self._send(
            routes.Issued,
            "POST",
            f"{routes.COMMANDS}/together",
            content=msgspec.json.encode(body),
            headers=_headers(idempotency_key, actor),
        )

    async def commands(self, **query: str | int | None) -> routes.CommandList:
        """One page of commands, newest first; parameters as of `GET /api/v1/commands`."""
        return await self._get(routes.CommandList, routes.COMMANDS, query)

    async def command(
        self, command_id: str, client_id: str | None = None, *, after: int | None = None
    ) -> routes.CommandView:
        """One command, not older than the position `after`. Raises NotFoundError."""
        path = f"{routes.COMMANDS}/{base.segment(command_id)}"
        return await self._after(routes.CommandView, path, client_id, after)

    async def correlations(self, **query: str | int | None) -> routes.CorrelationList:
        """One page of correlations, newest first; parameters as of `GET /api/v1/correlations`."""
        return await self._get(routes.CorrelationList, routes.CORRELATIONS, query)

    async def correlation(
        self, correlation_id: str, client_id: str | None = None, *, after: int | None = None
    ) -> events.Record:
        """One correlation, not older than the position `after`. Raises NotFoundError."""
        path = f"{routes.CORRELATIONS}/{base.segment(correlation_id)}"
        return await self._after(events.Record, path, client_id, after)

    async def _after(
        self, kind: type[base.T], path: str, client_id: str | None, after: int | None
    ) -> base.T:
        return await self._send(
            kind,
            "GET",
            path,
            params=base.given({"client_id": client_id}),
            headers={} if after is None else {"helios-after": str(after)},
        )


def _bare(asked: commands.Issue) -> dict[str, object]:
    """What was asked for, without what was left out."""
    told = msgspec.to_builtins(asked)
    return {name: value for name, value in told.items() if value is not None}


def _headers(key: str | None, actor: str | None) -> dict[str, str]:
    given = {"content-type": "application/json", "idempotency-key": key, "helios-actor": actor}
    return {name: value for name, value in given.items() if value is not None}
