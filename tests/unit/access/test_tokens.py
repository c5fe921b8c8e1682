"""What is shown to say who one is: taken when it is ours, refused whatever else it is."""

import asyncio
import base64
import hashlib
import hmac
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from helios.access import signing, tokens
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.testing import access_bench, memory_keep

SESSION = "018f2b1e-0000-7000-8000-000000000001"
LATER = clocks.Timestamp(2**60)
_RSA = rsa.generate_private_key(65_537, 2_048)


class Bench:
    def __init__(self) -> None:
        self.clock = access_bench.Clock()
        self.keep = memory_keep.MemoryKeep()
        self.random = random.Random(7).randbytes
        self.keys = signing.Keys(self.keep, self.clock, self.random)
        self.tokens = tokens.AccessTokens(self.keys, self.clock)

    @property
    def now_s(self) -> int:
        return self.clock.now() // clocks.SECOND_US

    def payload(self, **changes: Any) -> dict[str, Any]:
        whole = {
            "iss": "helios",
            "aud": "helios-api",
            "sub": "u1",
            "sid": SESSION,
            "iat": self.now_s,
            "nbf": self.now_s,
            "exp": self.now_s + 600,
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not None}

    async def signed(
        self, header: dict[str, Any] | None = None, key: Any = None, **changes: Any
    ) -> str:
        """A token that is signed as ours are, by our key unless another is given."""
        own = await self.keys.signing()
        head = {"alg": "EdDSA", "typ": "JWT", "kid": own.kid, **(header or {})}
        return _written(head, self.payload(**changes), (key or own.private).sign)


def _part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _written(header: Any, payload: Any, sign: Callable[[bytes], bytes]) -> str:
    text = f"{_part(header)}.{_part(payload)}"
    return f"{text}.{_part(sign(text.encode()))}"


async def _none(bench: Bench, alg: str) -> str:
    own = await bench.keys.signing()
    return _written({"alg": alg, "typ": "JWT", "kid": own.kid}, bench.payload(), lambda _: b"")


async def _shared(bench: Bench, form: str) -> str:
    """Signed as HS256 with what is public of our key."""
    own = await bench.keys.signing()
    secret = {
        "raw": own.public.public_bytes_raw(),
        "pem": own.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "kid": own.kid.encode(),
        "empty": b"",
    }[form]
    head = {"alg": "HS256", "typ": "JWT", "kid": own.kid}
    return _written(head, bench.payload(), lambda m: hmac.digest(secret, m, hashlib.sha256))


async def _rsa(bench: Bench) -> str:
    own = await bench.keys.signing()
    return jwt.encode(bench.payload(), _RSA, "RS256", headers={"kid": own.kid})


async def _ec(bench: Bench) -> str:
    own = await bench.keys.signing()
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(bench.payload(), key, "ES256", headers={"kid": own.kid})


async def _brought_key(bench: Bench) -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": _part(key.public_key().public_bytes_raw())}
    return await bench.signed({"jwk": jwk}, key)


async def _cut(bench: Bench) -> str:
    return (await bench.signed())[:-4]


async def _other_payload(bench: Bench) -> str:
    head, _, signature = (await bench.signed()).split(".")
    return f"{head}.{_part(bench.payload(sub='u2'))}.{signature}"


async def _nested(_: Bench) -> str:
    return f"{_part(b'[' * 4_000)}.{_part(b'{}')}.x"


async def _nested_payload(bench: Bench) -> str:
    own = await bench.keys.signing()
    head = {"alg": "EdDSA", "typ": "JWT", "kid": own.kid}
    return _written(head, b'{"a":' * 800 + b"1" + b"}" * 800, own.private.sign)


def _with(header: dict[str, Any] | None = None, **changes: Any) -> Callable[[Bench], Any]:
    async def make(bench: Bench) -> str:
        found = {n: v(bench) if callable(v) else v for n, v in changes.items()}
        return await bench.signed(header, **found)

    return make


def _text(text: str) -> Callable[[Bench], Any]:
    async def make(_: Bench) -> str:
        return text

    return make


def _ahead(seconds: int) -> Callable[[Bench], int]:
    return lambda bench: bench.now_s + seconds


