"""What all lists have in common: filters, time range, clients, saved views, links."""

import json
import re
import time
from urllib import parse as urls

import pytest
from playwright.sync_api import Locator, Page, expect

from helios.demo import shop
from helios.testing import browsing, browsing_data, browsing_lists

DEADLINE_S = 30.0
SLOW_MS = 30_000
ROWS = "tbody tr:not([aria-hidden='true'])"
NONE = "no-such-thing"


every_list = pytest.mark.parametrize("of", browsing_lists.LISTS, ids=str)


def _table(page: Page, of: browsing_lists.List) -> Locator:
    return page.get_by_role("region", name=of.table, exact=True)


def _links(page: Page, of: browsing_lists.List) -> list[str]:
    """Where the rows that are shown lead, in their order."""
    found: list[str] = (
        _table(page, of)
        .locator(ROWS)
        .evaluate_all(
            "(rows) => rows.map((row) => row.querySelector('a')?.getAttribute('href') ?? '')"
        )
    )
    return [urls.unquote(each) for each in found]


def _agree(page: Page, served: browsing_data.Served, of: browsing_lists.List, *values: str) -> None:
    """The page shows what the API tells, within a while; of long lists, the rows in sight."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        shown, told = _links(page, of), browsing_lists.told(served, of, values)
        if told and browsing_lists.same(shown, told):
            return
        assert time.monotonic() < deadline, f"{values}: {shown} instead of {told}"
        page.wait_for_timeout(100)


def _filtered_by(page: Page, text: str | None) -> None:
    """The address has the filter, and chips show it."""
    page.wait_for_function(
        "(text) => new URLSearchParams(location.search).get('q') === text", arg=text
    )
    chips = page.get_by_role("button", name=re.compile("^Edit [-a-z]+:"))
    if text is None:
        expect(chips).to_have_count(0)
    else:
        expect(page.get_by_role("button", name=f"Edit {text}", exact=True)).to_be_visible()


@every_list
def test_a_filter_narrows_a_list_and_stays_in_the_address(
    open_page: browsing.OpenPage, full_helios: browsing_data.Served, of: browsing_lists.List
) -> None:
    first, second = of.values
    one, both = f"{of.key}:{first}", f"{of.key}:{first},{second}"
    _told_in_time(full_helios, of)
    page = open_page(full_helios, of.path, user="ada", trace=False)
    field = page.get_by_role("combobox", name="Filter")

    def typed(text: str) -> None:
        field.fill(text)
        field.press("Enter")

    typed(one)
    _filtered_by(page, one)
    _agree(page, full_helios, of, first)

    page.get_by_role("button", name=f"Edit {one}", exact=True).click()
    expect(field).to_have_value(one)
    typed(both)
    _filtered_by(page, both)
    _agree(page, full_helios, of, first, second)
    page.reload()
    _filtered_by(page, both)
    _agree(page, full_helios, of, first, second)

    page.get_by_role("navigation", name="Areas").get_by_role("link", name="Overview").click()
    expect(page).to_have_title(re.compile("Overview"))
    page.go_back()
    _filtered_by(page, both)
    _agree(page, full_helios, of, first, second)
    page.go_forward()
    expect(page).to_have_title(re.compile("Overview"))
    page.go_back()
    _filtered_by(page, both)

    page.get_by_role("button", name=f"Edit {both}", exact=True).click()
    typed(one)
    _filtered_by(page, one)
    _agree(page, full_helios, of, first)
    page.get_by_role("button", name=f"Remove {one}", exact=True).click()
    _filtered_by(page, None)
    expect(_table(page, of).locator(ROWS).first).to_be_visible()

    typed(f"{of.key}:{NONE}")
    _filtered_by(page, f"{of.key}:{NONE}")
    expect(page.get_by_role("heading", name=re.compile("match"))).to_be_visible()
    expect(page.get_by_text(re.compile("too narrow"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Clear (the filter|both)$")).last.click()
    _filtered_by(page, None)
    expect(_table(page, of).locator(ROWS).first).to_be_visible()


def _told_in_time(served: browsing_data.Served, of: browsing_lists.List) -> None:
    """What is healed or has drifted is there a while after it was declared."""
    deadline = time.monotonic() + DEADLINE_S
    while not all(browsing_lists.told(served, of, [value]) for value in of.values):
        assert time.monotonic() < deadline, f"{of.path}: nothing of {of.values}"
        time.sleep(0.2)


def test_the_time_range_and_the_client_are_those_of_all_screens(
    open_page: browsing.OpenPage, full_helios: browsing_data.Served
) -> None:
    page = open_page(full_helios, "/events", user="ada")
    areas = page.get_by_role("navigation", name="Areas")
    time_range = page.get_by_role("button", name=re.compile("^Time range"))
    client = page.get_by_role("button", name=re.compile("^Client:"))

    time_range.click()
    page.get_by_role("menuitemcheckbox", name="Last hour").click()
    page.wait_for_url("**/events?t=1h")
    page.reload()
    expect(time_range).to_have_accessible_name("Time range: Last hour")
    client.click()
    page.get_by_role("menuitemcheckbox", name=shop.CLIENT).click()
    page.wait_for_url(f"**tenant={shop.CLIENT}*")
    for area in ("Streams", "Overview", "Healing", "Events"):
        areas.get_by_role("link", name=area).click()
        expect(page).to_have_title(re.compile(area))
        expect(time_range).to_have_accessible_name("Time range: Last hour")
        expect(client).to_have_accessible_name(f"Client: {shop.CLIENT}")
        assert "t=1h" in page.url
        assert f"tenant={shop.CLIENT}" in page.url
    page.reload()
    expect(client).to_have_accessible_name(f"Client: {shop.CLIENT}")
    client.click()
    page.get_by_role("menuitemcheckbox", name="All clients").click()
    page.wait_for_url(lambda url: "tenant" not in url)


def test_of_a_range_that_somebody_writes_only_its_events_are_shown(
    open_page: browsing.OpenPage, full_helios: browsing_data.Served
) -> None:
    told = full_helios.http.get("/api/v1/search/events", params={"filter": "source:gcp,azure"})
    latest = max(event["recorded_at"] for event in told.json()["events"])[:19]
    page = open_page(full_helios, "/events?q=source:gcp,azure", user="ada")
    _filtered_by(page, "source:gcp,azure")
    expect(_table(page, browsing_lists.LISTS[0]).locator(ROWS).first).to_be_visible()

    def between(start: str, end: str) -> None:
        page.get_by_role("button", name=re.compile("^Time range")).click()
        page.get_by_role("menuitemcheckbox", name="From … to …").click()
        dialog = page.get_by_role("dialog", name="Time range")
        dialog.get_by_label("From").fill(start)
        dialog.get_by_label("To", exact=True).fill(end)
        dialog.get_by_role("button", name="Show this range").click()
        page.wait_for_url(f"**from={start}*to={end}*")

    between("2020-01-01T00:00:00", "2020-01-02T00:00:00")
    expect(page.get_by_role("heading", name="No event matches")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name=re.compile("^Time range: 01-01"))).to_be_visible()
    expect(page.get_by_role("heading", name="No event matches")).to_be_visible()
    between("2020-01-01T00:00:00", latest[:10] + "T23:59:59")
    _agree(page, full_helios, browsing_lists.LISTS[0], "gcp", "azure")
    page.go_back()
    expect(page.get_by_role("heading", name="No event matches")).to_be_visible()


def test_a_view_is_saved_and_shared_and_removed(
    open_page: browsing.OpenPage, full_helios: browsing_data.Served
) -> None:
    text = "status:partial,mismatched"
    page = open_page(full_helios, f"/streams?tenant={shop.CLIENT}", user="olga")
    views = page.get_by_role("button", name="Saved", exact=True)
    views.click()
    expect(page.get_by_text("None yet")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Filter").fill(text)
    page.keyboard.press("Enter")
    _filtered_by(page, text)
    views.click()
    page.get_by_role("menuitem", name="Save this filter…").click()
    dialog = page.get_by_role("dialog", name="Save this filter")
    dialog.get_by_label("Name").fill("What is wrong")
    dialog.get_by_label("Share it with everybody").check()
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(dialog).to_be_hidden()
    link = page.url

    # From another screen, and by somebody else: from the menu and by the link alone.
    areas = page.get_by_role("navigation", name="Areas")
    areas.get_by_role("link", name="Overview").click()
    expect(page).to_have_title(re.compile("Overview"))
    areas.get_by_role("link", name="Streams").click()
    _filtered_by(page, None)
    other = open_page(full_helios, f"/streams?tenant={shop.CLIENT}", user="vera")
    for each in (page, other):
        each.get_by_role("button", name="Saved", exact=True).click()
        each.get_by_role("menuitemcheckbox", name=re.compile("What is wrong")).click()
        _filtered_by(each, text)
        _agree(each, full_helios, browsing_lists.LISTS[1], "partial", "mismatched")
    other.goto("/")
    other.goto(link)
    _filtered_by(other, text)

    # Who did not save it cannot remove it.
    other.get_by_role("button", name="Saved", exact=True).click()
    expect(other.get_by_role("menuitemcheckbox", name=re.compile("What is wrong"))).to_be_checked()
    expect(other.get_by_role("menuitem", name=re.compile("^Remove"))).to_have_count(0)
    views.click()
    page.get_by_role("menuitem", name="Remove “What is wrong”").click()
    expect(page.get_by_role("status").get_by_text("View “What is wrong” removed")).to_be_visible()
    views.click()
    expect(page.get_by_text("None yet")).to_be_visible()


def test_each_row_is_a_link_that_opens_beside_the_page(
    open_page: browsing.OpenPage, full_helios: browsing_data.Served
) -> None:
    page = open_page(full_helios, "/", user="ada", trace=False)
    for each in browsing_lists.LISTS:
        page.goto(each.path)
        first = _table(page, each).locator(ROWS).first.get_by_role("link").first
        href = first.get_attribute("href")
        assert href
        # By where it leads, as the list moves on while things happen.
        link = _table(page, each).locator(f"a[href={json.dumps(href)}]").first
        with page.context.expect_page() as opening:
            link.click(button="middle")
        opened = opening.value
        panel = opened.get_by_role("complementary", name=re.compile("^(?!Sidebar)."))
        expect(panel.or_(opened.get_by_role("heading", level=1)).last).to_be_visible()
        assert urls.unquote(opened.url).endswith(urls.unquote(href))
        assert "sel=" not in page.url
        opened.close()


def test_numbers_of_the_overview_lead_to_lists_of_as_many(
    open_page: browsing.OpenPage, full_helios: browsing_data.Served
) -> None:
    page = open_page(full_helios, "/", user="ada")
    for text in (
        r"^(\d+) of \d+ keys do not match$",
        r"^(\d+) open drifts? in \d+ stacks?$",
        r"^(\d+) plans wait for approval$",
    ):
        page.goto("/")
        link = page.get_by_role("link", name=re.compile(text))
        found = re.search(text, link.inner_text())
        assert found
        link.click()
        expect(page.get_by_role("heading", level=1, name="Overview")).to_have_count(0)
        _rows(page, int(found[1]))
    for station, listed in (("Sources", "Sources"), ("Views", "Views"), ("Stacks", "Stacks")):
        page.goto("/")
        flow = page.get_by_role("region", name="Flow").get_by_role("listitem")
        stop = flow.filter(has=page.get_by_role("link", name=station, exact=True))
        total = re.search(r"In all\s+(\d+)", stop.inner_text())
        assert total
        stop.get_by_role("link").click()
        expect(page.get_by_role("region", name=listed, exact=True)).to_be_visible()
        _rows(page, int(total[1]))


def _rows(page: Page, count: int) -> None:
    rows = page.get_by_role("main").locator(f"table[aria-rowcount='{count + 1}']")
    expect(rows).to_be_visible()
