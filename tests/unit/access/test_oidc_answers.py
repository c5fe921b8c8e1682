"""What a provider answers that is not as it should be, and what a sign-in then ends with."""

import asyncio
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from helios.access import oidc, oidc_grants, oidc_provider, oidc_tokens
from helios.kernel import clock as clocks
from helios.testing.openid_forged import (
    BACK,
    ISSUER,
    KEY,
    KEYS,
    NOW_S,
    World,
    public,
)


def test_an_answer_without_issuer_is_refused_where_the_provider_always_names_itself() -> None:
    world = World()
    world.metadata["authorization_response_iss_parameter_supported"] = True
    assert world.refused() == "oidc_state"
    assert world.signs_in(query=lambda query: query.update(iss=ISSUER)).subject == "u-1"


def test_who_takes_too_long_begins_anew() -> None:
    assert World().refused(wait_s=oidc.TRANSACTION_S) == "oidc_expired"


@pytest.mark.parametrize("sealed", [None, "", ".", "a.b", "é.é", "x" * 5000])
def test_what_a_browser_made_up_is_no_sign_in(sealed: str | None) -> None:
    with pytest.raises(oidc.SignInError) as caught:
        oidc.unseal(sealed, KEY, now=clocks.Timestamp(0))
    assert caught.value.problem == "oidc_state"


def test_a_sealed_sign_in_cannot_be_changed() -> None:
    _, kept = asyncio.run(World().provider.begin("/", BACK))
    sealed = oidc.seal(kept, KEY)
    forged = oidc.seal(msgspec.structs.replace(kept, to="/evil"), b"another key")
    tagged = f"{forged.partition('.')[0]}.{sealed.partition('.')[2]}"
    for text in (forged, tagged, sealed[:-4], "A" + sealed[1:]):
        with pytest.raises(oidc.SignInError):
            oidc.unseal(text, KEY, now=clocks.Timestamp(0))
    assert oidc.unseal(sealed, KEY, now=clocks.Timestamp(0)) == kept


def test_new_keys_of_the_provider_are_read_once_they_are_named() -> None:
    world = World()
    world.signs_in()
    fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    world.published = [public(fresh, "r2")]
    world.clock.passed_s += oidc_provider.KEYS_AGAIN_S
    assert world.signs_in(key=fresh, headers={"kid": "r2"}).subject == "u-1"
    assert world.asked("/jwks") == 2
    world.clock.passed_s += oidc_provider.KEYS_AGAIN_S
    assert world.refused() == "oidc_token"


def test_unknown_keys_have_the_provider_asked_at_most_every_ten_seconds() -> None:
    world = World()
    world.signs_in()
    for _ in range(5):
        assert world.refused(headers={"kid": "unknown"}) == "oidc_token"
    assert world.asked("/jwks") == 1
    world.clock.passed_s += oidc_provider.KEYS_AGAIN_S
    for _ in range(5):
        assert world.refused(headers={"kid": "unknown"}) == "oidc_token"
    assert world.asked("/jwks") == 2


def test_a_withdrawn_key_is_forgotten_within_the_hour() -> None:
    world = World()
    world.signs_in()
    world.published = [public(KEYS.ec, "e1")]
    world.clock.passed_s += oidc_provider.KEYS_S + 1
    late = int(NOW_S + oidc_provider.KEYS_S)
    refused = world.refused(claims=lambda c: c.update(iat=late, exp=late + 300))
    assert refused == "oidc_token"


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"code_challenge_methods_supported": ["plain"]},
        {"authorization_endpoint": "http://login.example.com/auth"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://login.example.com/\r\nSet-Cookie: a=b"},
        {"end_session_endpoint": "http://login.example.com/logout"},
        {"jwks_uri": None},
    ],
    ids=repr,
)
def test_a_provider_that_is_not_as_it_should_be_is_not_used(change: dict[str, Any]) -> None:
    world = World()
    world.metadata |= change
    assert world.refused() == "oidc_provider"