ATTACKS: dict[str, Callable[[Bench], Awaitable[str]]] = {
    "no algorithm": lambda bench: _none(bench, "none"),
    "no algorithm in capitals": lambda bench: _none(bench, "NONE"),
    "no algorithm in mixed case": lambda bench: _none(bench, "nOnE"),
    "our algorithm, no signature": lambda bench: _none(bench, "EdDSA"),
    "our public key as shared secret, raw": lambda bench: _shared(bench, "raw"),
    "our public key as shared secret, PEM": lambda bench: _shared(bench, "pem"),
    "the key's name as shared secret": lambda bench: _shared(bench, "kid"),
    "an empty shared secret": lambda bench: _shared(bench, "empty"),
    "RS256 by a key of theirs": _rsa,
    "ES256 by a key of theirs": _ec,
    "EdDSA by a key of theirs": lambda b: b.signed(key=ed25519.Ed25519PrivateKey.generate()),
    "a key that it brings along": _brought_key,
    "ours, with jku": _with({"jku": "https://evil.example/keys"}),
    "ours, with x5u": _with({"x5u": "https://evil.example/cert"}),
    "ours, with x5c": _with({"x5c": ["MII"]}),
    "ours, with jwk": _with({"jwk": {}}),
    "ours, with crit": _with({"crit": ["exp"]}),
    "ours, with b64": _with({"b64": False, "crit": ["b64"]}),
    "ours, with cty": _with({"cty": "JWT"}),
    "ours, of another type": _with({"typ": "at+jwt"}),
    "no kid": _with({"kid": None}),
    "a kid that is a number": _with({"kid": 7}),
    "a kid that is a list": _with({"kid": ["a"]}),
    "a kid that leads out of a folder": _with({"kid": "../../../../dev/null"}),
    "a kid with SQL": _with({"kid": "x' UNION SELECT 'secret' --"}),
    "a kid with a command": _with({"kid": "|sleep 10"}),
    "an unknown kid": _with({"kid": "0123456789abcdef"}),
    "another issuer": _with(iss="elsewhere"),
    "several issuers": _with(iss=["helios"]),
    "another audience": _with(aud="other-api"),
    "no audience": _with(aud=None),
    "no issuer": _with(iss=None),
    "no subject": _with(sub=None),
    "a subject that is a number": _with(sub=1),
    "no session": _with(sid=None),
    "a session that is an object": _with(sid={}),
    "no end": _with(exp=None),
    "no beginning": _with(nbf=None),
    "no time of issue": _with(iat=None),
    "ended": _with(iat=_ahead(-700), nbf=_ahead(-700), exp=_ahead(-100)),
    "ended beyond the leeway": _with(exp=_ahead(-60), iat=_ahead(-600)),
    "begins later": _with(nbf=_ahead(120)),
    "issued in the future": _with(iat=_ahead(120), exp=_ahead(700)),
    "lasts for years": _with(exp=_ahead(10**9)),
    "never ends": _with(exp=2**63),
    "ends at infinity": _with(exp=float("inf")),
    "ends at a text": _with(exp="9999999999"),
    "ends at a truth": _with(exp=True),
    "of another subject than signed": _other_payload,
    "cut": _cut,
    "ten kilobytes": _with(more="x" * 10_000),
    "ten kilobytes of nothing": _text("a" * 10_240),
    "deeply nested": _nested,
    "deeply nested payload": _nested_payload,
    "empty": _text(""),
    "dots": _text(".."),
    "four parts": _text("a.b.c.d"),
    "not ASCII": _text("eyJ\u00e9.e.e"),
    "half a character": _text("eyJ\ud800.e.e"),
    "a service token": _text("hls_0123456789abcdef_" + "A" * 43),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_and_not_told_why(attack: str) -> None:
    async def main() -> None:
        bench = Bench()
        text = await ATTACKS[attack](bench)
        with pytest.raises(errors.UnauthenticatedError) as refusal:
            await bench.tokens.verify(text)
        assert str(refusal.value) == str(tokens.refused())
        assert refusal.value.__cause__ is None

    asyncio.run(main())


def test_what_the_attacks_are_made_of_is_taken_when_nothing_is_wrong() -> None:
    async def main() -> None:
        bench = Bench()
        claims = await bench.tokens.verify(await bench.signed())
        assert (claims.session, claims.user) == (SESSION, "u1")
        text, ends = await bench.tokens.sign(SESSION, "u1", LATER)
        assert (await bench.tokens.verify(text)).expires_at == ends
        # Clocks of our processes differ a little.
        assert await bench.tokens.verify(await bench.signed(nbf=bench.now_s + 50))
        assert await bench.tokens.verify(
            await bench.signed(iat=bench.now_s - 600, exp=bench.now_s - 50)
        )

    asyncio.run(main())


def test_a_token_that_is_remembered_ends_all_the_same() -> None:
    async def main() -> None:
        bench = Bench()
        text, _ = await bench.tokens.sign(SESSION, "u1", LATER)
        for _ in range(2):
            assert await bench.tokens.verify(text)
        bench.clock.turn(tokens.ACCESS_S + tokens.LEEWAY_S)
        for _ in range(2):
            with pytest.raises(errors.UnauthenticatedError):
                await bench.tokens.verify(text)

    asyncio.run(main())


def test_a_token_ends_with_its_session() -> None:
    async def main() -> None:
        bench = Bench()
        until = clocks.Timestamp(bench.clock.now() + 5 * clocks.SECOND_US)
        text, ends = await bench.tokens.sign(SESSION, "u1", until)
        assert ends == until
        assert (await bench.tokens.verify(text)).expires_at == until

    asyncio.run(main())


def test_keys_are_replaced_and_old_ones_verify_until_their_tokens_ended() -> None:
    async def main() -> None:
        bench = Bench()
        other = tokens.AccessTokens(
            signing.Keys(bench.keep, bench.clock, bench.random), bench.clock
        )
        into = bench.clock.now() // clocks.SECOND_US % signing.SPAN_S
        bench.clock.turn(signing.SPAN_S - into - 1)
        before, _ = await bench.tokens.sign(SESSION, "u1", LATER)
        bench.clock.turn(2)
        after, _ = await bench.tokens.sign(SESSION, "u1", LATER)
        kids = [jwt.get_unverified_header(text)["kid"] for text in (before, after)]
        assert kids[0] != kids[1]
        # The other process has seen neither key so far.
        for text in (before, after):
            assert await other.verify(text)
        again, _ = await other.sign(SESSION, "u1", LATER)
        assert jwt.get_unverified_header(again)["kid"] == kids[1]
        bench.clock.turn(2 * signing.SLACK_S)
        await bench.tokens.sign(SESSION, "u1", LATER)
        assert len(await bench.keep.names(signing.KIND)) == 1

    asyncio.run(main())


def test_unknown_keys_make_us_look_once_a_second_at_most() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.tokens.sign(SESSION, "u1", LATER)
        asked = 0
        names = bench.keep.names

        async def counted(kind: str) -> list[str]:
            nonlocal asked
            asked += 1
            return await names(kind)

        bench.keep.names = counted  # type: ignore[method-assign]
        for number in range(50):
            with pytest.raises(errors.UnauthenticatedError):
                await bench.tokens.verify(await bench.signed({"kid": f"{number:016x}"}))
            if number % 10 == 9:
                bench.clock.turn(1)
        assert asked <= 5

    asyncio.run(main())


def test_a_key_that_was_taken_away_verifies_no_more() -> None:
    async def main() -> None:
        bench = Bench()
        text, _ = await bench.tokens.sign(SESSION, "u1", LATER)
        other = tokens.AccessTokens(
            signing.Keys(bench.keep, bench.clock, bench.random), bench.clock
        )
        bench.keep.values.clear()
        with pytest.raises(errors.UnauthenticatedError):
            await other.verify(text)

    asyncio.run(main())


def test_a_damaged_key_is_told_with_the_remedy_and_not_shown() -> None:
    async def main() -> None:
        bench = Bench()
        span = bench.clock.now() // (signing.SPAN_S * clocks.SECOND_US)
        await bench.keep.put(signing.KIND, f"span-{span}", b"damaged-secret")
        with pytest.raises(errors.StorageError, match="remove it") as refusal:
            await bench.tokens.sign(SESSION, "u1", LATER)
        assert "damaged-secret" not in str(refusal.value)

    asyncio.run(main())


@given(st.text() | st.from_regex(r"hls_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", fullmatch=True))
def test_only_what_looks_like_a_service_token_is_one(text: str) -> None:
    try:
        name, digest = tokens.service(text)
    except errors.UnauthenticatedError:
        assert not (text.startswith("hls_") and len(text) == 64 and text.isascii())
    else:
        assert text == f"hls_{name}_{text[-43:]}"
        assert digest == hashlib.sha256(text[-43:].encode()).hexdigest()


def test_an_issued_service_token_is_read_back_and_its_secret_is_long() -> None:
    text, name, digest = tokens.issue(random.Random(3).randbytes)
    assert tokens.service(text) == (name, digest)
    assert len(base64.urlsafe_b64decode(text[-43:] + "=")) == 32


@given(st.integers(1, 10**8), st.binary(min_size=32, max_size=32))
def test_refresh_tokens_are_read_back_and_no_other_key_writes_them(
    generation: int, key: bytes
) -> None:
    own = tokens.RefreshTokens(key)
    text = own.write(SESSION, generation)
    assert own.read(text) == tokens.Refresh(SESSION, generation)
    assert own.digest(SESSION, generation) == tokens.digest(text[-43:])
    with pytest.raises(errors.UnauthenticatedError):
        tokens.RefreshTokens(key[::-1] + b"x").read(text)
