"""The gate: who makes a request, whether they may, and whose data it can touch from then on.

Everything is refused that no rule allows. The tenant of a request is where the rule says it is,
never where the caller would like it to be; what the caller may touch becomes the scope of the
request, which the log and the views keep to by themselves.
"""

import hmac
import ipaddress
import urllib.parse
from collections.abc import Awaitable, Callable, Collection
from typing import Literal, Protocol

from helios.access import model
from helios.api import access_rules, cookies, web
from helios.eventlog import envelope
from helios.kernel import errors, tenancy

CSRF_HEADER = b"x-helios-csrf"

_SAFE = ("GET", "HEAD", "OPTIONS")
_BEARER = "bearer "
_OURS = ("hls_", "eyJ")
"""How our own tokens begin: those of services, and those of people, which are JWTs."""


class Desk(Protocol):
    """Knows people and tokens."""

    async def principal_of(
        self, text: str, *, by: Literal["cookie", "bearer"] = "bearer"
    ) -> model.Principal:
        """Who shows this token: a session's, or as bearer a service's.

        Raises:
            UnauthenticatedError: nobody does; it is wrong, has ended or was revoked.
        """
        ...

    def is_current(self, principal: model.Principal) -> bool:
        """Whether who was let in would be let in now."""
        ...

    def csrf_of(self, session: str) -> str:
        """What a page of this session sends along to show that it is ours."""
        ...


