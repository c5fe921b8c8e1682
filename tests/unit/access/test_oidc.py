"""Signing in at an OpenID provider that answers as the test says, with keys made here."""

import asyncio
import base64
import hashlib
import urllib.parse
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from helios.access import oidc_provider
from helios.testing.openid_forged import (
    BACK,
    CLIENT,
    ISSUER,
    KEYS,
    NOW_S,
    World,
    public,
)


def test_who_is_in_a_group_with_a_role_is_let_in() -> None:
    world = World()
    found = world.signs_in()
    assert (found.issuer, found.subject, found.name) == (ISSUER, "u-1", "ada")
    assert found.display_name == "Ada Lovelace"
    assert [(g.role, g.tenant, g.environment) for g in found.grants] == [("admin", "*", "*")]
    assert found.groups == ("helios-admins",)


def test_the_browser_is_sent_away_with_state_nonce_and_challenge_of_their_own() -> None:
    world = World()
    url, kept = asyncio.run(world.provider.begin("/events?a=b", BACK))
    parts = urllib.parse.urlsplit(url)
    asked = dict(urllib.parse.parse_qsl(parts.query))
    digest = hashlib.sha256(kept.verifier.encode()).digest()
    assert url.startswith(f"{ISSUER}/auth?kind=a&response_type=code&")
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == BACK
    assert asked["scope"] == "openid profile"
    assert len({kept.state, kept.nonce, kept.verifier}) == 3
    assert kept.verifier not in url
    assert kept.to == "/events?a=b"


def test_the_code_is_redeemed_with_the_verifier_and_our_secret_in_a_header() -> None:
    world = World()
    world.signs_in()
    call = next(each for each in world.calls if each.url.endswith("/token"))
    form = dict(urllib.parse.parse_qsl(call.body.decode()))
    assert form["grant_type"] == "authorization_code"
    assert form["redirect_uri"] == BACK
    assert len(form["code_verifier"]) >= 43
    assert "client_secret" not in form
    basic = dict(call.headers)["authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic) == b"helios:s%3Acr+t%2F"
    assert not call.idempotent


def test_the_secret_goes_in_the_form_where_the_provider_wants_that() -> None:
    world = World()
    world.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    world.signs_in()
    call = next(each for each in world.calls if each.url.endswith("/token"))
    form = dict(urllib.parse.parse_qsl(call.body.decode()))
    assert (form["client_id"], form["client_secret"]) == (CLIENT, "s:cr t/")
    assert "authorization" not in dict(call.headers)


def test_a_public_client_names_itself_alone() -> None:
    world = World(client_secret=None)
    world.signs_in()
    call = next(each for each in world.calls if each.url.endswith("/token"))
    form = dict(urllib.parse.parse_qsl(call.body.decode()))
    assert form["client_id"] == CLIENT
    assert "client_secret" not in form


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (KEYS.rsa, "RS256", "r1"),
        (KEYS.rsa, "PS256", "r1"),
        (KEYS.ec, "ES256", "e1"),
        (KEYS.ed, "EdDSA", "d1"),
    ],
)
def test_each_of_our_algorithms_is_taken(key: Any, algorithm: str, kid: str) -> None:
    found = World().signs_in(key=key, algorithm=algorithm, headers={"kid": kid})
    assert found.subject == "u-1"


def _pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


@pytest.mark.parametrize(
    ("key", "algorithm", "headers"),
    [
        (None, "none", {}),
        (_pem(KEYS.rsa), "HS256", {}),
        (b"guessed" * 8, "HS256", {}),
        (KEYS.rsa, "RS512", {}),
        (KEYS.ec, "ES256", {"kid": "r1"}),
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256", {}),
        (KEYS.rsa, "RS256", {"kid": "../../etc/passwd"}),
        (KEYS.rsa, "RS256", {"kid": "' OR 1=1 --"}),
        (KEYS.rsa, "RS256", {"crit": ["exp"]}),
        (KEYS.rsa, "RS256", {"b64": False}),
    ],
)
def test_a_token_signed_otherwise_is_refused(
    key: Any, algorithm: str, headers: dict[str, Any]
) -> None:
    assert World().refused(key=key, algorithm=algorithm, headers=headers) == "oidc_token"


