"""A sign-in at an OpenID provider, from the start to who it was.

What is under way is kept by the browser alone, sealed with a key that all processes of an
installation share: any of them can finish what another began.
"""

from collections.abc import Callable, Mapping

import msgspec

from helios.access import oidc, oidc_provider, ports
from helios.kernel import clock as clocks

_KIND = "oidc"
_NAME = "transactions"
_KEY_BYTES = 32


class Started(msgspec.Struct, frozen=True):
    """Where to send the browser, and what it has to bring back."""

    url: str
    sealed: str


class Finished(msgspec.Struct, frozen=True):
    """Who it was, and the path they wanted to go to."""

    person: oidc.Person
    to: str


class SignIn:
    """Signing in at one provider.

    Args:
        provider: the one.
        keep: shared by all processes.
        clock: the time.
        draw: so many unguessable bytes.
    """

    def __init__(
        self,
        provider: oidc_provider.Provider,
        *,
        keep: ports.Keep,
        clock: clocks.Clock,
        draw: Callable[[int], bytes],
    ) -> None:
        self._provider = provider
        self._keep = keep
        self._clock = clock
        self._draw = draw

    @property
    def name(self) -> str:
        """What people call the provider."""
        return self._provider.config.name

    async def start(self, to: str | None, redirect_uri: str) -> Started:
        """Begin.

        Args:
            to: where to go afterwards; what is no path of ours is ignored.
            redirect_uri: where the provider shall send the browser.

        Raises:
            SignInError: the provider cannot be asked.
            StorageError: the storage cannot do it now.
        """
        url, transaction = await self._provider.begin(to, redirect_uri)
        return Started(url, oidc.seal(transaction, await self._key()))

    async def finish(self, sealed: str | None, query: Mapping[str, str]) -> Finished:
        """End.

        Args:
            sealed: what the browser brought of what it was given at the start.
            query: what the provider had it bring.

        Raises:
            SignInError: they cannot be let in; says why.
            StorageError: the storage cannot do it now.
        """
        transaction = oidc.unseal(sealed, await self._key(), now=self._clock.now())
        return Finished(await self._provider.finish(transaction, query), transaction.to)

    async def end_session_url(self, back: str) -> str | None:
        """See `oidc_provider.Provider.end_session_url`."""
        return await self._provider.end_session_url(back)

    async def _key(self) -> bytes:
        found = await self._keep.get(_KIND, _NAME)
        if found is not None:
            return found
        return await self._keep.put_if_absent(_KIND, _NAME, self._draw(_KEY_BYTES))
