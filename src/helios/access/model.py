"""Values of access: roles, what each may do, grants, and the principal of a request.

A grant is a role for a tenant and an environment; `*` stands for all of them. Reading is by
tenant. An environment bounds what may be done to the stacks in it: to operate, approve or
administer there needs a grant for that environment.
"""

import enum
from typing import Literal, TypeAlias

import msgspec

from helios.kernel import errors, tenancy

ALL = "*"
"""In a grant: every tenant, or every environment."""

Role: TypeAlias = Literal["viewer", "operator", "approver", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "approver", "admin")


class Permission(enum.StrEnum):
    """What a route needs."""

    READ = "read"
    INGEST = "ingest"
    OPERATE = "operate"
    APPROVE = "approve"
    ADMINISTER = "administer"


PERMISSIONS: dict[Role, frozenset[Permission]] = {
    "viewer": frozenset({Permission.READ}),
    "operator": frozenset({Permission.READ, Permission.INGEST, Permission.OPERATE}),
    "approver": frozenset({Permission.READ, Permission.APPROVE}),
    "admin": frozenset(Permission),
}
"""An operator proposes and an approver agrees: neither can do the other's part."""


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role that somebody has.

    Attributes:
        role: what they may do.
        tenant: for whose data (`client_id`); `*`: everybody's, and the installation itself.
        environment: in which environment of stacks; `*`: all, and what is in none.
    """

    role: Role
    tenant: str = ALL
    environment: str = ALL


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes a request.

    Attributes:
        kind: `user`, `service` (by a service token), `key` (an ingest secret, which appends for
            any tenant), `local` (access is switched off, or the process itself) or `nobody`.
        name: of the user or token, as events show it behind the kind.
        grants: what they may do.
        session: id of the session that the request came with, of a user.
        token: id of the token that the request came with, of a service.
        by: how they showed who they are: `cookie` (needs proof against forged requests), `bearer`.
        speaks: whether they say themselves on whose behalf they ask, as commands do at the machine
            of a server.
        groups: names of the roles in which they may answer approvals, beside those of the grants.
    """

    kind: Literal["user", "service", "key", "local", "nobody"]
    name: str = "anonymous"
    grants: tuple[Grant, ...] = ()
    session: str | None = None
    token: str | None = None
    by: Literal["cookie", "bearer", "none"] = "none"
    groups: tuple[str, ...] = ()
    speaks: bool = False

    @property
    def actor(self) -> str:
        """How events name them."""
        kind = "service" if self.kind in ("service", "key") else "user"
        return f"{kind}:{self.name}"

    @property
    def scope(self) -> tenancy.Scope:
        """Whose data they may touch at all."""
        if self.kind in ("local", "key") or any(each.tenant == ALL for each in self.grants):
            return tenancy.EVERYTHING
        return tenancy.Scope(frozenset(each.tenant for each in self.grants))

    def may(
        self, permission: Permission, tenant: str = ALL, environment: str | None = None
    ) -> bool:
        """Whether they may do something.

        Args:
            permission: what.
            tenant: to whose data; `*`: to the installation as a whole.
            environment: in which environment; None: in none in particular. To read needs none.
        """
        if self.kind == "local":
            return True
        if self.kind == "key":
            return permission is Permission.INGEST
        return any(
            permission in PERMISSIONS[each.role]
            and each.tenant in (ALL, tenant)
            and (permission is Permission.READ or _covers(each.environment, environment))
            for each in self.grants
        )

    def may_somewhere(self, permission: Permission, tenant: str) -> bool:
        """Whether they may do something in some environment of a tenant."""
        return self.scope_for(permission).allows(tenant)

    def scope_for(self, permission: Permission, *, everywhere: bool = False) -> tenancy.Scope:
        """The tenants to whose data they may do something, in whatever environment.

        Args:
            permission: what.
            everywhere: leave out where they may only in some environment.
        """
        if self.kind == "local":
            return tenancy.EVERYTHING
        if self.kind == "key":
            return tenancy.EVERYTHING if permission is Permission.INGEST else tenancy.NOTHING
        tenants = {
            each.tenant
            for each in self.grants
            if permission in PERMISSIONS[each.role]
            and (not everywhere or permission is Permission.READ or each.environment == ALL)
        }
        return tenancy.EVERYTHING if ALL in tenants else tenancy.Scope(frozenset(tenants))

    def require(
        self, permission: Permission, tenant: str = ALL, environment: str | None = None
    ) -> None:
        """Refuse what they may not do.

        Raises:
            UnauthenticatedError: nobody is signed in.
            ForbiddenError: they lack the role; says which would do.
        """
        if self.may(permission, tenant, environment):
            return
        where = "all clients" if tenant == ALL else f"client {tenant[:80]}"
        if environment is not None:
            where = f"{where}, environment {environment[:80]}"
        elif self.may_somewhere(permission, tenant):
            where = f"{where}, in all environments"
        raise self._refused(permission, where)

    def require_somewhere(
        self, permission: Permission, *, everywhere: bool = False
    ) -> tenancy.Scope:
        """As `scope_for`, where that is not nothing.

        Raises:
            UnauthenticatedError: nobody is signed in.
            ForbiddenError: they lack the role for whatever client; says which would do.
        """
        scope = self.scope_for(permission, everywhere=everywhere)
        if scope != tenancy.NOTHING:
            return scope
        bound = everywhere and self.scope_for(permission) != tenancy.NOTHING
        where = "a client, in all environments" if bound else "a client"
        raise self._refused(permission, where)

    def _refused(self, permission: Permission, where: str) -> errors.HeliosError:
        if self.kind == "nobody":
            return errors.UnauthenticatedError(
                "sign in, or send a token as `Authorization: Bearer`"
            )
        *others, last = [role for role in ROLES if permission in PERMISSIONS[role]]
        roles = f"{', '.join(others)} or {last}" if others else last
        return errors.ForbiddenError(f"this needs the role {roles} for {where}")

    def roles(self, tenant: str) -> tuple[str, ...]:
        """The roles in which they may answer approvals of a tenant."""
        found = {each.role for each in self.grants if each.tenant in (ALL, tenant)}
        return tuple(sorted({*found, *self.groups}))


def _covers(granted: str, asked: str | None) -> bool:
    return granted in (ALL, asked)


LOCAL = Principal(kind="local", speaks=True)
"""Everybody, where access is switched off; and the process itself."""

NOBODY = Principal(kind="nobody")
