"""Signing in, in a browser: by password, and at a real OpenID provider."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from helios.demo import shop
from helios.testing import browsing, browsing_data, components, openid, real_processes


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openid.Provider]:
    reason = components.missing("oidc-provider")
    if reason:
        pytest.skip(reason)
    with openid.Provider(tmp_path_factory.mktemp("oidc")) as running:
        yield running


@pytest.fixture(scope="module")
def federated_helios(
    provider: openid.Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[browsing_data.Served]:
    """A server where people sign in at the provider."""
    port = real_processes.free_port()
    name, secret = provider.register(f"http://127.0.0.1:{port}/api/v1/auth/oidc/callback")
    env = {
        "HELIOS_OIDC_ISSUER": provider.issuer,
        "HELIOS_OIDC_CLIENT_ID": name,
        "HELIOS_OIDC_CLIENT_SECRET": "env:PROVIDER_SECRET",
        "PROVIDER_SECRET": secret or "",
        "HELIOS_OIDC_NAME": "Acme",
        "HELIOS_OIDC_SCOPES": "openid profile groups",
        "HELIOS_OIDC_GRANTS": f"helios-admins=admin, acme-ops=operator@{shop.CLIENT}",
        "HELIOS_OUTBOUND_ALLOW": "127.0.0.1",
    }
    folder = tmp_path_factory.mktemp("helios")
    with browsing_data.serving(folder, auth="on", filled=True, env=env, port=port) as served:
        yield served


def _sign_in_at(page: Page, provider: openid.Provider, name: str) -> None:
    page.get_by_role("link", name="Sign in with Acme").click()
    expect(page.get_by_role("heading", name="Sign in at the provider")).to_be_visible()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(provider.password)
    page.get_by_role("button", name="Sign in").click()


def test_who_is_not_signed_in_is_led_to_where_they_wanted_to_go(
    open_page: browsing.OpenPage, guarded_helios: browsing_data.Served, complaints: browsing.Watch
) -> None:
    complaints.allow(r"answered 401: GET .*/api/v1/")
    complaints.allow(r"answered 401: POST .*/api/v1/auth/refresh")
    page = open_page(guarded_helios, "/events", wait=False)
    expect(page.get_by_role("heading", name="Sign in to Helios")).to_be_visible()
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill(browsing_data.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Events", exact=True)).to_be_visible()


def test_a_wrong_password_is_told_and_lets_nobody_in(
    open_page: browsing.OpenPage, guarded_helios: browsing_data.Served, complaints: browsing.Watch
) -> None:
    complaints.allow(r"answered 401: POST .*/api/v1/auth/login")
    page = open_page(guarded_helios, "/sign-in")
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill("a wrong password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")


def test_who_has_signed_in_stays_so(
    open_page: browsing.OpenPage, guarded_helios: browsing_data.Served
) -> None:
    page = open_page(guarded_helios, "/events", user="olga")
    expect(page.get_by_role("heading", name="Events", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Events", exact=True)).to_be_visible()


def test_somebody_of_a_group_with_a_role_signs_in_at_the_provider(
    open_page: browsing.OpenPage,
    federated_helios: browsing_data.Served,
    provider: openid.Provider,
) -> None:
    page = open_page(federated_helios, "/sign-in?back=/events")
    _sign_in_at(page, provider, "olga")
    expect(page.get_by_role("heading", name="Events", exact=True)).to_be_visible()
    assert page.url == f"{federated_helios.url}/events"


def test_somebody_without_a_role_is_told_why_they_are_not_let_in(
    open_page: browsing.OpenPage,
    federated_helios: browsing_data.Served,
    provider: openid.Provider,
    axe: browsing.Axe,
) -> None:
    page = open_page(federated_helios, "/sign-in")
    _sign_in_at(page, provider, "nina")
    expect(page.get_by_role("alert")).to_contain_text("none of your groups has a role here")
    assert axe(page) == []


@pytest.mark.parametrize("theme", browsing.THEMES)
def test_the_sign_in_page_can_be_used_by_everybody(
    open_page: browsing.OpenPage,
    federated_helios: browsing_data.Served,
    axe: browsing.Axe,
    theme: browsing.Theme,
) -> None:
    page = open_page(federated_helios, "/sign-in", theme=theme, size="narrow")
    assert axe(page) == []


def test_who_signs_out_is_told_so_and_is_out(
    open_page: browsing.OpenPage, guarded_helios: browsing_data.Served, axe: browsing.Axe
) -> None:
    page = open_page(guarded_helios, "/events", user="olga")
    page.get_by_role("button", name="User menu").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert axe(page) == []
    assert not any(each["name"] == "helios_access" for each in page.context.cookies())


def test_whose_session_has_ended_goes_on_where_they_were(
    open_page: browsing.OpenPage, guarded_helios: browsing_data.Served, complaints: browsing.Watch
) -> None:
    complaints.allow(r"answered 401: ")
    page = open_page(guarded_helios, "/audit?q=kind:heal", user="olga")
    http = guarded_helios.http
    for each in http.get("/api/v1/sessions", params={"user_id": "olga"}).json()["sessions"]:
        http.delete(f"/api/v1/sessions/{each['id']}").raise_for_status()
    page.context.clear_cookies(name="helios_access")
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    page.get_by_label("Name").fill("olga")
    page.get_by_label("Password", exact=True).fill(browsing_data.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Report of the audit")).to_be_visible()


def test_who_may_not_see_a_page_is_told_which_role_would_do(
    open_page: browsing.OpenPage,
    guarded_helios: browsing_data.Served,
    complaints: browsing.Watch,
    axe: browsing.Axe,
) -> None:
    complaints.allow(r"answered 403: GET ")
    complaints.allow(r"console error: ApiError: this needs the role")
    path = f"/builds/sites/{shop.CLIENT}/docs"
    page = open_page(guarded_helios, path, user="zoe")
    expect(page.get_by_role("heading", name="You may not see this")).to_be_visible()
    expect(page.get_by_text("signed in as zoe")).to_be_visible()
    assert axe(page) == []
