"""Signing in at an OpenID provider that answers as a test says, with keys made here."""

import asyncio
import base64
import hmac
import json
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from helios.access import oidc, oidc_grants, oidc_provider
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
        self.weak = rsa.generate_private_key(65537, key_size=1024)  # noqa: S505 - to be refused


KEYS = Keys()


def public(key: Any, kid: str | None, **more: str) -> dict[str, Any]:
    """A public key as a provider tells it (JWK), with `more` fields."""
    kind: dict[type, Any] = {
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
    """Passes when somebody sleeps."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> clocks.Timestamp:
        return clocks.Timestamp(int((NOW_S + self.passed_s) * clocks.SECOND_US))

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float, /) -> None:
        self.passed_s += seconds


class Vault:
    """Knows the client secret."""

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
