"""Settings that change while Helios runs: read, changed, put back, undone.

Who reads what is common to all may read every setting of the installation, for what acts on his
clients is not to be hidden from him; what needs a restart tells of the machine, and is shown to who
may see the installation.
"""

import re
from typing import Any, Literal

import msgspec

from helios.access import model
from helios.api import access_rules, scoping, services, speaking, web, wire
from helios.api.routes import ingest
from helios.api.routes import stack_desk as desks
from helios.configuration import desk as settings_desk
from helios.configuration import events, finding, registry
from helios.configuration import setting as settings
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors

PATH = "/api/v1/configuration"
TAG = "configuration"
NAME_CHARS_MAX = 200

_NAME = re.compile(r"[\w.-]+", re.ASCII)
P = model.Permission


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting and what is in force.

    Attributes:
        scope: `installation`, `client` (what a client has of its own) or `contract`.
        scopes: where it may be set.
        client_id: whose; null: the installation's.
        bounds: what a value may be, in words; `least`, `most` and `choices` say it for programs.
        default: what is in force where nobody sets it; of a contract what was
            declared last.
        own: what was set in this scope; null: nothing was.
        origin: where the value comes from: `default`, a file, a variable, a flag, `changed at run
            time`, a contract's version, a kill switch.
        hot: acts without a restart.
        etag: names this state, for If-Match.
    """

    name: str
    title: str
    description: str
    acts_on: str
    kind: settings.Kind
    unit: str
    bounds: str
    least: Any
    most: Any
    choices: list[str]
    default: Any
    value: Any
    own: Any
    origin: str
    scope: settings.Scope
    scopes: list[settings.Scope]
    client_id: str | None
    hot: bool
    changed_at: str | None
    changed_by: str | None
    reason: str | None
    etag: str


class SettingList(msgspec.Struct, frozen=True, kw_only=True):
    """All settings; those that need a restart come last, with `hot` false."""

    settings: list[SettingView]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value to set: `45s`, `1%`, `true`, a number or a word, as the setting's kind has it.

    Attributes:
        reason: why; kept with it. Healing cannot be switched without one.
    """

    value: bool | int | float | str
    reason: str = ""


