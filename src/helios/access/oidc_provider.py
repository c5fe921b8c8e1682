"""The calls to an OpenID provider: what it tells of itself, its keys, and a code for tokens.

All of them go through the one client for calls out, so a provider on a private address has to be
named in `outbound_allow`. Nothing that a provider answers, and no secret, is put into an error.
"""

import asyncio
import base64
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from helios.access import oidc, oidc_tokens
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret

METADATA_S = 3_600.0
"""How long what a provider tells of itself is believed before it is asked again."""

SILENT_S = 5.0
"""Who wants to sign in so soon after the provider did not answer is told that at once, so that
they do not wait for one another's calls."""

KEYS_S = 3_600.0
"""How long its keys are believed: one that it withdrew is good for at most as long."""

KEYS_AGAIN_S = 10.0
"""Least time between two readings of its keys, however many tokens name unknown ones."""

_BYTES_MAX = 512 << 10
_TIMEOUT_S = 10.0
_FORM = "application/x-www-form-urlencoded"

T = TypeVar("T")


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    token_type: str = "Bearer"  # noqa: S105 - a kind, no token
    access_token: str | None = None


class Provider:
    """One provider, asked as rarely as can be.

    Args:
        config: which, and who we are there.
        client: makes the calls.
        vault: knows our secret there.
        clock: the time.
        draw: unguessable text from so many bytes, fit for URLs.
    """

    def __init__(
        self,
        config: oidc.Config,
        *,
        client: outbound.Outbound,
        vault: secret.Vault,
        clock: clocks.Clock,
        draw: Callable[[int], str],
    ) -> None:
        self.config = config
        self._client = client
        self._vault = vault
        self._clock = clock
        self._draw = draw
        self._asking = asyncio.Lock()
        self._about: tuple[float, oidc.Metadata] | None = None
        self._silent: tuple[float, oidc.SignInError] | None = None
        self._keys: tuple[float, tuple[oidc_tokens.Key, ...]] | None = None

    async def begin(self, to: str | None, redirect_uri: str) -> tuple[str, oidc.Transaction]:
        """Where to send the browser, and what it has to keep.

        Raises:
            SignInError: the provider cannot be asked.
        """
        about = await self._metadata()
        transaction = oidc.begin(
            self.config,
            to=to,
            redirect_uri=redirect_uri,
            now=self._clock.now(),
            draw=self._draw,
        )
        return oidc.authorization_url(self.config, about, transaction), transaction

    async def finish(self, transaction: oidc.Transaction, query: Mapping[str, str]) -> oidc.Person:
        """Who came back.

        Args:
            transaction: what the browser kept.
            query: what the provider had it bring.

        Raises:
            SignInError: they cannot be let in; says why.
        """
        about = await self._metadata()
        code = oidc.answered(self.config, about, transaction, query)
        tokens = await self._redeem(about, transaction, code)
        head = oidc_tokens.header(tokens.id_token, about)
        claims = oidc_tokens.check(
            tokens.id_token,
            await self._key(about, head),
            config=self.config,
            about=about,
            nonce=transaction.nonce,
            access_token=tokens.access_token,
            now=self._clock.now(),
        )
        told = oidc.groups(claims, self.config.groups_claim)
        if told is None:
            claims = await self._more(about, claims, tokens.access_token)
            told = oidc.groups(claims, self.config.groups_claim)
        return oidc.person(self.config, claims, told or ())

    async def end_session_url(self, back: str) -> str | None:
        """Where to send a browser to be signed out there too; None: that is not offered.

        Raises:
            SignInError: the provider cannot be asked.
        """
        return oidc.end_session_url(self.config, await self._metadata(), back)

    async def _metadata(self) -> oidc.Metadata:
        async with self._asking:
            if self._about is not None and self._age(self._about) <= METADATA_S:
                return self._about[1]
            if self._silent is not None and self._age(self._silent) < SILENT_S:
                raise self._silent[1]
            try:
                told = await self._get(oidc.discovery_url(self.config.issuer))
                about = oidc.metadata(self.config, told)
            except oidc.SignInError as error:
                self._silent = (self._clock.monotonic(), error)
                raise
            self._about = (self._clock.monotonic(), about)
            return about

    async def _key(self, about: oidc.Metadata, head: oidc_tokens.Header) -> oidc_tokens.Key:
        async with self._asking:
            if self._keys is None or self._age(self._keys) > KEYS_S:
                await self._read_keys(about)
            assert self._keys is not None
            found = oidc_tokens.key_for(head, self._keys[1])
            if found is None and self._age(self._keys) >= KEYS_AGAIN_S:
                await self._read_keys(about)
                found = oidc_tokens.key_for(head, self._keys[1])
        if found is None:
            raise oidc.SignInError(
                "oidc_token", "the provider's ID token is signed with a key it does not publish"
            )
        return found

    async def _read_keys(self, about: oidc.Metadata) -> None:
        told = await self._get(about.jwks_uri)
        self._keys = (self._clock.monotonic(), oidc_tokens.keys(told))

    def _age(self, kept: tuple[float, object]) -> float:
        return self._clock.monotonic() - kept[0]

    async def _redeem(
        self, about: oidc.Metadata, transaction: oidc.Transaction, code: str
    ) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": transaction.redirect_uri,
            "code_verifier": transaction.verifier,
        }
        headers = [("content-type", _FORM), ("accept", "application/json")]
        self._identify(about, form, headers)
        # A code is good for one use, so this is not tried again.
        answer = await self._send(
            outbound.Call(
                method="POST",
                url=about.token_endpoint,
                headers=headers,
                body=urllib.parse.urlencode(form).encode(),
                timeout_s=_TIMEOUT_S,
                bytes_max=_BYTES_MAX,
                idempotent=False,
            )
        )
        if not answer.ok:
            raise self._refused(answer)
        return _read(lambda: msgspec.json.decode(answer.body, type=_Tokens), "token endpoint")

    def _identify(
        self, about: oidc.Metadata, form: dict[str, str], headers: list[tuple[str, str]]
    ) -> None:
        """Say who we are, in the way that the provider takes."""
        reference = self.config.client_secret
        if reference is None:
            form["client_id"] = self.config.client_id
            return
        try:
            ours = self._vault.find(reference).text.strip()
        except (errors.HeliosError, ValueError) as error:
            raise oidc.SignInError(
                "oidc_provider", f"the secret named by oidc_client_secret: {error}"
            ) from None
        if "client_secret_basic" in about.token_endpoint_auth_methods_supported:
            # RFC 6749, section 2.3.1: both are form-encoded first.
            pair = ":".join(urllib.parse.quote_plus(each) for each in (self.config.client_id, ours))
            headers.append(("authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        elif "client_secret_post" in about.token_endpoint_auth_methods_supported:
            form |= {"client_id": self.config.client_id, "client_secret": ours}
        else:
            raise oidc.SignInError(
                "oidc_provider",
                "the OpenID provider takes neither client_secret_basic nor client_secret_post",
            )

    def _refused(self, answer: outbound.Answer) -> oidc.SignInError:
        try:
            told = msgspec.json.decode(answer.body, type=dict[str, Any]).get("error")
        except msgspec.DecodeError:
            told = None
        known = told if told in _TOKEN_ERRORS else "an error"
        return oidc.SignInError(
            "oidc_provider",
            f"the provider's token endpoint answered {answer.status} with {known}; are "
            "oidc_client_id and oidc_client_secret those that it knows?",
        )

    async def _more(
        self, about: oidc.Metadata, claims: Mapping[str, object], access_token: str | None
    ) -> Mapping[str, object]:
        """The claims, and what the userinfo endpoint adds to them."""
        if about.userinfo_endpoint is None or access_token is None:
            return claims
        told = await self._get(about.userinfo_endpoint, ("authorization", f"Bearer {access_token}"))
        if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
            raise oidc.SignInError(
                "oidc_token", "the userinfo endpoint told of another person than the ID token"
            )
        return {**told, **claims}

    async def _get(self, url: str, *headers: tuple[str, str]) -> object:
        answer = await self._send(
            outbound.Call(
                url=url,
                headers=(("accept", "application/json"), *headers),
                timeout_s=_TIMEOUT_S,
                bytes_max=_BYTES_MAX,
                attempts=2,
            )
        )
        if not answer.ok:
            raise oidc.SignInError(
                "oidc_unreachable" if answer.status >= 500 else "oidc_provider",
                f"the OpenID provider answered {answer.status} at {_shown(url)}",
            )
        return _read(answer.json, _shown(url))

    async def _send(self, call: outbound.Call) -> outbound.Answer:
        try:
            return await self._client.send(call)
        except outbound.OutboundError as error:
            raise oidc.SignInError(
                "oidc_unreachable", f"the OpenID provider {self.config.issuer}: {error}"
            ) from error


_TOKEN_ERRORS = (
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "unauthorized_client",
    "unsupported_grant_type",
)


def _read(parse: Callable[[], T], where: str) -> T:
    try:
        return parse()
    except (errors.InvalidInputError, msgspec.MsgspecError):
        # What it did say may hold a token.
        raise oidc.SignInError(
            "oidc_provider", f"what the OpenID provider answered at {where} cannot be read"
        ) from None


def _shown(url: str) -> str:
    return url.partition("?")[0][:200]
