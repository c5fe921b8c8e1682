from typing import Any

import jwt
import pytest

from helios.demo.clouds import tokens
from helios.kernel import clock

AUDIENCE, EMAIL = "https://demo.example/hook", "push@demo.example"


class Still:
    """A clock that stands."""

    def __init__(self, second: int) -> None:
        self._second = second

    def now(self) -> clock.Timestamp:
        return clock.Timestamp(self._second * clock.SECOND_US)

    def monotonic(self) -> float:
        return float(self._second)

    async def sleep(self, _seconds: float, /) -> None:
        raise AssertionError("nobody waits here")


def claims(signer: tokens.Signer, token: str, keys: tokens.Signer | None = None) -> dict[str, Any]:
    found = jwt.PyJWKSet.from_dict((keys or signer).jwks())
    key = found[jwt.get_unverified_header(token)["kid"]]
    options: jwt.types.Options = {"verify_exp": False, "verify_iat": False}
    read: dict[str, Any] = jwt.decode(
        token, key, algorithms=["RS256"], audience=AUDIENCE, options=options
    )
    return read


def test_another_library_verifies_a_token_by_the_published_key() -> None:
    signer = tokens.Signer(Still(1_000))
    found = claims(signer, signer.token(audience=AUDIENCE, email=EMAIL))
    assert found["iss"] == "https://accounts.google.com"
    assert (found["email"], found["email_verified"]) == (EMAIL, True)
    assert (found["iat"], found["exp"]) == (1_000, 4_600)


def test_a_token_of_another_server_does_not_verify() -> None:
    signer, other = tokens.Signer(Still(0)), tokens.Signer(Still(0))
    token = signer.token(audience=AUDIENCE, email=EMAIL)
    with pytest.raises(jwt.InvalidSignatureError):
        claims(signer, token, keys=other)


def test_what_is_published_has_no_private_part() -> None:
    (key,) = tokens.Signer(Still(0)).jwks()["keys"]
    assert set(key) == {"alg", "e", "kid", "kty", "n", "use"}