def test_a_silent_provider_is_asked_once_in_five_seconds() -> None:
    world = World()
    world.down = True
    assert {world.refused() for _ in range(4)} == {"oidc_unreachable"}
    assert len(world.calls) == 1
    world.down = False
    world.clock.passed_s += oidc_provider.SILENT_S
    assert world.signs_in().subject == "u-1"


def test_a_provider_that_does_not_know_our_secret_does_not_give_it_away() -> None:
    world = World()
    world.token_status = 401
    assert world.refused() == "oidc_provider"
    assert World(client_secret="env:OTHER").refused() == "oidc_provider"


def test_groups_that_the_token_lacks_are_asked_for() -> None:
    world = World()
    world.userinfo = {"sub": "u-1", "groups": ["ops"], "name": "Somebody Else"}
    found = world.signs_in(claims=lambda claims: claims.pop("groups"))
    assert [(g.role, g.tenant, g.environment) for g in found.grants] == [
        ("operator", "acme", "production")
    ]
    assert found.display_name == "Ada Lovelace"
    call = next(each for each in world.calls if each.url.endswith("/userinfo"))
    assert dict(call.headers)["authorization"] == "Bearer at"


def test_groups_of_somebody_else_are_not_taken() -> None:
    world = World()
    world.userinfo = {"sub": "u-2", "groups": ["helios-admins"]}
    assert world.refused(claims=lambda claims: claims.pop("groups")) == "oidc_token"


@pytest.mark.parametrize("groups", [[], ["staff"], ["HELIOS-ADMINS"], "staff", [7], {"a": 1}])
def test_who_is_in_no_group_with_a_role_is_not_let_in(groups: Any) -> None:
    world = World()
    world.userinfo = {"sub": "u-1"}
    assert world.refused(claims=lambda claims: claims.update(groups=groups)) == "oidc_no_role"


def test_a_group_that_is_called_like_a_role_does_not_answer_in_that_role() -> None:
    world = World(grants=oidc_grants.parse("admin=viewer@acme, leads=approver@acme"))
    found = world.signs_in(claims=lambda claims: claims.update(groups=["admin", "leads", "x"]))
    assert [grant.role for grant in found.grants] == ["viewer", "approver"]
    assert found.groups == ("leads",)


def test_groups_are_found_within_another_claim() -> None:
    nested = {"realm_access": {"roles": ["ops"]}}
    world = World(groups_claim="realm_access.roles")
    assert world.signs_in(claims=lambda c: c.update(nested)).grants[0].role == "operator"
    exact = {"https://example.com/roles": "ops"}
    world = World(groups_claim="https://example.com/roles")
    assert world.signs_in(claims=lambda c: c.update(exact)).grants[0].role == "operator"


def test_the_way_out_leads_past_the_provider_where_it_offers_one() -> None:
    world = World()
    url = asyncio.run(world.provider.end_session_url("https://helios.example.com/sign-in"))
    assert url == (
        f"{ISSUER}/logout?client_id=helios"
        "&post_logout_redirect_uri=https%3A%2F%2Fhelios.example.com%2Fsign-in"
    )
    world = World()
    del world.metadata["end_session_endpoint"]
    assert asyncio.run(world.provider.end_session_url("https://helios.example.com/")) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (None, "/"),
        ("", "/"),
        ("/events?type=order.placed#a", "/events?type=order.placed#a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: a=b", "/"),
        ("events", "/"),
        ("/" + "a" * 2000, "/"),
        ("/é", "/"),
    ],
)
def test_only_a_path_of_ours_is_gone_to_afterwards(text: str | None, path: str) -> None:
    assert oidc.local_path(text) == path


def test_keys_that_cannot_be_read_are_left_out() -> None:
    told = {"keys": [7, {"kty": 7}, {}, public(KEYS.ec, "e1")]}
    assert [key.kid for key in oidc_tokens.keys(told)] == ["e1"]
    with pytest.raises(oidc.SignInError):
        oidc_tokens.keys({"keys": "none"})