class Because(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a setting is put back; kept with it."""

    reason: str = ""


class Undo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which change is taken back.

    Attributes:
        position: of the change; null: the last one.
        force: also where somebody has changed it since.
    """

    position: int | None = None
    force: bool = False
    reason: str = ""


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change.

    Attributes:
        setting: as it is now; with `dry_run` as it still is.
        before, after: what was and is in force; with `dry_run` what would be.
        effect: what it does, in words.
        position: of the change in the log; 0: nothing was appended.
        unchanged: it was so already.
    """

    setting: SettingView
    before: Any
    after: Any
    effect: str
    position: int
    unchanged: bool
    dry_run: bool


class PastView(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a setting.

    Attributes:
        action: `set`; `reset`: put back to its default; `undo`: a change was taken back;
            `declared`: somebody declared the contract with this value.
        previous: null: there was nothing before.
        undoes: position of the change that was taken back.
        undoable: whether it can be taken back here.
    """

    position: int
    action: Literal["set", "reset", "undo", "declared"]
    value: Any
    previous: Any
    reason: str
    actor: str | None
    at: str
    origin: str
    undoes: int | None
    undoable: bool


class PastList(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a setting, newest first; read on with `cursor=next_cursor`."""

    name: str
    client_id: str | None
    changes: list[PastView]
    next_cursor: str | None


_CLIENT = web.Parameter(
    "client_id",
    "Whose: what a client has of its own, and its contracts; without it the installation's, and "
    "of a contract the client `default`.",
)
_MATCH = web.Parameter("If-Match", "`etag` that must still hold, else 409.", str, "header")
_DRY = web.Parameter("dry_run", "`true`: say what would be, and change nothing.")
_CHANGING = (_CLIENT, _DRY, _MATCH, wire.IDEMPOTENCY_KEY, desks.ACTOR)


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on settings."""
    desk = _Desk(parts)
    one = f"{PATH}/{{name}}"
    changed = {200: web.Reply("What became of it.", ChangeView)}
    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=desk.every,
            summary="All settings, with what is in force and where it comes from",
            tag=TAG,
            replies={200: web.Reply("All of them.", SettingList)},
            parameters=(_CLIENT, wire.AFTER),
        ),
        web.Route(
            method="GET",
            path=one,
            handler=desk.one,
            summary="One setting",
            tag=TAG,
            replies={200: web.Reply("The setting, with an ETag.", SettingView)},
            parameters=(_CLIENT, wire.AFTER),
        ),
        web.Route(
            method="PUT",
            path=one,
            handler=desk.change,
            summary="Change a setting; every process acts on it within two seconds",
            tag=TAG,
            body=desks.json(Wanted),
            replies=changed,
            parameters=_CHANGING,
        ),
        web.Route(
            method="DELETE",
            path=one,
            handler=desk.reset,
            summary="Put a setting back to its default",
            tag=TAG,
            body=desks.json(Because),
            replies=changed,
            parameters=_CHANGING,
        ),
        web.Route(
            method="GET",
            path=f"{one}/history",
            handler=desk.history,
            summary="Changes of a setting",
            tag=TAG,
            replies={200: web.Reply("Newest first.", PastList)},
            parameters=(_CLIENT, wire.LIMIT, wire.CURSOR, wire.AFTER),
        ),
        web.Route(
            method="POST",
            path=f"{one}/undo",
            handler=desk.undo,
            summary="Take a change of a setting back",
            tag=TAG,
            body=desks.json(Undo),
            replies=changed,
            parameters=_CHANGING,
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    @property
    def _settings(self) -> settings_desk.Desk:
        if self._parts.configuration is None:
            raise services.NotRunningError("nothing here keeps settings: start `helios serve`")
        return self._parts.configuration

    async def every(self, request: web.Request) -> web.Response:
        client_id = request.query("client_id").get("client_id")
        allowed = scoping.tenants(client_id)
        await self._visible(request)
        found = await self._settings.every(allowed, client_id)
        made = [_view(each) for each in found]
        if request.principal.may(P.READ):
            made += [_fixed(each) for each in self._settings.fixed()]
        return web.answer(SettingList(settings=made))

    async def one(self, request: web.Request) -> web.Response:
        name, client_id = self._readable(request)
        await self._visible(request)
        found = await self._settings.one(name, client_id)
        return web.answer(_view(found), headers=[_etag(found)])

    async def change(self, request: web.Request) -> web.Response:
        wanted, content = await desks.body(request, Wanted)
        asked = self._asked(request, wanted.reason, content)
        return _changed(await self._settings.change(asked, wanted.value))

    async def reset(self, request: web.Request) -> web.Response:
        wanted, content = await desks.body(request, Because)
        return _changed(await self._settings.reset(self._asked(request, wanted.reason, content)))

    async def undo(self, request: web.Request) -> web.Response:
        wanted, content = await desks.body(request, Undo)
        if wanted.position is not None and not 0 < wanted.position < 1 << 63:
            raise errors.InvalidInputError("expected a position of the log", field="position")
        asked = self._asked(request, wanted.reason, content)
        done = await self._settings.undo(asked, position=wanted.position, force=wanted.force)
        return _changed(done)

    async def history(self, request: web.Request) -> web.Response:
        name, client_id = self._readable(request, "limit", "cursor")
        query = request.query("client_id", "limit", "cursor")
        limit = wire.limit(query)
        before = desks.before(query)
        await self._visible(request)
        found = await self._settings.history(name, client_id, before=before, limit=limit)
        following = str(found[-1].position) if len(found) == limit else None
        made = PastList(
            name=name,
            client_id=client_id,
            changes=[_past(each) for each in found],
            next_cursor=following,
        )
        return web.answer(made)

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._settings.visible(after)

    def _readable(self, request: web.Request, *known: str) -> tuple[str, str | None]:
        """Setting and scope of a request that reads."""
        name = _name(request)
        client_id = request.query("client_id", *known).get("client_id")
        if name.startswith(registry.CONTRACT):
            client_id = client_id or envelope.DEFAULT_TENANT
        if client_id is not None:
            request.principal.require(P.READ, client_id)
        return name, client_id

    def _asked(self, request: web.Request, reason: str, content: bytes) -> settings_desk.Asked:
        """What a request asks for, by somebody who may.

        Raises:
            ForbiddenError: he may not, see `access_rules.of_setting`.
        """
        name = _name(request)
        query = request.query("client_id", "dry_run")
        client_id = query.get("client_id")
        if client_id == events.INSTALLATION:
            client_id = None
        request.principal.require(*access_rules.of_setting(name, client_id))
        if name.startswith(registry.CONTRACT):
            client_id = client_id or envelope.DEFAULT_TENANT
        dry_run = wire.flag(query, "dry_run")
        scope = client_id or events.INSTALLATION
        return settings_desk.Asked(
            name=name,
            client_id=client_id,
            actor=speaking.actor_of(request),
            reason=reason,
            match=request.header(b"if-match"),
            dry_run=dry_run,
            idempotency=None
            if dry_run
            else ingest.idempotency(request, content + request.scope["query_string"], scope),
        )


def _name(request: web.Request) -> str:
    name = request.params["name"]
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name):
        raise errors.NotFoundError(settings.missing(name, registry.SETTINGS))
    return name


def _changed(done: settings_desk.Done) -> web.Response:
    headers = [_etag(done.found)]
    if done.position:
        headers.append(wire.position_header(done.position))
    if done.replayed:
        headers.append(wire.REPLAYED)
    made = ChangeView(
        setting=_view(done.found),
        before=done.before,
        after=done.after,
        effect=done.effect,
        position=done.position,
        unchanged=done.unchanged,
        dry_run=done.dry_run,
    )
    return web.answer(made, headers=headers)


def _etag(found: finding.Found) -> tuple[bytes, bytes]:
    return (b"etag", f'"{found.etag}"'.encode())


def _view(found: finding.Found) -> SettingView:
    setting, last = found.setting, found.change
    return SettingView(
        name=setting.name,
        title=setting.title,
        description=setting.description,
        acts_on=setting.acts_on,
        kind=setting.kind,
        unit=setting.shown_unit,
        bounds=setting.bounds,
        least=setting.least,
        most=setting.most,
        choices=list(setting.choices),
        default=setting.default,
        value=found.value,
        own=found.own,
        origin=found.origin,
        scope=_scope(found),
        scopes=list(setting.scopes),
        client_id=None if found.client_id == events.INSTALLATION else found.client_id,
        hot=True,
        changed_at=None if last is None else clocks.to_rfc3339(last.at),
        changed_by=None if last is None else last.actor,
        reason=None if last is None else last.reason,
        etag=found.etag,
    )


def _scope(found: finding.Found) -> settings.Scope:
    if found.contract is not None:
        return "contract"
    return "installation" if found.client_id == events.INSTALLATION else "client"


def _fixed(found: finding.Fixed) -> SettingView:
    return SettingView(
        name=found.name,
        title=found.name.replace("_", " "),
        description=found.description,
        acts_on="this process, when it is started again",
        kind="text",
        unit="",
        bounds="",
        least=None,
        most=None,
        choices=[],
        default=None,
        value=found.value,
        own=None,
        origin=found.origin,
        scope="installation",
        scopes=["installation"],
        client_id=None,
        hot=False,
        changed_at=None,
        changed_by=None,
        reason=None,
        etag="",
    )


def _past(said: finding.Past) -> PastView:
    if not said.undoable:
        action: Literal["set", "reset", "undo", "declared"] = "declared"
    elif said.undoes is not None:
        action = "undo"
    else:
        action = "set" if said.is_set else "reset"
    return PastView(
        position=said.position,
        action=action,
        value=said.value,
        previous=said.previous,
        reason=said.reason,
        actor=said.actor or None,
        at=clocks.to_rfc3339(said.at),
        origin=said.origin,
        undoes=said.undoes,
        undoable=said.undoable,
    )