def test_a_key_that_the_token_brings_or_points_at_is_never_used() -> None:
    world = World()
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    brought = {"jwk": public(own, "own"), "jku": "https://evil.example/jwks", "kid": "own"}
    assert world.refused(key=own, headers=brought) == "oidc_token"
    assert all(each.url.startswith(ISSUER) for each in world.calls)


def test_an_algorithm_that_the_provider_does_not_offer_is_refused() -> None:
    world = World()
    world.metadata["id_token_signing_alg_values_supported"] = ["RS256"]
    refused = world.refused(key=KEYS.ec, algorithm="ES256", headers={"kid": "e1"})
    assert refused == "oidc_token"


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_short_key_is_refused() -> None:
    world = World()
    world.published = [public(KEYS.weak, "r1")]
    assert world.refused(key=KEYS.weak) == "oidc_token"


def test_a_key_for_encryption_does_not_sign() -> None:
    world = World()
    world.published = [public(KEYS.rsa, "r1", use="enc")]
    assert world.refused() == "oidc_token"


def test_a_token_without_key_id_is_taken_only_where_one_key_can_be_meant() -> None:
    world = World()
    world.published = [public(KEYS.rsa, None)]
    assert world.signs_in(headers={"kid": None}).subject == "u-1"
    world.published.append(public(KEYS.rsa, "r2"))
    world.clock.passed_s += 2 * oidc_provider.KEYS_S
    assert (
        world.refused(
            headers={"kid": None}, claims=lambda c: c.update(iat=NOW_S + 7200, exp=NOW_S + 7500)
        )
        == "oidc_token"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://login.example.com/realms/other"},
        {"iss": f"{ISSUER}/"},
        {"aud": "another"},
        {"aud": []},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"exp": NOW_S - 60},
        {"exp": "tomorrow"},
        {"iat": NOW_S + 60},
        {"iat": NOW_S - 661},
        {"nbf": NOW_S + 60},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": ""},
        {"sub": "s" * 256},
        {"at_hash": "another"},
    ],
    ids=repr,
)
def test_a_claim_that_is_not_right_is_refused(change: dict[str, Any]) -> None:
    assert World().refused(claims=lambda claims: claims.update(change)) == "oidc_token"


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat", "nonce"])
def test_a_claim_that_is_missing_is_refused(name: str) -> None:
    assert World().refused(claims=lambda claims: claims.pop(name)) == "oidc_token"


@pytest.mark.parametrize(
    "change",
    [
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "another"], "azp": CLIENT},
        {"exp": NOW_S - 59},
        {"iat": NOW_S + 59},
        {"nbf": NOW_S + 59},
        {"exp": NOW_S + 0.5},
    ],
    ids=repr,
)
def test_clocks_may_differ_by_less_than_a_minute(change: dict[str, Any]) -> None:
    found = World().signs_in(claims=lambda claims: claims.update(change))
    assert found.subject == "u-1"


def test_the_access_token_must_be_the_one_that_the_id_token_is_for() -> None:
    half = hashlib.sha256(b"at").digest()[:16]
    right = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert World().signs_in(claims=lambda c: c.update(at_hash=right)).subject == "u-1"
    whole = hashlib.sha512(b"at").digest()[:32]
    of_ed = base64.urlsafe_b64encode(whole).rstrip(b"=").decode()
    found = World().signs_in(
        claims=lambda c: c.update(at_hash=of_ed),
        key=KEYS.ed,
        algorithm="EdDSA",
        headers={"kid": "d1"},
    )
    assert found.subject == "u-1"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"state": "another"}, "oidc_state"),
        ({"state": "ünïcode"}, "oidc_state"),
        ({"iss": "https://evil.example"}, "oidc_state"),
        ({"error": "access_denied"}, "oidc_denied"),
        ({"error": "server_error"}, "oidc_provider"),
        ({"error": "access_denied", "state": "another"}, "oidc_state"),
        ({"code": ""}, "oidc_provider"),
    ],
)
def test_an_answer_that_is_not_ours_is_refused(change: dict[str, str], problem: str) -> None:
    world = World()
    assert world.refused(query=lambda query: query.update(change)) == problem
    assert world.asked("/token") == 0
