"""Who may give what to whom: nobody more than he has himself.

Whoever administers clients manages the users and tokens whose grants all lie within those clients,
and no others: not one who may do something elsewhere too, and not one who may do nothing at all.
"""

from collections.abc import Iterable, Sequence

from helios.access import model
from helios.kernel import errors

GRANTS_MAX = 100
"""Grants of one user or token. Above: refused."""

GROUPS_MAX = 50
CHARS_MAX = 128
"""Characters of a tenant, an environment or a group in a grant. Above: refused."""


def administers_something(principal: model.Principal) -> bool:
    """Whether they may administer any client at all."""
    return principal.kind == "local" or any(
        model.Permission.ADMINISTER in model.PERMISSIONS[each.role] for each in principal.grants
    )


def covers(principal: model.Principal, grants: Iterable[model.Grant]) -> bool:
    """Whether they administer all that these grants are for."""
    return all(
        principal.may(model.Permission.ADMINISTER, each.tenant, each.environment) for each in grants
    )


def manages(principal: model.Principal, grants: Sequence[model.Grant]) -> bool:
    """Whether they may see and change whoever has these grants."""
    if not grants:
        return principal.may(model.Permission.ADMINISTER)
    return covers(principal, grants)


def require_covers(principal: model.Principal, grants: Sequence[model.Grant]) -> None:
    """Refuse grants that go beyond what somebody has.

    Raises:
        UnauthenticatedError: nobody is signed in.
        ForbiddenError: they do; says which.
    """
    if not grants:
        principal.require(model.Permission.ADMINISTER)
    for each in grants:
        principal.require(model.Permission.ADMINISTER, each.tenant, each.environment)


def common(given: Iterable[model.Grant], held: Sequence[model.Grant]) -> tuple[model.Grant, ...]:
    """What two may do both: whoever has these grants may do what each of them may, and no more."""
    met = {_met(one, other) for one in given for other in held}
    return _sorted(each for each in met if each is not None)


def _met(one: model.Grant, other: model.Grant) -> model.Grant | None:
    tenant = _narrower(one.tenant, other.tenant)
    if tenant is None:
        return None
    environment = _narrower(one.environment, other.environment)
    if environment is None:
        # To read needs no environment.
        return model.Grant(role="viewer", tenant=tenant, environment=one.environment)
    both = model.PERMISSIONS[one.role] & model.PERMISSIONS[other.role]
    role = next(each for each in model.ROLES if model.PERMISSIONS[each] == both)
    return model.Grant(role=role, tenant=tenant, environment=environment)


def _narrower(one: str, other: str) -> str | None:
    if model.ALL in (one, other):
        return other if one == model.ALL else one
    return one if one == other else None


def checked(grants: Sequence[model.Grant]) -> tuple[model.Grant, ...]:
    """Grants as they are kept: each once, in order.

    Raises:
        InvalidInputError: too many, or a name in them is empty, too long or not printable.
    """
    if len(grants) > GRANTS_MAX:
        raise errors.InvalidInputError(f"at most {GRANTS_MAX} grants", field="grants")
    for index, each in enumerate(grants):
        _name(each.tenant, f"grants[{index}].tenant")
        _name(each.environment, f"grants[{index}].environment")
    return _sorted(set(grants))


def _sorted(grants: Iterable[model.Grant]) -> tuple[model.Grant, ...]:
    return tuple(sorted(grants, key=lambda g: (g.tenant, g.environment, g.role)))


def checked_groups(groups: Sequence[str]) -> tuple[str, ...]:
    """Groups as they are kept: each once, in order.

    Raises:
        InvalidInputError: too many, or a name is empty, too long or not printable.
    """
    if len(groups) > GROUPS_MAX:
        raise errors.InvalidInputError(f"at most {GROUPS_MAX} groups", field="groups")
    for index, each in enumerate(groups):
        _name(each, f"groups[{index}]")
    return tuple(sorted(set(groups)))


def _name(text: str, field: str) -> None:
    if not 1 <= len(text) <= CHARS_MAX or not text.isprintable():
        raise errors.InvalidInputError(
            f"expected 1 to {CHARS_MAX} printable characters", field=field
        )
