"""What somebody is told who may not do what they ask for."""

import pytest

from helios.access import model
from helios.kernel import errors, tenancy

P = model.Permission


def _user(*grants: model.Grant) -> model.Principal:
    return model.Principal(kind="user", name="olga", grants=grants)


VIEWER = model.Grant(role="viewer", tenant="acme")
IN_STAGING = model.Grant(role="operator", tenant="acme", environment="staging")


@pytest.mark.parametrize(
    ("permission", "tenant", "environment", "words"),
    [
        (P.ADMINISTER, model.ALL, None, "this needs the role admin for all clients"),
        (P.OPERATE, "other", None, "this needs the role operator or admin for client other"),
        (P.OPERATE, "acme", None, "operator or admin for client acme, in all environments"),
        (P.OPERATE, "acme", "live", "operator or admin for client acme, environment live"),
        (P.READ, "other", None, "viewer, operator, approver or admin for client other"),
    ],
)
def test_who_lacks_a_role_is_told_which_and_where(
    permission: model.Permission, tenant: str, environment: str | None, words: str
) -> None:
    with pytest.raises(errors.ForbiddenError) as refused:
        _user(VIEWER, IN_STAGING).require(permission, tenant, environment)
    assert str(refused.value).endswith(words)


def test_who_may_for_some_client_is_not_told_that_it_takes_all_of_them() -> None:
    with pytest.raises(errors.ForbiddenError, match=r"the role admin for a client$"):
        _user(VIEWER).require_somewhere(P.ADMINISTER)
    with pytest.raises(errors.ForbiddenError, match=r"admin for a client, in all environments$"):
        _user(IN_STAGING).require_somewhere(P.OPERATE, everywhere=True)
    scope = _user(VIEWER, IN_STAGING).require_somewhere(P.OPERATE)
    assert scope == tenancy.Scope(frozenset({"acme"}))
    with pytest.raises(errors.UnauthenticatedError):
        model.NOBODY.require_somewhere(P.READ)