class Hosts:
    """Under which names this server is called; any other is a page that had its name changed.

    Args:
        names: host names that are ours, without ports; None: all, for who has no public address.
    """

    def __init__(self, names: Collection[str] | None) -> None:
        self._names = None if names is None else {name.lower() for name in names}

    def check(self, request: web.Request) -> None:
        """Refuse what is meant for somebody else.

        Raises:
            ForbiddenError: the Host header names none of ours.
        """
        if self._names is None:
            return
        given = (request.header(b"host") or "").lower()
        name = given.rpartition(":")[0] if _has_port(given) else given
        # A browser always says whom it calls; a program that does not is none.
        if name and name not in self._names and not _is_address(name.strip("[]")):
            raise errors.ForbiddenError(
                f"this server is not called {name[:80]!r}: use its address, or add the name to the "
                "setting `allowed_hosts`"
            )


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdecimal() and not host.endswith("]")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Gate:
    """`asgi.Gate` over people, tokens and ingest secrets.

    Args:
        desk: knows people and tokens; None: access is switched off, and everybody may everything.
        hosts: under which names we are called.
        environment_of: of a client's stack; None: there is no such stack.
        open_ingest: whether events are taken from whoever reaches us, when there is no secret.
        ingest_is_open: whether there is none.
        secure: whether browsers reach us by https.
    """

    def __init__(
        self,
        desk: Desk | None,
        *,
        hosts: Hosts,
        environment_of: Callable[[str, str], Awaitable[str | None]],
        open_ingest: bool,
        ingest_is_open: Callable[[], bool],
        secure: bool = False,
    ) -> None:
        self._desk = desk
        self._hosts = hosts
        self._environment_of = environment_of
        self._open_ingest = open_ingest
        self._ingest_is_open = ingest_is_open
        self._secure = secure

    async def admit(
        self, request: web.Request, rule: access_rules.Rule
    ) -> tuple[model.Principal, tenancy.Scope]:
        """See `asgi.Gate`."""
        if rule.needs == "door":
            return model.NOBODY, tenancy.EVERYTHING
        self._hosts.check(request)
        if self._desk is None:
            return model.LOCAL, tenancy.EVERYTHING
        principal = await self._who(self._desk, request, rule)
        self._check_forged(self._desk, request, principal)
        if isinstance(rule.needs, model.Permission):
            return principal, await self._allowed(request, rule, rule.needs, principal)
        if rule.needs == "ingest":
            return self._ingests(principal)
        if rule.needs == "signed_in" and principal.kind == "nobody":
            raise errors.UnauthenticatedError("sign in, or send a token as `Authorization: Bearer`")
        return principal, principal.scope

    def still(self, principal: model.Principal) -> bool:
        """See `asgi.Gate`."""
        return self._desk is None or self._desk.is_current(principal)

    async def _who(
        self, desk: Desk, request: web.Request, rule: access_rules.Rule
    ) -> model.Principal:
        given = request.header(b"authorization")
        if given is not None and given[: len(_BEARER)].lower() == _BEARER:
            token = given[len(_BEARER) :].strip()
            if rule.needs != "ingest" or token.startswith(_OURS):
                return await desk.principal_of(token)
        cookie = cookies.read(request, cookies.ACCESS, secure=self._secure)
        if cookie is None:
            return model.NOBODY
        try:
            return await desk.principal_of(cookie, by="cookie")
        except errors.UnauthenticatedError:
            # A page that signs in again, or out, still sends the cookie that has ended.
            if rule.needs == "public":
                return model.NOBODY
            raise

    def _check_forged(self, desk: Desk, request: web.Request, principal: model.Principal) -> None:
        """Refuse what a page of elsewhere has a signed-in browser send."""
        if principal.by != "cookie" or request.method in _SAFE or principal.session is None:
            return
        given = request.header(CSRF_HEADER) or ""
        if not hmac.compare_digest(given.encode(), desk.csrf_of(principal.session).encode()):
            raise errors.ForbiddenError(
                "the request does not show that our own page sent it: the header X-Helios-CSRF "
                "has to hold the value of the cookie helios_csrf"
            )

    async def _allowed(
        self,
        request: web.Request,
        rule: access_rules.Rule,
        permission: model.Permission,
        principal: model.Principal,
    ) -> tenancy.Scope:
        """The scope of a request that needs a permission, when its sender has that."""
        if rule.where == "installation":
            principal.require(permission)
            return tenancy.EVERYTHING
        if rule.where == "setting":
            return _of_setting(request, principal)
        tenant = _tenant(request, rule.where)
        if tenant is None:
            bound = rule.environment == "path"
            return principal.require_somewhere(permission, everywhere=bound)
        await self._check(request, rule, principal, tenant)
        return _scope(principal, permission, tenant)

    async def _check(
        self,
        request: web.Request,
        rule: access_rules.Rule,
        principal: model.Principal,
        tenant: str,
    ) -> None:
        """Raises UnauthenticatedError or ForbiddenError."""
        assert isinstance(rule.needs, model.Permission)
        if principal.may(rule.needs, tenant):
            return
        environment = None
        if principal.may_somewhere(rule.needs, tenant):
            if rule.environment == "handler":
                return
            if "stack" in request.params:
                environment = await self._environment_of(tenant, request.params["stack"])
                if environment is None:
                    return  # There is none yet: who declares it says where it is to be.
        principal.require(rule.needs, tenant, environment)

    def _ingests(self, principal: model.Principal) -> tuple[model.Principal, tenancy.Scope]:
        if principal.kind != "nobody":
            return principal, principal.require_somewhere(model.Permission.INGEST, everywhere=True)
        if self._ingest_is_open() and not self._open_ingest:
            raise errors.UnauthenticatedError(
                "send a token that may ingest as `Authorization: Bearer`, or have the server know "
                "an ingest secret (setting `ingest_secrets`)"
            )
        return model.Principal(kind="key", name="ingest"), tenancy.EVERYTHING


def _scope(principal: model.Principal, permission: model.Permission, tenant: str) -> tenancy.Scope:
    """The scope of who may do something to a tenant's data."""
    everything = principal.scope_for(permission) == tenancy.EVERYTHING
    return tenancy.EVERYTHING if everything else tenancy.Scope(frozenset((tenant,)))


def _of_setting(request: web.Request, principal: model.Principal) -> tenancy.Scope:
    """The scope of who may change a setting; a refusal names at once what suffices."""
    needed = access_rules.of_setting(request.params["name"], _of_query(request))
    principal.require(*needed)
    return _scope(principal, *needed)


def _tenant(request: web.Request, where: access_rules.Where) -> str | None:
    """Whose data a request is about, where that is one; None: no one's in particular."""
    if where == "path":
        return request.params.get("client") or request.params["client_id"]
    if where not in ("one", "any"):
        return None
    given = _of_query(request)
    return given if given is not None or where == "any" else envelope.DEFAULT_TENANT


def _of_query(request: web.Request) -> str | None:
    raw: bytes = request.scope["query_string"]
    if not raw:
        return None
    # Read as handlers read it: a name may be written as `client%5Fid`.
    pairs = urllib.parse.parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    found = [value for name, value in pairs if name == "client_id"]
    if len(found) > 1:
        raise errors.InvalidInputError("given twice", field="client_id")
    return found[0] if found else None
