"""Tokens that say who pushes: signed with a key of this server, which anybody can look up.

They look exactly like those of the cloud (RS256, issuer `https://accounts.google.com`), so that a
receiver is tested with the code it uses in earnest; only the address of the keys differs.
"""

import base64
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from helios.kernel import clock as clocks

ISSUER = "https://accounts.google.com"
VALID_S = 3600
KEY_BITS = 2048
KEY_ID = "helios-demo-1"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8))


class Signer:
    """One key, made when the server starts and forgotten with it."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)

    def token(self, *, audience: str, email: str) -> str:
        """A token for one receiver.

        Args:
            audience: whom it is for.
            email: the service account that pushes.
        """
        now_s = self._clock.now() // clocks.SECOND_US
        claims = {
            "aud": audience,
            "azp": email,
            "email": email,
            "email_verified": True,
            "exp": now_s + VALID_S,
            "iat": now_s,
            "iss": ISSUER,
            "sub": email,
        }
        return self.sign(claims)

    def sign(self, claims: dict[str, Any]) -> str:
        """A token with any claims: for receivers that must refuse some."""
        head = {"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}
        signed = f"{_text(msgspec.json.encode(head))}.{_text(msgspec.json.encode(claims))}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_text(signature)}"

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        key = {
            "alg": "RS256",
            "e": _number(numbers.e),
            "kid": KEY_ID,
            "kty": "RSA",
            "n": _number(numbers.n),
            "use": "sig",
        }
        return {"keys": [key]}
