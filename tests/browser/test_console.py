"""What holds on every screen: the address is the state, keys do it all, nothing is lost."""

import re
import time
from collections.abc import Callable

import pytest
from playwright import sync_api
from playwright.sync_api import expect

from helios.demo import shop
from helios.testing import browsing, browsing_data

WAIT_MS = 30_000

FILTERED = {
    "/events": "type:OrderPlaced,PaymentProcessed",
    "/streams": "status:mismatched,partial",
    "/stacks": "environment:prod",
    "/stacks/drifts": "severity:low,medium,high,critical",
    "/healing": "how:self,approved",
    "/approvals": "risk:low,high",
    "/dead-letters": "status:all reason:schema,conflict",
    "/audit": "outcome:success,failure",
    "/builds": "status:failed,ok",
    "/ingest": "shop",
    "/views": "verdicts",
}


def _filter(page: sync_api.Page, text: str) -> None:
    box = page.get_by_role("combobox", name="Filter")
    box.fill(text)
    box.press("Enter")


def _chips(page: sync_api.Page, text: str) -> None:
    for word in text.split():
        expect(page.get_by_role("button", name=f"Edit {word}")).to_be_visible(timeout=WAIT_MS)


def _press(page: sync_api.Page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


@pytest.mark.parametrize("path", FILTERED)
def test_a_filter_of_several_values_survives_a_reload_and_back(
    open_page: browsing.OpenPage, helios: browsing_data.Served, path: str
) -> None:
    page = open_page(helios, path)
    text = FILTERED[path]
    _filter(page, text)
    _chips(page, text)
    address = page.url
    page.reload()
    _chips(page, text)
    _press(page, "g t")
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings", timeout=WAIT_MS)
    page.go_back()
    _chips(page, text)
    assert page.url == address


def test_the_link_back_leads_to_the_list_as_it_was(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/streams?q=status:partial")
    row = page.get_by_role("region", name="Verdicts").get_by_role("link").first
    row.click()
    page.wait_for_url(re.compile("sel="))
    page.keyboard.press("o")
    page.wait_for_url(re.compile(f"tenant={shop.CLIENT}"))
    page.get_by_role("link", name="← order-fulfilment").click()
    page.get_by_role("link", name="← Streams").click()
    _chips(page, "status:partial")
    assert "tenant=" not in page.url
    expect(page.get_by_role("button", name="Client: All clients")).to_be_visible()


def test_a_client_that_was_chosen_on_a_page_goes_along_with_the_link_back(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/events?q=type:OrderPlaced")
    page.keyboard.press("j")
    page.wait_for_url(re.compile("sel="))
    page.keyboard.press("o")
    expect(page.get_by_role("link", name="← Events")).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("button", name=re.compile("^Client")).click()
    page.get_by_role("menuitemcheckbox", name=shop.CLIENT).click()
    page.wait_for_url(re.compile("tenant="))
    page.get_by_role("link", name="← Events").click()
    _chips(page, "type:OrderPlaced")
    expect(page.get_by_role("button", name=f"Client: {shop.CLIENT}")).to_be_visible()


def test_a_list_that_is_followed_leaves_nothing_out_whatever_its_filter_was_before(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve()
    browsing_data.send(served.http, browsing_data.plain_events(20))
    page = open_page(served, "/events")
    rows = page.get_by_role("region", name="Events").get_by_role("link")
    expect(rows.first).to_be_visible(timeout=WAIT_MS)
    _filter(page, "type:Nothing")
    expect(page.get_by_text("No event matches")).to_be_visible(timeout=WAIT_MS)
    browsing_data.send(served.http, browsing_data.plain_events(10, first=20))
    page.get_by_role("button", name="Clear the filter").first.click()
    browsing_data.send(served.http, browsing_data.plain_events(5, first=30))
    head = served.http.get("/api/v1/status").json()["head"]
    seen = page.get_by_role("region", name="Events")
    expect(seen.get_by_text(f"#{head}", exact=True)).to_be_visible(timeout=WAIT_MS)
    for position in range(head - 15, head):
        expect(seen.get_by_text(f"#{position}", exact=True)).to_be_visible(timeout=WAIT_MS)


def test_a_search_that_takes_long_is_stopped_and_says_how_far_it_came(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    def hold(route: sync_api.Route) -> None:
        if "azure" not in route.request.url:
            route.continue_()

    page = open_page(helios, "/events")
    page.route("**/api/v1/search/events?*", hold)
    _filter(page, "source:azure")
    stop = page.get_by_role("button", name="Stop", exact=True)
    further = page.get_by_role("button", name="Look further")
    with page.expect_event("requestfailed", lambda request: "azure" in request.url):
        stop.click()
    expect(page.get_by_text("Stopped before anything was looked at")).to_be_visible()
    page.unroute_all()
    further.click()
    told = page.get_by_text(re.compile(r"\d found in [\d,]+ looked at"))
    expect(told).to_be_visible()
    rows = page.get_by_role("region", name="Events").get_by_role("link")
    expect(rows.first).to_be_visible()
    expect(further).to_have_count(0)


def test_a_stopped_search_keeps_what_it_found_and_asks_no_further(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    # Some of the first page, as if two seconds had been over: the next is asked for at once.
    def answer(route: sync_api.Route) -> None:
        if "cursor=n" in route.request.url:
            later.append(route)
            return
        page = route.fetch().json()
        page.update(events=page["events"][:3], matched=3, stopped="time")
        route.fulfill(json=page)

    later: list[sync_api.Route] = []
    page = open_page(helios, "/views")
    page.route("**/api/v1/search/events?*", answer)
    with page.expect_request(lambda request: "cursor=n" in request.url):
        page.goto("/events?q=source:azure,gcp&t=24h")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile("^3 found in .* looked at, back to"))).to_be_visible()
    rows = page.get_by_role("region", name="Events").locator("tbody").get_by_role("link")
    expect(rows).to_have_count(3)
    assert len(later) == 1
    page.unroute_all()
    with page.expect_request(lambda request: "cursor=n" in request.url):
        page.get_by_role("button", name="Look further").click()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)


def test_who_goes_back_to_a_list_of_the_last_hour_is_where_they_were(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/events?t=1h")
    rows = page.get_by_role("region", name="Events")
    expect(rows.get_by_role("link").first).to_be_visible(timeout=WAIT_MS)
    rows.hover()
    page.mouse.wheel(0, 1800)
    _until(lambda: rows.evaluate("list => list.scrollTop") > 0)
    rows.get_by_role("link").nth(12).click()
    page.wait_for_url(re.compile("sel="))
    left = rows.evaluate("list => list.scrollTop")
    page.keyboard.press("o")
    expect(page.get_by_role("link", name="← Events")).to_be_visible(timeout=WAIT_MS)
    page.go_back()
    expect(rows).to_be_visible(timeout=WAIT_MS)
    _until(lambda: rows.evaluate("list => list.scrollTop") == left)


def test_a_view_is_saved_begun_with_found_in_the_palette_and_removed(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, axe: browsing.Axe
) -> None:
    served = serve()
    browsing_data.send(served.http, browsing_data.plain_events(3))
    page = open_page(served, "/events")

    def menu() -> sync_api.Locator:
        page.get_by_role("button", name="Saved", exact=True).click()
        return page.get_by_role("menu")

    for title, text in (("Страницы", "type:PageSeen"), ("Заказы", "type:OrderPlaced")):
        page.goto(f"/events?q={text}")
        menu().get_by_role("menuitem", name="Save this filter").click()
        page.get_by_label("Name").fill(title)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text(f"View “{title}” saved")).to_be_visible(timeout=WAIT_MS)
    _until(lambda: _titles(served) == ["Заказы", "Страницы"])
    page.reload()
    menu().get_by_role("menuitem", name="Begin with “Заказы”").click()
    _until(lambda: _default(served) == "Заказы")
    page.goto("/views")
    browsing.settled(page)
    _press(page, "g e")
    _chips(page, "type:OrderPlaced")
    page.get_by_role("button", name="Clear the filter").first.click()
    expect(page.get_by_role("button", name=re.compile("^Edit"))).to_have_count(0)

    page.goto("/")
    browsing.settled(page)
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Commands")
    palette.get_by_role("combobox").fill("Страниц")
    expect(palette.get_by_role("option", name=re.compile("Страницы"))).to_be_visible()
    assert axe(page) == []
    palette.get_by_role("option", name=re.compile("Страницы")).click()
    _chips(page, "type:PageSeen")

    menu().get_by_role("menuitem", name="Remove “Страницы”").click()
    _until(lambda: _titles(served) == ["Заказы"])


def test_a_view_keeps_its_time_range_and_the_part_of_its_list(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve()
    page = open_page(served, "/approvals?q=kind:update&status=granted&t=24h")

    def menu() -> sync_api.Locator:
        page.get_by_role("button", name="Saved", exact=True).click()
        return page.get_by_role("menu")

    menu().get_by_role("menuitem", name="Save this filter").click()
    page.get_by_label("Name").fill("A day")
    expect(page.get_by_text("With the time range: Last 24 hours")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("View “A day” saved")).to_be_visible()
    day = re.compile(r"/approvals\?(?=.*q=kind:update)(?=.*status=granted)(?=.*t=24h)")
    page.goto("/approvals?status=denied&t=1h")
    menu().get_by_role("menuitemcheckbox", name="A day").click()
    page.wait_for_url(day)
    page.goto("/views")
    browsing.settled(page)
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Commands")
    palette.get_by_role("combobox").fill("A day")
    palette.get_by_role("option", name=re.compile("A day")).click()
    page.wait_for_url(day)


def _titles(served: browsing_data.Served) -> list[str]:
    views = served.http.get("/api/v1/saved-views?screen=events").json()["views"]
    return sorted(each["title"] for each in views)


def _default(served: browsing_data.Served) -> str | None:
    views = served.http.get("/api/v1/saved-views?screen=events").json()["views"]
    return next((each["title"] for each in views if each["is_default"]), None)


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_MS / 1_000
    while not holds():
        assert time.monotonic() < until, "it did not come to be"


def test_what_is_typed_into_the_palette_is_looked_for(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/")
    page.keyboard.press("Control+k")
    page.get_by_role("dialog", name="Commands").get_by_role("combobox").fill("ORD-1007")
    page.get_by_role("option", name="The key of that name").click()
    page.wait_for_url("**/streams?*")
    _chips(page, "key:ORD-1007")
    rows = page.get_by_role("region", name="Verdicts").get_by_role("link", name="ORD-1007")
    expect(rows.first).to_be_visible(timeout=WAIT_MS)


def test_how_fresh_the_data_are_is_said_on_every_width(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    for size in browsing.SIZES:
        page = open_page(helios, "/stacks", size=size)
        expect(page.get_by_role("link", name=re.compile("as of #"))).to_be_visible(timeout=WAIT_MS)


def test_a_link_is_copied_on_every_page(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/views/verdicts")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for path in ("/views/verdicts", "/healing?tab=guards", "/audit/report", "/events/1"):
        page.goto(path)
        browsing.settled(page)
        page.keyboard.press("y")
        expect(page.get_by_text("Link copied").first).to_be_visible(timeout=WAIT_MS)
        assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_a_machine_without_a_network_still_asks_its_own_server(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/views")
    # What a browser tells its pages when the network goes, while the server is on this machine.
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    _press(page, "g s")
    rows = page.get_by_role("region", name="Verdicts").get_by_role("link")
    expect(rows.first).to_be_visible(timeout=WAIT_MS)


def test_what_an_event_shares_with_others_leads_to_them(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/events?q=type:OrderPlaced")
    page.keyboard.press("j")
    panel = page.get_by_role("complementary", name=re.compile("^Event #"))
    panel.get_by_role("link", name="aws", exact=True).click(timeout=WAIT_MS)
    _chips(page, "source:aws")
