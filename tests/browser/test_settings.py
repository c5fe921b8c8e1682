"""Settings: what is in force is changed where it stands, and people are given what they may do."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from helios.demo import shop
from helios.testing import browsing, browsing_data

TABS = ("configuration", "users", "tokens", "sessions", "roles", "account", "about")


def _value(http: httpx.Client, name: str) -> object:
    return http.get(f"/api/v1/configuration/{name}").json()["value"]


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("theme", browsing.THEMES)
def test_every_part_of_the_settings_can_be_used_by_everybody(
    open_page: browsing.OpenPage,
    guarded_helios: browsing_data.Served,
    axe: browsing.Axe,
    tab: str,
    theme: browsing.Theme,
) -> None:
    size = "narrow" if theme == "dark" else "wide"
    page = open_page(guarded_helios, f"/settings/{tab}", user="ada", theme=theme, size=size)
    expect(page.get_by_role("heading", name="Settings", level=1)).to_be_visible()
    assert axe(page) == []
    wider = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wider <= 0


def test_a_setting_says_what_it_would_do_and_a_change_is_taken_back(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, axe: browsing.Axe
) -> None:
    served = serve()
    page = open_page(served, "/settings/configuration?sel=feed.heartbeat")
    field = page.get_by_label(re.compile("^Value"))
    expect(field).to_have_value("15s")
    field.fill("20s")
    expect(page.get_by_text("15s becomes 20s")).to_be_visible()
    assert _value(served.http, "feed.heartbeat") == "15s"
    page.get_by_label(re.compile("^Reason")).fill("a proxy cuts idle connections")
    assert axe(page) == []
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("Heartbeat of the live feed is now 20 s")).to_be_visible()
    expect(page.get_by_text("a proxy cuts idle connections").first).to_be_visible()
    assert _value(served.http, "feed.heartbeat") == "20s"
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Heartbeat of the live feed is 15 s again")).to_be_visible()
    expect(field).to_have_value("15s")
    assert _value(served.http, "feed.heartbeat") == "15s"


def test_a_value_that_cannot_be_is_told_where_it_is_typed(
    open_page: browsing.OpenPage, helios: browsing_data.Served, complaints: browsing.Watch
) -> None:
    complaints.allow(r"answered 400: PUT .*/api/v1/configuration/feed.heartbeat")
    page = open_page(helios, "/settings/configuration?sel=feed.heartbeat")
    field = page.get_by_label(re.compile("^Value"))
    field.fill("soon")
    expect(page.get_by_text("Expected a duration such as")).to_be_visible()
    field.fill("9h")
    expect(page.get_by_text("expected a duration from 1s to 5m")).to_be_visible()


def test_what_somebody_else_changes_is_shown_at_once(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve()
    page = open_page(served, "/settings/configuration?sel=alerts.asked_max")
    field = page.get_by_label(re.compile("^Value"))
    expect(field).to_have_value("500")
    path = "/api/v1/configuration/alerts.asked_max"
    served.http.put(path, json={"value": 400}).raise_for_status()
    expect(field).to_have_value("400")
    field.fill("300")
    served.http.put(path, json={"value": 200}).raise_for_status()
    expect(page.get_by_text("while you were typing")).to_be_visible()
    expect(field).to_have_value("300")
    page.get_by_role("button", name="Take that").click()
    expect(field).to_have_value("200")


def test_who_may_not_change_a_setting_is_told_which_role_would_do(
    open_page: browsing.OpenPage, guarded_helios: browsing_data.Served
) -> None:
    page = open_page(guarded_helios, "/settings/configuration?sel=feed.heartbeat", user="vera")
    expect(page.get_by_text("Needs the role admin for all clients").first).to_be_visible()
    page.goto("/settings/users")
    expect(page.get_by_text("Users are managed by administrators")).to_be_visible()


def test_somebody_is_invited_given_more_and_removed(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, axe: browsing.Axe
) -> None:
    served = serve(auth="on")
    page = open_page(served, "/settings/users", user="ada")
    page.get_by_role("button", name="Invite").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name to sign in with").fill("nora")
    dialog.get_by_role("button", name="Make one up").click()
    dialog.get_by_role("button", name="Client or environment").click()
    dialog.get_by_label("Client", exact=True).fill(shop.CLIENT)
    dialog.get_by_role("button", name="Add the row").click()
    dialog.get_by_role("checkbox", name=f"viewer of {shop.CLIENT}").check()
    assert axe(page) == []
    dialog.get_by_role("button", name="Invite", exact=True).click()
    panel = page.get_by_role("complementary", name="User")
    expect(panel.get_by_role("heading", name="nora")).to_be_visible()
    panel.get_by_role("checkbox", name=f"operator of {shop.CLIENT}").check()
    panel.get_by_role("button", name="Change what they may do").click()
    expect(page.get_by_text("What nora may do has changed")).to_be_visible()
    (nora,) = (each for each in _users(served.http) if each["name"] == "nora")
    assert {each["role"] for each in nora["grants"]} == {"viewer", "operator"}
    panel.get_by_role("button", name="Remove…").click()
    asked = page.get_by_role("dialog")
    expect(asked.get_by_role("button", name="Remove the user")).to_be_disabled()
    asked.get_by_label(re.compile("^Type")).fill("nora")
    asked.get_by_role("button", name="Remove the user").click()
    expect(page.get_by_text("nora is removed")).to_be_visible()
    assert "nora" not in {each["name"] for each in _users(served.http)}


def test_the_secret_of_a_token_is_shown_once_and_works(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve(auth="on")
    page = open_page(served, "/settings/tokens", user="ada")
    page.get_by_role("button", name="Issue a token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the program").fill("deploys")
    dialog.get_by_role("checkbox", name="operator of all clients").check()
    dialog.get_by_role("button", name="Issue", exact=True).click()
    secret = dialog.get_by_test_id("secret").inner_text()
    with browsing_data.client(served.url, secret) as http:
        assert http.get("/api/v1/auth/me").json()["name"] == "deploys"
        dialog.get_by_role("button", name="I have copied it").click()
        expect(page.get_by_text(secret)).to_have_count(0)
        page.get_by_role("row", name=re.compile("deploys")).get_by_role("button").click()
        page.get_by_role("button", name="Revoke the token").click()
        expect(page.get_by_text("deploys is revoked")).to_be_visible()
        assert http.get("/api/v1/auth/me").status_code == httpx.codes.UNAUTHORIZED


def _users(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/api/v1/users").json()["users"]
    return found
