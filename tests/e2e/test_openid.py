"""Signing in at a real OpenID provider, on a real server, with a browser without pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib import parse as urls

import httpx
import pytest

from helios.testing import components, openid, real_processes

pytestmark = [pytest.mark.components]

PATH = "/api/v1/auth/oidc"
GRANTS = "helios-admins=admin@*, acme-ops=operator@acme/production"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openid.Provider]:
    reason = components.missing("oidc-provider")
    if reason:
        pytest.skip(reason)
    with openid.Provider(tmp_path_factory.mktemp("oidc")) as running:
        yield running


@pytest.fixture(scope="module")
def helios(
    provider: openid.Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[real_processes.Helios]:
    port = real_processes.free_port()
    name, secret = provider.register(f"http://127.0.0.1:{port}{PATH}/callback")
    folder = tmp_path_factory.mktemp("helios")
    kept = folder / "oidc.secret"
    kept.write_text(secret or "")
    env = {
        "HELIOS_AUTH": "on",
        "HELIOS_OIDC_ISSUER": provider.issuer,
        "HELIOS_OIDC_CLIENT_ID": name,
        "HELIOS_OIDC_CLIENT_SECRET": f"file:{kept}",
        "HELIOS_OIDC_NAME": "Acme",
        "HELIOS_OIDC_SCOPES": "openid profile groups",
        "HELIOS_OIDC_GRANTS": GRANTS,
        "HELIOS_OUTBOUND_ALLOW": "127.0.0.1",
    }
    with real_processes.Helios(folder / "data", port=port, env=env) as running:
        yield running


@pytest.fixture
def jar() -> Iterator[httpx.Client]:
    with openid.browser() as made:
        yield made


def comes_back(
    jar: httpx.Client,
    helios: real_processes.Helios,
    provider: openid.Provider,
    name: str,
    *,
    to: str = "/events",
    back: bool = False,
) -> str:
    """Where the provider sends who signs in there; not yet gone to."""
    start = f"{helios.url}{PATH}/start?{urls.urlencode({'to': to})}"
    return openid.sign_in(
        jar,
        start,
        until=f"{helios.url}{PATH}/callback",
        name=name,
        password=provider.password,
        back=back,
    )


def me(jar: httpx.Client, helios: real_processes.Helios) -> Any:
    answer = jar.get(f"{helios.url}/api/v1/auth/me")
    return answer.json() if answer.status_code == httpx.codes.OK else None


def test_who_signs_in_at_the_provider_is_signed_in_here(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider
) -> None:
    answer = jar.get(comes_back(jar, helios, provider, "ada", to="/events?q=a#b"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/events?q=a#b")
    found = me(jar, helios)
    assert (found["kind"], found["name"], found["display_name"]) == ("user", "ada", "Ada Admin")
    assert found["grants"] == [{"role": "admin", "tenant": "*", "environment": "*"}]
    assert found["groups"] == ["helios-admins"]


def test_groups_decide_what_somebody_may_do(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider
) -> None:
    jar.get(comes_back(jar, helios, provider, "olga"))
    found = me(jar, helios)
    assert found["grants"] == [{"role": "operator", "tenant": "acme", "environment": "production"}]
    answer = jar.get(f"{helios.url}/api/v1/events", params={"client_id": "other"})
    assert answer.status_code == httpx.codes.FORBIDDEN


def test_who_has_no_role_here_ends_on_the_sign_in_page(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider
) -> None:
    answer = jar.get(comes_back(jar, helios, provider, "nina"))
    assert answer.headers["location"] == "/sign-in?problem=oidc_no_role"
    assert me(jar, helios) is None


def test_who_turns_back_ends_on_the_sign_in_page(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider
) -> None:
    answer = jar.get(comes_back(jar, helios, provider, "ada", back=True))
    assert answer.headers["location"] == "/sign-in?problem=oidc_denied"


def test_nobody_can_be_made_to_finish_what_another_has_begun(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider
) -> None:
    theirs = comes_back(jar, helios, provider, "ada")
    with openid.browser() as victim:
        answer = victim.get(theirs)
        assert answer.headers["location"] == "/sign-in?problem=oidc_state"
        victim.get(f"{helios.url}{PATH}/start")
        answer = victim.get(theirs)
        assert answer.headers["location"] == "/sign-in?problem=oidc_state"
        assert me(victim, helios) is None


def test_an_answer_is_good_for_one_use(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider
) -> None:
    url = comes_back(jar, helios, provider, "ada")
    assert jar.get(url).headers["location"] == "/events"
    assert jar.get(url).headers["location"] == "/sign-in?problem=oidc_state"


def test_the_cookie_of_a_sign_in_is_for_the_browser_alone_and_goes_when_it_is_over(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider
) -> None:
    first = jar.get(f"{helios.url}{PATH}/start")
    cookie = first.headers["set-cookie"]
    assert cookie.startswith("helios_oidc=")
    for part in ("HttpOnly", "SameSite=Lax", "Max-Age=600", "Path=/"):
        assert part in cookie
    last = jar.get(comes_back(jar, helios, provider, "ada"))
    kept = last.headers.get_list("set-cookie")
    assert any(each.startswith("helios_oidc=;") and "Max-Age=0" in each for each in kept)
    session = [each for each in kept if each.startswith(("helios_access", "helios_refresh"))]
    assert len(session) == 2
    for each in session:
        assert "HttpOnly" in each
        assert "SameSite=Strict" in each


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil.example", "x"])
def test_nobody_is_sent_elsewhere_afterwards(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider, to: str
) -> None:
    answer = jar.get(comes_back(jar, helios, provider, "ada", to=to))
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    "query", ["", "code=a", "code=a&code=b", "code=a&state=b", "error=access_denied", "%ff=%ff"]
)
def test_what_no_provider_sends_ends_on_the_sign_in_page(
    jar: httpx.Client, helios: real_processes.Helios, query: str
) -> None:
    answer = jar.get(f"{helios.url}{PATH}/callback?{query}")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/sign-in?problem=oidc_state",
    )


def test_the_sign_in_page_is_told_what_the_provider_is_called(
    jar: httpx.Client, helios: real_processes.Helios
) -> None:
    assert jar.get(f"{helios.url}/api/v1/auth/methods").json()["oidc"] == "Acme"


def test_the_way_out_leads_past_the_provider(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider
) -> None:
    answer = jar.get(f"{helios.url}{PATH}/logout")
    assert answer.headers["location"].startswith(f"{provider.issuer}/session/end?")
    assert jar.get(answer.headers["location"]).status_code == httpx.codes.OK


def test_the_log_of_the_server_says_why_and_holds_no_secret(
    jar: httpx.Client, helios: real_processes.Helios, provider: openid.Provider
) -> None:
    back = comes_back(jar, helios, provider, "nina")
    jar.get(back)
    said = helios.log.read_text()
    assert "oidc_no_role" in said
    code = dict(urls.parse_qsl(urls.urlsplit(back).query))["code"]
    assert code not in said
    assert (helios.log.parent / "oidc.secret").read_text() not in said


def test_without_a_provider_the_sign_in_page_says_so(tmp_path: Path, jar: httpx.Client) -> None:
    port = real_processes.free_port()
    with real_processes.Helios(tmp_path / "data", port=port, env={"HELIOS_AUTH": "on"}) as plain:
        assert jar.get(f"{plain.url}/api/v1/auth/methods").json()["oidc"] is None
        answer = jar.get(f"{plain.url}{PATH}/start")
        assert answer.headers["location"] == "/sign-in?problem=oidc_off"


def test_a_provider_that_is_away_ends_on_the_sign_in_page(
    tmp_path: Path, jar: httpx.Client
) -> None:
    env = {
        "HELIOS_AUTH": "on",
        "HELIOS_OIDC_ISSUER": f"http://127.0.0.1:{real_processes.free_port()}",
        "HELIOS_OIDC_CLIENT_ID": "helios",
        "HELIOS_OIDC_GRANTS": GRANTS,
        "HELIOS_OUTBOUND_ALLOW": "127.0.0.1",
    }
    port = real_processes.free_port()
    with real_processes.Helios(tmp_path / "data", port=port, env=env) as lonely:
        answer = jar.get(f"{lonely.url}{PATH}/start")
        assert answer.headers["location"] == "/sign-in?problem=oidc_unreachable"


def test_settings_that_cannot_work_are_told_at_the_start(tmp_path: Path) -> None:
    env = {
        "HELIOS_AUTH": "on",
        "HELIOS_OIDC_ISSUER": "https://login.example.com",
        "HELIOS_OIDC_CLIENT_ID": "helios",
    }
    broken = real_processes.Helios(tmp_path / "data", port=real_processes.free_port(), env=env)
    with pytest.raises(real_processes.ServeError, match="oidc_grants"):
        broken.start()
