"""What people and programs show to say who they are: how it is written, and how it is checked.

- An access token is a JSON Web Token that ends after ten minutes: signed with Ed25519 and nothing
  else, for us, by one of our own keys. Its header may name the key and says nothing else that is
  listened to.
- A refresh token gets the next access token. It is worked out of session and generation with a key
  of ours, so that one that was used before is told from one that was made up, and the very same
  next one can be given to whoever asks twice at once.
- A service token `hls_<id>_<secret>` is 256 random bits, of which only the digest is kept.
"""

import collections
import hashlib
import hmac
import re
from collections.abc import Callable

import jwt
import msgspec

from helios.access import signing
from helios.kernel import clock as clocks
from helios.kernel import errors

ALGORITHM = "EdDSA"
ISSUER = "helios"
AUDIENCE = "helios-api"
ACCESS_S = 600
"""How long an access token lasts, in seconds."""

LEEWAY_S = 60
"""How far the clocks of our processes may differ."""

CHARS_MAX = 8 << 10
"""Characters of what is shown. Above: refused before it is looked at."""

VERIFIED_MAX = 10_000
"""Verified tokens that are remembered. Above: the one that was verified first is verified anew."""

SERVICE_PREFIX = "hls_"
REFRESH_PREFIX = "hlr_"
_SERVICE = re.compile(r"hls_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_REFRESH = re.compile(r"hlr_([0-9a-f-]{36})_([1-9][0-9]{0,8})_([A-Za-z0-9_-]{43})")
_HEADERS = frozenset({"alg", "kid", "typ"})
_KID = re.compile(r"[0-9a-f]{16}")


class Claims(msgspec.Struct, frozen=True):
    """What a verified access token says.

    Attributes:
        session, user: ids.
        expires_at: in microseconds.
    """

    session: str
    user: str
    expires_at: clocks.Timestamp


class _Payload(msgspec.Struct):
    sub: str
    sid: str
    exp: int


def refused() -> errors.UnauthenticatedError:
    """The one answer to whatever is wrong with what somebody shows."""
    return errors.UnauthenticatedError(
        "the token or session is not valid, or not any more; sign in again"
    )


class AccessTokens:
    """Signs and verifies access tokens.

    Args:
        keys: that sign them.
        clock: for their times.
    """

    def __init__(self, keys: signing.Keys, clock: clocks.Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._verified: collections.OrderedDict[bytes, Claims] = collections.OrderedDict()

    async def sign(self, session: str, user: str, until: clocks.Timestamp) -> tuple[str, int]:
        """A token for a session, and when it ends in microseconds; at the latest `until`.

        Raises:
            StorageError: the key that signs cannot be read.
        """
        key = await self._keys.signing()
        now_s = self._clock.now() // clocks.SECOND_US
        ends_s = min(now_s + ACCESS_S, until // clocks.SECOND_US)
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user,
            "sid": session,
            "iat": now_s,
            "nbf": now_s,
            "exp": ends_s,
        }
        text = jwt.encode(payload, key.private, ALGORITHM, headers={"kid": key.kid})
        return text, ends_s * clocks.SECOND_US

    async def verify(self, text: str) -> Claims:
        """What a token says. One that was verified before costs a digest.

        Raises:
            UnauthenticatedError: it is not ours, or not of now; the message does not say why.
            StorageError: our keys cannot be read.
        """
        if len(text) > CHARS_MAX or not text.isascii():
            raise refused()
        digest = hashlib.sha256(text.encode()).digest()
        claims = self._verified.get(digest)
        if claims is None:
            claims = await self._verify(text)
            self._verified[digest] = claims
            if len(self._verified) > VERIFIED_MAX:
                self._verified.popitem(last=False)
        if self._clock.now() >= claims.expires_at + LEEWAY_S * clocks.SECOND_US:
            self._verified.pop(digest, None)
            raise refused()
        return claims

    async def _verify(self, text: str) -> Claims:
        try:
            header = jwt.get_unverified_header(text)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise refused() from None
        kid = header.get("kid")
        if (
            header.get("alg") != ALGORITHM
            or header.get("typ", "JWT") != "JWT"
            or not set(header) <= _HEADERS
            or not isinstance(kid, str)
            or not _KID.fullmatch(kid)
        ):
            raise refused()
        key = await self._keys.verifying(kid)
        if key is None:
            raise refused()
        try:
            claimed = jwt.decode(
                text,
                key.public,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # Times are checked here, by the clock of this process and not by the machine's.
                options={
                    "require": ["exp", "nbf", "iat", "sub", "sid", "aud", "iss"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            payload = msgspec.convert(claimed, _Payload)
            self._check_times(claimed)
        except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError, RecursionError):
            raise refused() from None
        return Claims(payload.sid, payload.sub, clocks.Timestamp(payload.exp * clocks.SECOND_US))

    def _check_times(self, claimed: dict[str, object]) -> None:
        now_s = self._clock.now() / clocks.SECOND_US
        for name in ("nbf", "iat"):
            begins = claimed[name]
            if type(begins) is not int or begins > now_s + LEEWAY_S:
                raise ValueError(name)
        ends, issued = claimed["exp"], claimed["iat"]
        if type(ends) is not int or type(issued) is not int or ends - issued > ACCESS_S:
            raise ValueError("exp")


class Refresh(msgspec.Struct, frozen=True):
    """A refresh token that was made here, whatever has become of it since."""

    session: str
    generation: int


class RefreshTokens:
    """Writes and reads refresh tokens.

    Args:
        key: of this installation; 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, session: str, generation: int) -> str:
        """The token of a generation of a session; always the same."""
        return f"{REFRESH_PREFIX}{session}_{generation}_{self._secret(session, generation)}"

    def digest(self, session: str, generation: int) -> str:
        """SHA-256 of its secret, in hex."""
        return digest(self._secret(session, generation))

    def read(self, text: str) -> Refresh:
        """Raises UnauthenticatedError when it was not made here."""
        found = _REFRESH.fullmatch(text) if len(text) <= CHARS_MAX else None
        if found is None:
            raise refused()
        session, generation = found[1], int(found[2])
        if not hmac.compare_digest(found[3], self._secret(session, generation)):
            raise refused()
        return Refresh(session, generation)

    def _secret(self, session: str, generation: int) -> str:
        message = f"refresh\0{session}\0{generation}".encode()
        return _base64(hmac.digest(self._key, message, "sha256"))


def random_text(random: Callable[[int], bytes]) -> str:
    """256 random bits as 43 characters."""
    return _base64(random(32))


def issue(random: Callable[[int], bytes]) -> tuple[str, str, str]:
    """A new service token: the text to be shown once, its id, and the digest to be kept."""
    name, secret = random(8).hex(), random_text(random)
    return f"{SERVICE_PREFIX}{name}_{secret}", name, digest(secret)


def service(text: str) -> tuple[str, str]:
    """Id and digest of a service token that somebody shows.

    Raises:
        UnauthenticatedError: it is none.
    """
    found = _SERVICE.fullmatch(text) if len(text) <= CHARS_MAX else None
    if found is None:
        raise refused()
    return found[1], digest(found[2])


def digest(secret: str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _base64(value: bytes) -> str:
    return jwt.utils.base64url_encode(value).decode()
