"""What leaves readers in peace: the look they chose, rows that stay, and a server that is away."""

import re

from playwright.sync_api import Page, Route, expect

from helios.testing import browsing, browsing_data

EVENTS = 120


def _theme(page: Page) -> str | None:
    return page.locator("html").get_attribute("data-theme")


def _paper(page: Page) -> int:
    """How light the page is, from 0 to 255."""
    levels: list[int] = page.locator("body").evaluate(
        """(body) => {
          const canvas = document.createElement("canvas").getContext("2d");
          for (const each of [document.documentElement, body]) {
            canvas.fillStyle = getComputedStyle(each).backgroundColor;
            canvas.fillRect(0, 0, 1, 1);
          }
          return [...canvas.getImageData(0, 0, 1, 1).data];
        }"""
    )
    return sum(levels[:3]) // 3


def test_the_theme_is_that_of_the_system_until_another_is_chosen_which_is_kept(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/events", theme="dark")
    assert (_theme(page), _paper(page) < 80) == ("dark", True)
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert _paper(page) > 200

    page.get_by_role("button", name=re.compile("^User menu")).click()
    page.get_by_role("menuitemcheckbox", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    for _ in range(2):
        page.reload()
        browsing.settled(page)
        assert (_theme(page), _paper(page) < 80) == ("dark", True)
        page.emulate_media(color_scheme="light")
    page.get_by_role("button", name=re.compile("^User menu")).click()
    page.get_by_role("menuitemcheckbox", name="As the system").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_the_theme_that_was_chosen_is_there_before_anything_is_seen(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/events")
    page.keyboard.press("t")
    page.keyboard.press("d")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    held: list[Route] = []
    # What draws the page is late; the browser shows what it has until then.
    late = re.compile(r"/assets/(framework|common|icons|index)-.*\.js")
    page.route(late, lambda route: held.append(route))  # noqa: PLW0108 - the driver marks handlers
    page.goto("/events", wait_until="commit")
    page.wait_for_function("() => document.styleSheets.length > 0 && document.body")
    assert held
    assert (_theme(page), _paper(page) < 80) == ("dark", True)
    for each in held:
        each.continue_()
    page.unroute_all()
    browsing.settled(page)


def test_where_times_are_told_and_how_wide_the_rail_is_are_kept(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/events")
    zone = page.get_by_role("button", name=re.compile("^Time range"))
    zone.click()
    page.get_by_role("menuitemcheckbox", name="UTC").click()
    page.get_by_role("button", name="Narrow the sidebar").click()
    page.reload()
    expect(page.get_by_role("button", name="Widen the sidebar")).to_be_visible()
    zone.click()
    expect(page.get_by_role("menuitemcheckbox", name="UTC")).to_be_checked()
    expect(page.get_by_role("menuitemcheckbox", name="Local time")).not_to_be_checked()


def test_what_is_read_stays_where_it_is_while_events_come(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve()
    browsing_data.send(served.http, browsing_data.plain_events(EVENTS))
    page = open_page(served, "/events?q=source:load")
    table = page.get_by_role("region", name="Events", exact=True)
    rows = table.locator("tbody tr:not([aria-hidden='true'])")
    expect(rows.first).to_be_visible()
    table.evaluate("(list) => list.scrollTo({ top: 900 })")
    read = rows.filter(has_text="page-90")
    expect(read).to_be_visible()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    before = read.bounding_box()

    browsing_data.send(served.http, browsing_data.plain_events(25, first=1_000))
    waiting = page.get_by_role("button", name="25 new")
    expect(waiting).to_be_visible()
    assert read.bounding_box() == before

    waiting.click()
    expect(rows.first).to_contain_text("page-24")
    expect(waiting).to_have_count(0)
    browsing_data.send(served.http, browsing_data.plain_events(1, first=1_025))
    expect(rows.first).to_contain_text("page-25")

    page.get_by_role("button", name="Pause", exact=True).click()
    browsing_data.send(served.http, browsing_data.plain_events(3, first=1_026))
    waiting = page.get_by_role("button", name="3 new")
    expect(waiting).to_be_visible()
    expect(rows.first).to_contain_text("page-25")
    waiting.click()
    expect(rows.first).to_contain_text("page-28")
    browsing_data.send(served.http, browsing_data.plain_events(1, first=1_029))
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    page.get_by_role("button", name="Follow", exact=True).click()
    expect(rows.first).to_contain_text("page-29")
    browsing_data.send(served.http, browsing_data.plain_events(1, first=1_030))
    expect(rows.first).to_contain_text("page-30")


def test_a_server_that_is_away_is_told_with_the_age_of_what_is_shown_until_it_is_back(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, complaints: browsing.Watch
) -> None:
    complaints.allow(r"ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE")
    complaints.allow(r"ERR_INCOMPLETE_CHUNKED_ENCODING|WebSocket|answered 503")
    served = serve()
    browsing_data.send(served.http, browsing_data.plain_events(3))
    page = open_page(served, "/events?q=source:load")
    rows = page.get_by_role("region", name="Events", exact=True).locator(
        "tbody tr:not([aria-hidden='true'])"
    )
    expect(rows).to_have_count(3)
    told = page.get_by_text("The server does not answer")
    served.process.stop()
    expect(told).to_be_visible()
    expect(told.locator("time")).to_have_attribute("datetime", re.compile(r"^\d{4}-\d\d-\d\dT"))
    expect(rows).to_have_count(3)
    served.process.start()
    expect(told).to_have_count(0)
    browsing_data.send(served.http, browsing_data.plain_events(1, first=3))
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text("page-3")
