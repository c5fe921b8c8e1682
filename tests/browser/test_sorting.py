"""Lists that are loaded as a whole are sorted by the heads of their columns."""

import re
from collections.abc import Sequence
from urllib import parse as urls

import pytest
from playwright.sync_api import Locator, Page, expect

from helios.testing import browsing, browsing_data

ROWS = "tbody tr:not([aria-hidden='true'])"
DAYS = {"job-10": 10, "job-9": None, "job-2": 30}
"""Service tokens in the order they are issued in, and how long they last; None: without end."""


def _head(page: Page, table: str, name: str) -> Locator:
    region = page.get_by_role("region", name=table, exact=True)
    return region.get_by_role("columnheader", name=name, exact=True)


def _first_cells(page: Page, table: str) -> Locator:
    region = page.get_by_role("region", name=table, exact=True)
    return region.locator(ROWS).locator("td:first-child")


def _is_sorted(page: Page, by: str | None) -> None:
    page.wait_for_function(
        "(by) => new URLSearchParams(location.search).get('sort') === by", arg=by
    )


def _shows(page: Page, table: str, names: Sequence[str]) -> None:
    expect(_first_cells(page, table)).to_have_text([re.compile(f"^{name}") for name in names])


def _views(served: browsing_data.Served) -> list[str]:
    return [each["view"] for each in served.http.get("/api/v1/views").json()["views"]]


@pytest.mark.parametrize(("theme", "size"), [("light", "wide"), ("dark", "narrow")])
def test_a_list_is_sorted_by_its_heads_and_stays_so_after_a_reload_and_back(
    open_page: browsing.OpenPage,
    helios: browsing_data.Served,
    axe: browsing.Axe,
    theme: browsing.Theme,
    size: browsing.Size,
) -> None:
    page = open_page(helios, "/views", theme=theme, size=size)
    came = _views(helios)
    head = _head(page, "Views", "View")
    expect(head).to_have_attribute("aria-sort", "none")
    button = head.get_by_role("button")
    button.click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    _is_sorted(page, "view")
    _shows(page, "Views", sorted(came))
    expect(_head(page, "Views", "State")).to_have_attribute("aria-sort", "none")
    button.click()
    expect(head).to_have_attribute("aria-sort", "descending")
    _is_sorted(page, "-view")
    down = sorted(came, reverse=True)
    _shows(page, "Views", down)
    assert axe(page) == []

    page.reload()
    _shows(page, "Views", down)
    expect(head).to_have_attribute("aria-sort", "descending")
    _first_cells(page, "Views").first.get_by_role("link").click()
    page.get_by_role("link", name="Open as a page").click()
    page.wait_for_url(re.compile(f"/views/{down[0]}"))
    assert "sort=" not in page.url
    page.go_back()
    _is_sorted(page, "-view")
    _shows(page, "Views", down)

    button.press("Enter")  # The open row covers it in a narrow window.
    _is_sorted(page, None)
    _shows(page, "Views", came)


def test_a_list_is_sorted_with_the_keyboard_and_walked_in_that_order(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/views")
    button = _head(page, "Views", "View").get_by_role("button")
    page.get_by_role("region", name="Views", exact=True).focus()
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    _is_sorted(page, "view")
    page.keyboard.press("Space")
    _is_sorted(page, "-view")
    expect(button).to_be_focused()
    down = sorted(_views(helios), reverse=True)
    _shows(page, "Views", down)
    page.keyboard.press("j")
    page.wait_for_url(re.compile(f"sel={down[0]}"))
    page.keyboard.press("j")
    page.wait_for_url(re.compile(f"sel={down[1]}"))


def test_a_short_table_is_sorted_and_what_has_no_value_comes_last(
    open_page: browsing.OpenPage, guarded_helios: browsing_data.Served, axe: browsing.Axe
) -> None:
    for name, days in DAYS.items():
        grants = [{"role": "viewer", "tenant": "*", "environment": "*"}]
        ends = {} if days is None else {"expires_in_s": days * 86_400}
        told = {"name": name, "grants": grants, **ends}
        assert guarded_helios.http.post("/api/v1/tokens", json=told).is_success
    page = open_page(guarded_helios, "/settings/tokens?sort=name", user="ada")
    _shows(page, "Service tokens", ["job-2", "job-9", "job-10"])
    head = _head(page, "Service tokens", "Ends")
    for state, order in (
        ("ascending", ["job-10", "job-2", "job-9"]),
        ("descending", ["job-2", "job-10", "job-9"]),
    ):
        head.get_by_role("button").press("Enter")
        expect(head).to_have_attribute("aria-sort", state)
        _shows(page, "Service tokens", order)
    assert axe(page) == []
    page.reload()
    _shows(page, "Service tokens", ["job-2", "job-10", "job-9"])
    may = _head(page, "Service tokens", "May")
    expect(may).not_to_have_attribute("aria-sort", re.compile(""))
    expect(may.get_by_role("button")).to_have_count(0)
    page.get_by_role("link", name="Sessions", exact=True).click()
    _is_sorted(page, None)


def test_a_sort_of_no_column_changes_nothing(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/views?sort=-nonsense")
    _shows(page, "Views", _views(helios))
    heads = page.locator("th[aria-sort]")
    assert set(heads.evaluate_all("all => all.map(one => one.ariaSort)")) == {"none"}


@pytest.mark.parametrize(("path", "table"), [("/events", "Events"), ("/streams", "Verdicts")])
def test_a_list_that_comes_page_by_page_has_no_heads_that_sort(
    open_page: browsing.OpenPage, helios: browsing_data.Served, path: str, table: str
) -> None:
    page = open_page(helios, f"{path}?sort=-type")
    region = page.get_by_role("region", name=table, exact=True)
    expect(region.locator(ROWS).first).to_be_visible()
    expect(region.locator("th[aria-sort], th button")).to_have_count(0)


def test_a_saved_view_keeps_the_sort_with_its_filter(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve()
    page = open_page(served, "/views?q=view:a*&sort=-view")
    wanted = sorted((name for name in _views(served) if name.startswith("a")), reverse=True)
    _shows(page, "Views", wanted)
    saved = page.get_by_role("button", name="Saved", exact=True)
    saved.click()
    page.get_by_role("menuitem", name="Save this filter").click()
    page.get_by_label("Name").fill("Ours")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("View “Ours” saved")).to_be_visible()

    page.goto("/views")
    _shows(page, "Views", _views(served))
    saved.click()
    page.get_by_role("menuitemcheckbox", name="Ours").click()
    _is_sorted(page, "-view")
    _shows(page, "Views", wanted)
    assert urls.parse_qs(urls.urlsplit(page.url).query)["q"] == ["view:a*"]

    page.goto("/")
    browsing.settled(page)
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Commands")
    palette.get_by_role("combobox").fill("Ours")
    palette.get_by_role("option", name=re.compile("Ours")).click()
    _is_sorted(page, "-view")
    _shows(page, "Views", wanted)
