"""Signing in at a real OpenID provider, over HTTP from the first redirect to the last."""

import asyncio
import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib import parse as urls

import msgspec
import pytest

from helios.access import oidc, oidc_grants, oidc_provider
from helios.drivers.outbound import client, policy
from helios.kernel import clock as clocks
from helios.kernel import secret
from helios.testing import components, openid

pytestmark = [pytest.mark.components]

BACK = "http://127.0.0.1:1/api/v1/auth/oidc/callback"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openid.Provider]:
    reason = components.missing("oidc-provider")
    if reason:
        pytest.skip(reason)
    with openid.Provider(tmp_path_factory.mktemp("oidc")) as running:
        yield running


class Vault:
    def __init__(self, value: str | None) -> None:
        self.value = value or ""

    def find(self, reference: str) -> secret.Secret:
        assert reference == "env:OIDC_SECRET"
        return secret.Secret(self.value)


class Trial:
    """Helios' side of sign-ins, with the client that makes its calls; all in one event loop."""

    def __init__(
        self,
        provider: openid.Provider,
        *,
        method: str = "client_secret_basic",
        algorithm: str = "RS256",
        allowed: str = "127.0.0.1",
    ) -> None:
        self.provider = provider
        self.allowed = allowed
        name, kept = provider.register(BACK, method=method, algorithm=algorithm)
        self.vault = Vault(kept)
        self.config = oidc.Config(
            issuer=provider.issuer,
            client_id=name,
            client_secret=None if kept is None else "env:OIDC_SECRET",
            name="Test",
            scopes=("openid", "profile", "groups"),
            groups_claim="groups",
            grants=oidc_grants.parse("helios-admins=admin, acme-ops=operator@acme/production"),
        )

    def __call__(self, *names: str, rotate: bool = False, back: bool = False) -> list[oidc.Person]:
        """These people sign in one after another; returns who they were."""

        async def main() -> list[oidc.Person]:
            clock = clocks.SystemClock()
            async with client.Client(
                clock=clock, allowed=policy.parse_allowed(self.allowed), rng=random.Random(1)
            ) as calls:
                ours = oidc_provider.Provider(
                    self.config,
                    client=calls,
                    vault=self.vault,
                    clock=clock,
                    draw=secrets.token_urlsafe,
                )
                found = []
                for name in names:
                    url, transaction = await ours.begin("/", BACK)
                    found.append(
                        await ours.finish(transaction, await self._at(url, name, back=back))
                    )
                    if rotate:
                        self.provider.rotate()
                return found

        return asyncio.run(main())

    async def _at(self, url: str, name: str, *, back: bool) -> dict[str, str]:
        def there() -> str:
            with openid.browser() as jar:
                return openid.sign_in(
                    jar, url, until=BACK, name=name, password=self.provider.password, back=back
                )

        return dict(urls.parse_qsl(urls.urlsplit(await asyncio.to_thread(there)).query))


def test_people_of_different_groups_get_different_grants(provider: openid.Provider) -> None:
    ada, olga = Trial(provider)("ada", "olga")
    assert (ada.issuer, ada.subject, ada.display_name) == (provider.issuer, "ada", "Ada Admin")
    assert [(g.role, g.tenant) for g in ada.grants] == [("admin", "*")]
    assert [(g.role, g.tenant, g.environment) for g in olga.grants] == [
        ("operator", "acme", "production")
    ]


def test_who_is_in_no_group_of_ours_is_refused(provider: openid.Provider) -> None:
    with pytest.raises(oidc.SignInError) as caught:
        Trial(provider)("nina")
    assert caught.value.problem == "oidc_no_role"


def test_who_turns_back_at_the_provider_is_told_so(provider: openid.Provider) -> None:
    with pytest.raises(oidc.SignInError) as caught:
        Trial(provider)("ada", back=True)
    assert caught.value.problem == "oidc_denied"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_the_provider_knows_us_however_it_wants_to(provider: openid.Provider, method: str) -> None:
    assert Trial(provider, method=method)("ada")[0].subject == "ada"


@pytest.mark.parametrize("algorithm", oidc.ALGORITHMS)
def test_tokens_of_each_algorithm_are_taken(provider: openid.Provider, algorithm: str) -> None:
    assert Trial(provider, algorithm=algorithm)("ada")[0].subject == "ada"


def test_a_secret_that_the_provider_does_not_know_is_not_repeated(
    provider: openid.Provider,
) -> None:
    trial = Trial(provider)
    trial.vault.value = "a wrong secret"
    with pytest.raises(oidc.SignInError) as caught:
        trial("ada")
    assert caught.value.problem == "oidc_provider"
    assert "invalid_client" in str(caught.value)
    assert "wrong secret" not in str(caught.value)


def test_keys_may_change_between_two_sign_ins(
    provider: openid.Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_provider, "KEYS_AGAIN_S", 0.0)
    assert [each.subject for each in Trial(provider)("ada", "olga", rotate=True)] == ["ada", "olga"]


def test_a_code_is_good_for_one_use(provider: openid.Provider) -> None:
    trial = Trial(provider)
    # The browser comes back with what another sign-in was given.
    first: list[dict[str, str]] = []
    original = trial._at

    async def remembered(url: str, name: str, *, back: bool) -> dict[str, str]:
        if not first:
            first.append(await original(url, name, back=back))
            return first[0]
        second = dict(await original(url, name, back=back))
        return second | {"code": first[0]["code"]}

    trial._at = remembered  # type: ignore[method-assign]
    with pytest.raises(oidc.SignInError) as caught:
        trial("ada", "ada")
    assert caught.value.problem == "oidc_provider"
    assert "invalid_grant" in str(caught.value)


def test_a_provider_on_a_private_address_has_to_be_allowed(provider: openid.Provider) -> None:
    with pytest.raises(oidc.SignInError) as caught:
        Trial(provider, allowed="")("ada")
    assert caught.value.problem == "oidc_unreachable"
    assert "outbound_allow" in str(caught.value)


def test_another_issuer_than_the_one_configured_is_not_believed(provider: openid.Provider) -> None:
    trial = Trial(provider, allowed="127.0.0.1, localhost")
    other = provider.issuer.replace("127.0.0.1", "localhost")
    trial.config = msgspec.structs.replace(trial.config, issuer=other)
    with pytest.raises(oidc.SignInError) as caught:
        trial("ada")
    assert caught.value.problem == "oidc_provider"
    assert provider.issuer in str(caught.value)


def test_keys_and_clients_outlive_a_restart(tmp_path: Path, provider: openid.Provider) -> None:
    with openid.Provider(tmp_path / "second") as second:
        trial = Trial(second)
        before = trial("ada")
        second.restart(crash=True)
        assert trial("ada") == before
