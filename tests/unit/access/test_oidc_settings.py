import dataclasses
from typing import Any

import pytest

from helios.access import model, oidc, oidc_grants
from helios.kernel import errors, settings

GIVEN: dict[str, Any] = {
    "oidc_issuer": "https://login.example.com",
    "oidc_client_id": "helios",
    "oidc_client_secret": "env:OIDC_SECRET",
    "oidc_grants": "helios-admins=admin",
}


def configured(**change: Any) -> oidc.Config | None:
    return oidc.configured(dataclasses.replace(settings.Settings(), **(GIVEN | change)))


def test_without_an_issuer_nobody_signs_in_by_openid() -> None:
    assert oidc.configured(settings.Settings()) is None
    assert configured(oidc_issuer=None) is None


def test_openid_is_always_among_the_scopes_and_each_is_asked_once() -> None:
    found = configured(oidc_scopes="groups openid  groups")
    assert found is not None
    assert found.scopes == ("openid", "groups")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"oidc_issuer": "login.example.com"}, "oidc_issuer"),
        ({"oidc_issuer": "https://login.example.com/?realm=a"}, "oidc_issuer"),
        ({"oidc_client_id": ""}, "oidc_client_id"),
        ({"oidc_grants": ""}, "oidc_grants"),
        ({"oidc_grants": "admins"}, "oidc_grants"),
        ({"oidc_grants": "admins=owner"}, "oidc_grants"),
        ({"oidc_grants": "admins=admin@"}, "oidc_grants"),
        ({"oidc_grants": "admins=admin@a/b/c"}, "oidc_grants"),
        ({"oidc_grants": "admins=admin, =viewer"}, "oidc_grants"),
        ({"oidc_grants": "admins=admin ops=viewer"}, "oidc_grants"),
    ],
    ids=repr,
)
def test_a_setting_that_cannot_be_used_is_named(change: dict[str, str], field: str) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        configured(**change)
    assert caught.value.field == field


def test_a_secret_that_stands_where_a_reference_should_is_not_repeated() -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        configured(oidc_client_secret="hunter2hunter2")
    assert "hunter2" not in str(caught.value)


def test_groups_are_given_roles_for_clients_and_environments() -> None:
    found = oidc_grants.parse(
        " helios-admins=admin@* ,ops=operator@acme/production,\n"
        '"cn=x, dc=y"=viewer@acme, all=viewer,'
    )
    assert [(m.group, m.grant.role, m.grant.tenant, m.grant.environment) for m in found] == [
        ("helios-admins", "admin", "*", "*"),
        ("ops", "operator", "acme", "production"),
        ("cn=x, dc=y", "viewer", "acme", "*"),
        ("all", "viewer", "*", "*"),
    ]


def test_who_is_in_several_groups_has_the_grants_of_all_once() -> None:
    mapped = oidc_grants.parse("a=viewer@acme, b=operator@acme, c=viewer@acme, a=approver@acme")
    assert oidc_grants.of(mapped, ["c", "a", "x"]) == (
        model.Grant(role="viewer", tenant="acme"),
        model.Grant(role="approver", tenant="acme"),
    )
    assert oidc_grants.of(mapped, ["x", "A"]) == ()
