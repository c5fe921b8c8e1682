"""The guards over healing: breakers, fuses, switches and windows, read and changed by people.

Without a client a switch, a suspension and a window hold for all clients. Breakers and fuses are
of a client: that of the heals that they have counted.
"""

from typing import Any

import msgspec

from helios.access import model
from helios.api import guards as shown
from helios.api import services, speaking, stack_asks, web, wire
from helios.api.routes import stack_desk as desks
from helios.eventlog import envelope
from helios.kernel import errors, jsonio
from helios.reconcile.compositions import (
    events,
    guard_events,
    guards,
    policy,
    policy_document,
    reading,
)

PATH = "/api/v1/guards"
_FOR_ALL = web.Parameter("client_id", "For this client only; for all without it.")
_CLIENT = web.Parameter("client_id", "Whose; `default` without it.")


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on guards."""
    desk = _Guards(parts)
    noted = {202: web.Reply("In the log.", stack_asks.GuardNoted)}
    every = {200: web.Reply("All of them.", shown.GuardsView)}
    rows: list[tuple[str, str, web.Handler, str, web.Parameter, Any]] = [
        ("POST", "/breakers/reset", desk.reset, "Close a breaker", _CLIENT, stack_asks.Scope),
        (
            "POST",
            "/breakers/force",
            desk.force,
            "Hold a breaker open or closed",
            _CLIENT,
            stack_asks.Force,
        ),
        ("POST", "/fuse/reset", desk.reset_fuse, "Go on after a fuse", _CLIENT, stack_asks.Reset),
        (
            "POST",
            "/kill-switch",
            desk.kill_switch,
            "Stop all healing, or let it go on",
            _FOR_ALL,
            stack_asks.Switch,
        ),
        ("POST", "/suspend", desk.suspend, "Suspend healing", _FOR_ALL, stack_asks.Pause),
        ("POST", "/resume", desk.resume, "Let healing go on", _FOR_ALL, stack_asks.Because),
        (
            "POST",
            "/windows",
            desk.declare_window,
            "Declare when healing is allowed or denied",
            _FOR_ALL,
            stack_asks.Window,
        ),
        ("DELETE", "/windows/{id}", desk.remove_window, "Remove a window", _FOR_ALL, None),
    ]
    return [
        desks.route(
            method="GET",
            path=PATH,
            handler=desk.every,
            summary="The guards over healing of a client, and those for all",
            replies=every,
            parameters=(_CLIENT, wire.AFTER),
        ),
        *(
            desks.route(
                method=method,
                path=f"{PATH}{below}",
                handler=handler,
                summary=summary,
                replies=noted,
                parameters=(client, *desks.COMMAND),
                body={} if body is None else desks.json(body),
            )
            for method, below, handler, summary, client, body in rows
        ),
    ]


class _Guards(desks.Desk):
    async def every(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        await self.visible(request)
        found = await reading.guards_of(self.parts.store, client_id)
        return web.answer(shown.view(client_id, found, self.parts.clock.now()))

    async def reset(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        asked, content = await desks.body(request, stack_asks.Scope)
        _check_scope(asked.scope)

        async def decide(found: guards.Guards) -> guard_events.BreakerMoved | None:
            known = found.breakers.get(asked.scope)
            if known is None:
                return None
            return guard_events.BreakerMoved(
                scope=asked.scope,
                state="closed",
                reason="operator",
                detail=asked.reason,
                uid=known.uid,
            )

        kind = guard_events.BREAKER_CLOSED
        return await self._changed(request, content, (client_id, kind, asked.scope), decide)

    async def force(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        asked, content = await desks.body(request, stack_asks.Force)
        _check_scope(asked.scope)
        _check_reason(asked.reason)
        until = self.later(asked.until)

        async def decide(_: guards.Guards) -> guard_events.BreakerMoved:
            return guard_events.BreakerMoved(
                scope=asked.scope,
                state="forced_open" if asked.state == "open" else "forced_closed",
                reason="operator",
                detail=asked.reason,
                forced_until=until,
            )

        kind = guard_events.BREAKER_FORCED
        return await self._changed(request, content, (client_id, kind, asked.scope), decide)

    async def reset_fuse(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        asked, content = await desks.body(request, stack_asks.Reset)
        _check_reason(asked.reason)

        async def decide(found: guards.Guards) -> guard_events.FuseMoved | None:
            fuse_id = _blown(found, asked.fuse_id)
            if fuse_id is None:
                return None
            fuse = found.fuses[fuse_id]
            return guard_events.FuseMoved(
                fuse_id=fuse_id,
                by=fuse.by,
                count=fuse.count,
                share=fuse.share,
                reason=asked.reason,
            )

        about = (client_id, guard_events.FUSE_RESET, "fuse")
        return await self._changed(request, content, about, decide)

    async def kill_switch(self, request: web.Request) -> web.Response:
        client_id = _for_all(request)
        asked, content = await desks.body(request, stack_asks.Switch)
        _check_reason(asked.reason)

        async def decide(found: guards.Guards) -> guard_events.KillSwitch | None:
            if (found.kill_switch is not None) == asked.on:
                return None
            return guard_events.KillSwitch(on=asked.on, reason=asked.reason)

        about = (client_id, guard_events.KILL_SWITCH_SET, "kill_switch")
        return await self._changed(request, content, about, decide)

    async def suspend(self, request: web.Request) -> web.Response:
        client_id = _for_all(request)
        asked, content = await desks.body(request, stack_asks.Pause)
        _check_reason(asked.reason)
        until = self.later(asked.until)

        async def decide(_: guards.Guards) -> events.Suspended:
            return events.Suspended(mode=asked.mode, reason=asked.reason, until=until)

        about = (client_id, guard_events.HEALING_SUSPENDED, "healing")
        return await self._changed(request, content, about, decide)

    async def resume(self, request: web.Request) -> web.Response:
        client_id = _for_all(request)
        asked, content = await desks.body(request, stack_asks.Because)

        async def decide(found: guards.Guards) -> events.Noted | None:
            return None if found.suspended is None else events.Noted(reason=asked.reason)

        about = (client_id, guard_events.HEALING_RESUMED, "healing")
        return await self._changed(request, content, about, decide)

    async def declare_window(self, request: web.Request) -> web.Response:
        client_id = _for_all(request)
        asked, content = await desks.body(request, stack_asks.Window)
        window = _window(asked)

        async def decide(found: guards.Guards) -> guard_events.WindowDeclared | None:
            if found.windows.get(window.id) == window:
                return None
            return guard_events.WindowDeclared(window=window)

        about = (client_id, guard_events.WINDOW_DECLARED, "windows")
        return await self._changed(request, content, about, decide)

    async def remove_window(self, request: web.Request) -> web.Response:
        client_id = _for_all(request)
        window_id = request.params["id"]

        async def decide(found: guards.Guards) -> guard_events.WindowRemoved:
            if window_id not in found.windows:
                known = ", ".join(sorted(found.windows)) or "none"
                raise errors.NotFoundError(
                    f"no window is called {window_id[:80]!r} here; there are: {known}"
                )
            return guard_events.WindowRemoved(window_id=window_id)

        about = (client_id, guard_events.WINDOW_REMOVED, "windows")
        return await self._changed(request, b"", about, decide)

    async def _changed(
        self,
        request: web.Request,
        content: bytes,
        about: tuple[str, str, str],
        decide: Any,
    ) -> web.Response:
        """Append what is decided on the guards of a client: its type and scope are in `about`."""
        client_id, kind, scope = about
        actor = speaking.actor_of(request)

        async def made() -> desks.Made:
            found = await reading.guards_of(self.parts.store, client_id)
            if client_id == guard_events.SYSTEM_TENANT:
                found = found.shared or guards.Guards()
            payload = await decide(found)
            if payload is None:
                return desks.Made(events=())
            event = guard_events.of_guard(
                kind,
                client_id,
                scope,
                payload,
                now=self.parts.clock.now(),
                id_source=self.parts.ids,
                because=events.Because(actor=actor),
            )
            return desks.Made(events=[event])

        aggregate: envelope.AggregateKey = (client_id, guard_events.AGGREGATE_TYPE, scope)
        done = await self.append(request, aggregate, made, content)
        noted = stack_asks.GuardNoted(
            client_id=client_id,
            scope=scope,
            position=done.position,
            unchanged=not done.position,
        )
        return web.answer(noted, status=202, headers=done.headers())


def _for_all(request: web.Request) -> str:
    """The client whose guards are meant; without one those over all, for who may operate all."""
    client_id = request.query("client_id").get("client_id", guard_events.SYSTEM_TENANT)
    if client_id == guard_events.SYSTEM_TENANT:
        request.principal.require(model.Permission.OPERATE)
    return client_id


_SCOPES = ("stack:", "component:", "provider:", "action:")


def _check_scope(scope: str) -> None:
    prefix, colon, name = scope.partition(":")
    if f"{prefix}{colon}" not in _SCOPES or not name:
        raise errors.InvalidInputError(
            f"{scope[:80]!r}; expected stack:<id>, component:<stack>/<address>, "
            "provider:<name>@<host> or action:<kind>",
            field="scope",
        )


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise errors.InvalidInputError("required: who comes later has to know why", field="reason")


def _blown(found: guards.Guards, fuse_id: str | None) -> str | None:
    """The fuse that is meant; None: it was reset already.

    Raises:
        NotFoundError: there is no such fuse.
        InvalidInputError: several are blown and none is named.
    """
    blown = [name for name, fuse in found.fuses.items() if fuse.reset_at is None]
    if fuse_id is None:
        if len(blown) > 1:
            raise errors.InvalidInputError(
                f"several are blown, name one: {', '.join(blown)}", field="fuse_id"
            )
        return blown[0] if blown else None
    if fuse_id not in found.fuses:
        raise errors.NotFoundError(f"there is no fuse {fuse_id[:80]!r}; `helios guards` lists them")
    return fuse_id if fuse_id in blown else None


def _window(asked: stack_asks.Window) -> policy.Window:
    """The window that is declared, checked as one of a policy is.

    Raises:
        InvalidInputError: it is wrong; names the field.
    """
    document = {
        "apiVersion": policy.API_VERSION,
        "kind": policy.KIND,
        "metadata": {"stack_id": "all"},
        "spec": {"maintenance_windows": [msgspec.structs.asdict(asked)]},
    }
    try:
        parsed = policy_document.parse(jsonio.encode(document).decode())
    except errors.InvalidInputError as error:
        field = (error.field or "").rpartition("].")[2]
        raise errors.InvalidInputError(error.message, field=field) from error
    return parsed.windows[0]
