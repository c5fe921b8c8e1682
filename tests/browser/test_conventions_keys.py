"""What holds on every screen for who uses the keyboard: keys, the palette, the order of Tab."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect

from helios.demo import shop
from helios.testing import browsing, browsing_data

RANGE = "2026-01-02T03:04:05.000Z/2026-01-02T04:04:05.000Z"
READ_CLIPBOARD = "() => navigator.clipboard.readText()"
FOCUSABLE = """() => [...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex]')]
  .filter((each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility({
    visibilityProperty: true }) && !each.closest('dialog:not([open]), [inert], [hidden]'))"""
MARK = f"() => ({FOCUSABLE})().map((each, at) => (each.dataset.at = String(at))).length"


@pytest.fixture(scope="module")
def helios(full_helios: browsing_data.Served) -> browsing_data.Served:
    return full_helios


def _position(page: Page, at: int) -> str | None:
    """Of the row of the list that stands there."""
    link = page.get_by_role("region", name="Events", exact=True).locator("tbody a").nth(at)
    return (link.get_attribute("href") or "").partition("sel=")[2].partition("&")[0]


def _selects(at: int) -> Callable[[Page, Callable[[], None]], None]:
    def check(page: Page, press: Callable[[], None]) -> None:
        wanted = _position(page, at)
        press()
        page.wait_for_function(
            "(wanted) => new URLSearchParams(location.search).get('sel') === wanted", arg=wanted
        )

    return check


def _leads_to(path: str) -> Callable[[Page, Callable[[], None]], None]:
    def check(page: Page, press: Callable[[], None]) -> None:
        press()
        page.wait_for_url(lambda url: url.partition("?")[0].endswith(path))
        assert f"tenant={shop.CLIENT}" in page.url
        assert "t=24h" in page.url

    return check


def _palette(page: Page, press: Callable[[], None]) -> None:
    press()
    expect(page.get_by_role("dialog", name="Commands")).to_be_visible()


def _help(page: Page, press: Callable[[], None]) -> None:
    press()
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def _field(page: Page, press: Callable[[], None]) -> None:
    press()
    expect(page.get_by_role("combobox", name="Filter")).to_be_focused()


def _close(page: Page, press: Callable[[], None]) -> None:
    panel = page.get_by_role("complementary", name="Event")
    expect(panel).to_be_visible()
    press()
    expect(panel).to_have_count(0)


def _copy_link(page: Page, press: Callable[[], None]) -> None:
    press()
    expect(page.get_by_role("status").get_by_text("Link copied")).to_be_visible()
    assert page.evaluate(READ_CLIPBOARD) == page.url


def _theme(page: Page, press: Callable[[], None]) -> None:
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    press()
    expect(root).to_have_attribute("data-theme", "dark")
    press()
    expect(root).to_have_attribute("data-theme", "light")


def _copy_range(page: Page, press: Callable[[], None]) -> None:
    press()
    expect(page.get_by_role("status").get_by_text("Time range copied")).to_be_visible()
    assert page.evaluate(READ_CLIPBOARD) == "24h"


def _paste_range(page: Page, press: Callable[[], None]) -> None:
    page.evaluate("(text) => navigator.clipboard.writeText(text)", RANGE)
    press()
    page.wait_for_url("**from=2026-01-02T03:04:05.000Z*to=2026-01-02T04:04:05.000Z*")


def _opens(page: Page, press: Callable[[], None]) -> None:
    press()
    expect(page.get_by_role("complementary", name="Event")).to_be_visible()


def _opens_page(page: Page, press: Callable[[], None]) -> None:
    wanted = dict(each.split("=") for each in page.url.partition("?")[2].split("&"))["sel"]
    press()
    page.wait_for_url(f"**/events/{wanted}*")


def _pause(page: Page, press: Callable[[], None]) -> None:
    press()
    expect(page.get_by_role("button", name="Follow", exact=True)).to_be_visible()
    press()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()


def _asks(verb: str) -> Callable[[Page, Callable[[], None]], None]:
    def check(page: Page, press: Callable[[], None]) -> None:
        expect(page.get_by_role("button", name=re.compile(f"^{verb}")).first).to_be_enabled()
        press()
        expect(
            page.get_by_role("dialog").get_by_role("button", name=verb, exact=True)
        ).to_be_visible()

    return check


def _neighbour(sequence: int, wanted: int) -> Callable[[Page, Callable[[], None]], None]:
    def check(page: Page, press: Callable[[], None]) -> None:
        pair = _neighbours(page)
        page.goto(f"/events/{pair[sequence]}")
        stream = page.get_by_role("navigation", name=re.compile("^Stream of"))
        expect(stream.get_by_role("link").first).to_be_visible()
        expect(stream).to_contain_text(f"#{pair[wanted]:,}")
        press()
        page.wait_for_url(lambda url: url.partition("?")[0].endswith(f"/events/{pair[wanted]}"))
        expect(stream).to_contain_text(f"#{pair[sequence]:,}")

    return check


def _neighbours(page: Page) -> dict[int, int]:
    """Positions of two events about the same, by their place in its stream."""

    def told(text: str) -> list[dict[str, Any]]:
        answer = page.request.get("/api/v1/search/events", params={"filter": text})
        events: list[dict[str, Any]] = answer.json()["events"]
        return events

    second = told("sequence:2")[-1]
    about = second["aggregate"]
    first = next(
        each
        for each in told(f'about:{about["type"]} key:"{about["id"]}" sequence:1')
        if each["aggregate"] == about and each["client_id"] == second["client_id"]
    )
    return {1: first["position"], 2: second["position"]}


EVENTS = f"/events?q=source:azure&t=24h&tenant={shop.CLIENT}"


class Key(msgspec.Struct, frozen=True):
    """Where a key is pressed, None: where one is, and what is looked at.

    `check` is given what presses it.
    """

    check: Callable[[Page, Callable[[], None]], None]
    path: str | None = EVENTS


OPEN_EVENT = EVENTS + "&sel="
APPROVAL = "/approvals?sel="
KEYS: Mapping[str, Key] = {
    "Find a page or an action": Key(_palette),
    "Show these shortcuts": Key(_help),
    "Filter": Key(_field),
    "Close what is open": Key(_close, OPEN_EVENT),
    "Copy the link to what is shown": Key(_copy_link),
    "Switch dark and light": Key(_theme),
    "Copy the time range": Key(_copy_range),
    "Paste a time range": Key(_paste_range),
    "Overview": Key(_leads_to("/")),
    "Ingest": Key(_leads_to("/ingest"), None),
    "Events": Key(_leads_to("/events"), None),
    "Views": Key(_leads_to("/views"), None),
    "Streams": Key(_leads_to("/streams"), None),
    "Stacks and their drift": Key(_leads_to("/stacks"), None),
    "Approvals": Key(_leads_to("/approvals"), None),
    "Healing": Key(_leads_to("/healing"), None),
    "Dead letters": Key(_leads_to("/dead-letters"), None),
    "Builds": Key(_leads_to("/builds"), None),
    "Audit": Key(_leads_to("/audit"), None),
    "Settings": Key(_leads_to("/settings/configuration"), None),
    "Next row": Key(_selects(1), OPEN_EVENT),
    "Previous row": Key(_selects(0), OPEN_EVENT),
    "Open the row in the panel": Key(_opens),
    "Open the row as a page": Key(_opens_page, OPEN_EVENT),
    "Pause or follow live rows": Key(_pause, "/events"),
    "The event before in its stream": Key(_neighbour(2, 1)),
    "The event after in its stream": Key(_neighbour(1, 2)),
    "Approve (asks first)": Key(_asks("Approve"), APPROVAL),
    "Reject (asks first)": Key(_asks("Reject"), APPROVAL),
}


def _open_help(page: Page) -> dict[str, list[str]]:
    """What the help lists: words, and the keys that it names for them."""
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    found: dict[str, list[str]] = dialog.evaluate(
        "(dialog) => Object.fromEntries([...dialog.querySelectorAll('dl > div')].map((row) =>"
        " [row.querySelector('dt').innerText,"
        " [...row.querySelectorAll('kbd')].map((key) => key.innerText)]))"
    )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    return found


def _press(page: Page, keys: Sequence[str]) -> None:
    if keys[0] == "Ctrl":
        page.keyboard.press("Control+" + keys[1].lower())
        return
    for key in keys:
        page.keyboard.press({"Esc": "Escape"}.get(key, key.lower() if len(key) == 1 else key))


def test_each_key_that_the_help_names_does_what_it_says(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, EVENTS, user="ada", trace=False)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    named = _open_help(page)
    assert set(named) == set(KEYS), "each key of the help has a test here, and no other"
    newest, older = (_position(page, at) for at in (0, 1))
    (first, *_) = helios.http.get("/api/v1/approvals").json()["approvals"]
    open_rows = {
        "Next row": newest,
        "Previous row": older,
        "Close what is open": newest,
        "Open the row as a page": newest,
    }
    for words, keys in named.items():
        path = KEYS[words].path
        if path == APPROVAL:
            path = APPROVAL + f"{first['client_id']}/{first['approval_id']}"
        if path is not None:
            page.goto(path + (open_rows.get(words) or ""))
            browsing.settled(page)
        if words == "Open the row in the panel":
            page.keyboard.press("Escape")
        KEYS[words].check(page, lambda keys=keys: _press(page, keys))  # type: ignore[misc]


def test_the_palette_finds_pages_and_acts_and_gives_the_focus_back(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve()
    page = open_page(served, "/?t=1h")
    palette = page.get_by_role("dialog", name="Commands")
    find = palette.get_by_role("combobox")
    before = page.get_by_role("button", name=re.compile("^Time range"))
    before.focus()
    for key in ("Control+k", "Meta+k"):
        page.keyboard.press(key)
        expect(find).to_be_focused()
        page.keyboard.press("Escape")
        expect(palette).to_be_hidden()
        expect(before).to_be_focused()

    page.keyboard.press("Control+k")
    find.fill("heal")
    expect(palette.get_by_role("option").first).to_contain_text("Healing")
    page.keyboard.press("Enter")
    page.wait_for_url("**/healing*")
    expect(palette).to_be_hidden()

    page.goto("/")
    browsing.settled(page)
    page.keyboard.press("Control+k")
    find.fill("test event")
    page.keyboard.press("Enter")
    page.wait_for_url("**/events?sel=*")
    expect(page.get_by_role("heading", name="TestEventSent")).to_be_visible()
    (event,) = served.http.get("/api/v1/events").json()["events"]
    assert event["eventType"] == "TestEventSent"


@pytest.mark.parametrize("path", ["/", "/approvals", "/dead-letters", "/settings/configuration"])
def test_tab_reaches_everything_in_the_order_in_which_it_is_read(
    open_page: browsing.OpenPage, helios: browsing_data.Served, path: str
) -> None:
    page = open_page(helios, path, user="ada", trace=False)
    page.evaluate("() => document.activeElement?.blur()")
    count = page.evaluate(MARK)
    reached: list[int] = []
    for _ in range(count + 1):
        page.keyboard.press("Tab")
        at = page.evaluate("() => document.activeElement?.dataset.at")
        if at is None:
            break
        reached.append(int(at))
    left = page.evaluate(
        f"(reached) => ({FOCUSABLE})().filter((each) => each.dataset.at !== undefined"
        " && !reached.includes(Number(each.dataset.at)) && each.type !== 'radio')"
        ".map((each) => each.outerHTML.slice(0, 120))",
        reached,
    )
    assert left == []
    assert reached == sorted(reached)
