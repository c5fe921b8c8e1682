"""What the operations on sessions, users and tokens have in common."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from helios.access import model, parts, sessions
from helios.api import services, web
from helios.ingest import incoming
from helios.kernel import jsonio

T = TypeVar("T")

BODY_BYTES_MAX = 64 << 10
NO_STORE = (b"cache-control", b"no-store")
"""What says who somebody is, or holds a secret, is kept by nobody on the way."""

_AGENT = b"user-agent"


class GrantView(msgspec.Struct, frozen=True, kw_only=True):
    """A role for a client and an environment; `*`: all of them."""

    role: model.Role
    tenant: str
    environment: str


class GrantGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role to give. Without a tenant or environment it is for all of them."""

    role: model.Role
    tenant: str = model.ALL
    environment: str = model.ALL


def shown(grants: Sequence[model.Grant]) -> list[GrantView]:
    """Grants as the API shows them."""
    return [
        GrantView(role=each.role, tenant=each.tenant, environment=each.environment)
        for each in grants
    ]


def given(grants: Sequence[GrantGiven]) -> list[model.Grant]:
    """Grants as somebody wants to give them."""
    return [
        model.Grant(role=each.role, tenant=each.tenant, environment=each.environment)
        for each in grants
    ]


class Desk:
    """Base of the handlers."""

    def __init__(self, found: services.Services) -> None:
        self.parts = found

    @property
    def access(self) -> parts.Access:
        """Users, tokens and sessions.

        Raises:
            NotRunningError: nothing here knows them.
        """
        if self.parts.access is None:
            raise services.NotRunningError(
                'nobody signs in here: start `helios serve` with the setting `auth = "on"`'
            )
        return self.parts.access

    def is_secure(self, request: web.Request) -> bool:
        """Whether browsers reach us by https, as far as the settings tell."""
        return self.parts.address(request.header(b"host")).startswith("https://")


async def body(request: web.Request, kind: type[T]) -> T:
    """The request's body as a value. What is wrong with it is told by place, never by value.

    Raises:
        InvalidInputError: not JSON, an unknown field, or a wrong value; names the field.
    """
    found = await request.body(BODY_BYTES_MAX)
    jsonio.parse_object(found)
    try:
        return msgspec.json.decode(found, type=kind)
    except msgspec.ValidationError as error:
        incoming.refuse_shape(error)


def where(request: web.Request) -> sessions.Where:
    """Where a request comes from."""
    client = request.scope.get("client")
    agent = request.headers().get(_AGENT, b"").decode("latin-1")
    return sessions.Where(address=client[0] if client else "", agent=agent)


def route(
    method: str,
    path: str,
    handler: web.Handler,
    summary: str,
    reply: tuple[str, Any],
    *,
    status: int = 200,
    asked: Any = None,
    parameters: Sequence[web.Parameter] = (),
    others: Mapping[int, web.Reply] | None = None,
) -> web.Route:
    """One operation of the group."""
    return web.Route(
        method=method,
        path=path,
        handler=handler,
        summary=summary,
        tag="access",
        replies={status: web.Reply(*reply), **(others or {})},
        parameters=parameters,
        body={} if asked is None else {"application/json": asked},
    )
