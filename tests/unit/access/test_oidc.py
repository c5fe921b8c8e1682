"""Signing in at an OpenID provider that answers as the test says, with keys made here."""

import asyncio
import base64
import hashlib
import hmac
import json
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from helios.access import oidc, oidc_grants, oidc_provider, oidc_tokens
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret

ISSUER = "https://login.example.com/realms/acme"
CLIENT = "helios"
NOW_S = 1_800_000_000
BACK = "https://helios.example.com/api/v1/auth/oidc/callback"
KEY = b"k" * 32

Change = Callable[[dict[str, Any]], object]


class Keys:
    """A key of each kind, made once: RSA takes a while."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.ed = ed25519.Ed25519PrivateKey.generate()
        self.weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)


KEYS = Keys()


def public(key: Any, kid: str | None, **more: str) -> dict[str, Any]:
    kind = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    made = next(maker for base, maker in kind.items() if isinstance(key, base))
    document: dict[str, Any] = made.to_jwk(key.public_key(), as_dict=True)
    return document | ({} if kid is None else {"kid": kid}) | more


def signed(claims: dict[str, Any], key: Any, header: dict[str, Any]) -> str:
    """A token; with bytes for a key by HMAC with them, whatever they are."""
    header = {name: value for name, value in header.items() if value is not None}
    if not isinstance(key, bytes):
        return jwt.encode(claims, key, algorithm=header["alg"], headers=header)
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in (header, claims)]
    text = b".".join(part.rstrip(b"=") for part in parts)
    tag = base64.urlsafe_b64encode(hmac.digest(key, text, "sha256")).rstrip(b"=")
    return b".".join((text, tag)).decode()


class Clock:
    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> clocks.Timestamp:
        return clocks.Timestamp(int((NOW_S + self.passed_s) * clocks.SECOND_US))

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float, /) -> None:
        self.passed_s += seconds


class Vault:
    def find(self, reference: str) -> secret.Secret:
        if reference != "env:OIDC_SECRET":
            raise errors.StorageError(f"{reference} is not set")
        return secret.Secret("s:cr t/")


class World:
    """A provider, and who signs in at it."""

    def __init__(self, **config: Any) -> None:
        self.clock = Clock()
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth?kind=a",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
            "end_session_endpoint": f"{ISSUER}/logout",
            "id_token_signing_alg_values_supported": [*oidc.ALGORITHMS, "HS256", "none"],
        }
        self.published = [public(KEYS.rsa, "r1"), public(KEYS.ec, "e1"), public(KEYS.ed, "d1")]
        self.calls: list[outbound.Call] = []
        self.userinfo: dict[str, Any] = {}
        self.token_status = 200
        self.token = ""
        self.down = False
        self.drawn = 0
        given: dict[str, Any] = {
            "issuer": ISSUER,
            "client_id": CLIENT,
            "client_secret": "env:OIDC_SECRET",
            "name": "Acme",
            "scopes": ("openid", "profile"),
            "groups_claim": "groups",
            "grants": oidc_grants.parse("helios-admins=admin@*, ops=operator@acme/production"),
        }
        self.config = oidc.Config(**(given | config))
        self.provider = oidc_provider.Provider(
            self.config, client=self, vault=Vault(), clock=self.clock, draw=self.draw
        )

    def draw(self, size: int) -> str:
        self.drawn += 1
        return base64.urlsafe_b64encode(bytes([self.drawn]) * size).decode().rstrip("=")

    async def permit(self, url: str) -> None:
        raise NotImplementedError

    async def send(self, call: outbound.Call) -> outbound.Answer:
        self.calls.append(call)
        if self.down:
            raise outbound.OutboundError("it did not answer", reason="timeout")
        path = call.url.removeprefix(ISSUER)
        answers: dict[str, Any] = {
            "/.well-known/openid-configuration": self.metadata,
            "/jwks": {"keys": self.published},
            "/userinfo": self.userinfo,
            "/token": {"id_token": self.token, "access_token": "at", "token_type": "Bearer"},
        }
        status = self.token_status if path == "/token" else 200
        body = answers[path] if status == 200 else {"error": "invalid_client", "hint": "s:cr t/"}
        return outbound.Answer(status=status, headers={}, body=json.dumps(body).encode())

    def asked(self, path: str) -> int:
        return sum(each.url == f"{ISSUER}{path}" for each in self.calls)

    def signs_in(
        self,
        *,
        claims: Change = lambda _: None,
        key: Any = KEYS.rsa,
        algorithm: str = "RS256",
        headers: Mapping[str, Any] | None = None,
        query: Change = lambda _: None,
        wait_s: float = 0.0,
    ) -> oidc.Person:
        """Begin, come back with a token of these claims, and finish."""

        async def all_of_it() -> oidc.Person:
            url, transaction = await self.provider.begin("/events", BACK)
            asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
            told = {
                "iss": ISSUER,
                "sub": "u-1",
                "aud": CLIENT,
                "exp": NOW_S + 300,
                "iat": NOW_S,
                "nonce": asked["nonce"],
                "preferred_username": "ada",
                "name": "Ada Lovelace",
                "groups": ["staff", "helios-admins"],
            }
            claims(told)
            self.token = signed(told, key, {"alg": algorithm, "kid": "r1", **(headers or {})})
            back = {"code": "c0de", "state": asked["state"]}
            query(back)
            self.clock.passed_s += wait_s
            kept = oidc.unseal(oidc.seal(transaction, KEY), KEY, now=self.clock.now())
            return await self.provider.finish(kept, back)

        return asyncio.run(all_of_it())

    def refused(self, **how: Any) -> str:
        """The problem that a sign-in ends with; no secret is in its message."""
        with pytest.raises(oidc.SignInError) as caught:
            self.signs_in(**how)
        for text in ("s:cr t/", "c0de", self.token or "no token"):
            assert text not in str(caught.value)
        return caught.value.problem


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
