"""The first screen: whether anything is wrong, and what to do."""

import re

from playwright.sync_api import expect

from helios.testing import browsing, browsing_data

LOOKS = ({"theme": "light", "size": "wide"}, {"theme": "dark", "size": "narrow"})
STATIONS = ("Sources", "Log", "Views", "Streams", "Stacks", "Healing")


def test_who_begins_is_told_how_and_can_send_an_event_at_once(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, axe: browsing.Axe
) -> None:
    served = serve()
    page = open_page(served, "/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing has come in yet")
    start = page.get_by_role("region", name="Begin with an event")
    for command in ("helios append", "helios contracts apply", "helios apply", "helios demo"):
        expect(start.get_by_text(re.compile(command)).first).to_be_visible()
    assert axe(page) == []
    start.get_by_role("button", name="Send a test event").click()
    page.wait_for_url("**/events?sel=1")
    expect(page.get_by_role("heading", name="TestEventSent")).to_be_visible()
    (event,) = served.http.get("/api/v1/events").json()["events"]
    assert (event["source"], event["client_id"]) == ("console", "default")


def test_what_needs_somebody_is_said_first_and_leads_to_where_it_is_mended(
    open_page: browsing.OpenPage, helios: browsing_data.Served, axe: browsing.Axe
) -> None:
    for look in LOOKS:
        page = open_page(helios, "/", **look)
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("need(s)? you"))
        assert axe(page) == []
    page = open_page(helios, "/")
    items = page.get_by_role("region", name="Needs attention").get_by_role("listitem")
    wrong = items.filter(has_text="does not match")
    expect(wrong).to_contain_text("fetch what is missing from its source")
    wrong.get_by_role("link").click()
    page.wait_for_url("**/streams?*status:matched*")


def test_each_station_of_the_flow_leads_to_its_screen(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/?tenant=acme-corp")
    flow = page.get_by_role("region", name="Flow")
    links = flow.get_by_role("link")
    assert tuple(link.inner_text() for link in links.all()) == STATIONS
    expect(flow.get_by_role("img")).to_have_count(len(STATIONS))
    links.filter(has_text="Views").click()
    page.wait_for_url("**/views?tenant=acme-corp")


def test_new_trouble_shows_up_by_itself(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve()
    browsing_data.send(served.http, browsing_data.plain_events(1))
    page = open_page(served, "/")
    expect(page.get_by_role("heading", level=1)).to_have_text("All is well")
    told = {"on": True, "reason": "the shop is being moved"}
    answer = served.http.post("/api/v1/guards/kill-switch", json=told)
    assert answer.is_success, answer.text
    expect(page.get_by_role("heading", level=1)).to_have_text("Something is broken")
    expect(page.get_by_text("the shop is being moved")).to_be_visible()


def test_an_address_that_leads_nowhere_says_so_and_leads_back(
    open_page: browsing.OpenPage,
    helios: browsing_data.Served,
    axe: browsing.Axe,
    complaints: browsing.Watch,
) -> None:
    complaints.allow(r"answered 404: GET .*/setings/users")
    page = open_page(helios, "/setings/users")
    expect(page.get_by_text("There is no such page")).to_be_visible()
    assert axe(page) == []
    page.get_by_role("link", name="Go to the overview").click()
    expect(page.get_by_role("region", name="Flow")).to_be_visible()
