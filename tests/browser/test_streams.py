"""Streams: from how well a contract matches to one key of it, and to its document."""

import itertools
import re
import time

import pytest
from playwright.sync_api import Page, expect

from helios.demo import shop
from helios.testing import browsing, browsing_data

CONTRACT = "order-fulfilment"
LOOKS = (browsing.Look(), browsing.Look(theme="dark", size="narrow"))
every_look = pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look.theme}-{look.size}")


def _key(helios: browsing_data.Served, status: str) -> str:
    found = helios.http.get("/api/v1/verdicts", params={"filter": f"status:{status}", "limit": 1})
    key: str = found.json()["verdicts"][0]["key"]
    return key


def test_a_number_of_the_matrix_leads_to_a_key_and_to_what_is_missing_of_it(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/streams")
    page.get_by_role("link", name=re.compile(r"^\d+ payment missing$")).click()
    expect(page).to_have_url(re.compile(r"missing:payment|missing%3Apayment"))
    table = page.get_by_role("region", name="Verdicts")
    expect(table.get_by_text("payment missing").first).to_be_visible()
    expect(table.get_by_text("matched", exact=True)).to_have_count(0)
    row = table.get_by_role("link", name=re.compile(r"^ORD-")).first
    key = row.inner_text()
    row.click()
    panel = page.get_by_role("complementary", name=f"Key of {CONTRACT}")
    expect(panel.get_by_text("was not seen by").first).to_be_visible()
    panel.get_by_role("link", name="Open as a page").click()
    expect(page.get_by_role("heading", level=1, name=key)).to_be_visible()
    lanes = page.get_by_role("region", name=f"Events of {key}")
    expect(lanes.get_by_role("listitem").filter(has_text="awaited until")).to_have_count(1)
    page.go_back()
    expect(panel).to_be_visible()


def test_a_window_of_the_match_rate_leads_to_its_verdicts(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/streams")
    page.get_by_role("button", name="5 min", exact=True).click()
    expect(page).to_have_url(re.compile("win=5m"))
    windows = page.get_by_role("slider", name="Windows")
    windows.focus()
    # How many windows ago the verdicts were made depends on the tests before this one.
    decided = re.compile(r"% of [1-9]\d* match")
    deadline = time.monotonic() + 30
    keys = itertools.cycle(("End", *["ArrowLeft"] * 59))
    while not decided.search(windows.get_attribute("aria-valuetext") or ""):
        assert time.monotonic() < deadline, windows.get_attribute("aria-valuetext")
        page.keyboard.press(next(keys))
        page.wait_for_timeout(50)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"from=.*to=|to=.*from="))
    expect(page.get_by_label("Edit status:mismatched,partial")).to_be_visible()


@every_look
@pytest.mark.parametrize("status", ["partial", "mismatched", "matched"])
def test_the_page_of_a_key_can_be_used_by_everybody(
    open_page: browsing.OpenPage,
    helios: browsing_data.Served,
    axe: browsing.Axe,
    look: browsing.Look,
    status: str,
) -> None:
    key = _key(helios, status)
    path = f"/streams/{CONTRACT}/{key}"
    page = open_page(helios, path, theme=look.theme, size=look.size)
    expect(page.get_by_role("heading", level=1, name=key)).to_be_visible()
    assert axe(page) == []
    _fits(page)


@every_look
@pytest.mark.parametrize("tab", ["", "?tab=versions", "?tab=windows", "?tab=alerts"])
def test_the_page_of_a_contract_can_be_used_by_everybody(
    open_page: browsing.OpenPage,
    helios: browsing_data.Served,
    axe: browsing.Axe,
    look: browsing.Look,
    tab: str,
) -> None:
    page = open_page(helios, f"/streams/{CONTRACT}{tab}", theme=look.theme, size=look.size)
    expect(page.get_by_role("heading", level=1, name=CONTRACT)).to_be_visible()
    assert axe(page) == []
    _fits(page)


def _fits(page: Page) -> None:
    wider = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wider <= 0, f"{wider} px beyond the edge"


def test_a_key_is_judged_again_and_shown_as_it_stands_then(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve(filled=True)
    key = _key(served, "mismatched")
    page = open_page(served, f"/streams/{CONTRACT}/{key}")
    page.get_by_role("button", name="Judge again").click()
    dialog = page.get_by_role("dialog")
    expect(
        dialog.get_by_text(f"helios verdicts replay {CONTRACT} {key} --client-id {shop.CLIENT}")
    ).to_be_visible()
    dialog.get_by_role("button", name="Judge again").click()
    expect(page.get_by_role("status").get_by_text("is mismatched as before")).to_be_visible()
    expect(dialog).to_be_hidden()


def test_a_document_is_checked_compared_and_declared_as_the_next_version(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, complaints: browsing.Watch
) -> None:
    complaints.allow(r"answered 400: PUT .*/api/v1/contracts")
    page = open_page(serve(filled=True), f"/streams/{CONTRACT}")
    page.get_by_role("button", name="Edit").click()
    editor = page.get_by_role("textbox", name=f"Document of {CONTRACT}")
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("# another\nnonsense: 1\n")
    page.get_by_role("button", name="Apply…").click()
    problems = page.get_by_role("list", name=f"Problems in Document of {CONTRACT}")
    expect(problems.get_by_text("nonsense")).to_be_visible()
    page.keyboard.press("Escape")
    editor.click()
    page.keyboard.press("Control+End")
    for _ in range(2):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Backspace")
    page.keyboard.insert_text("\n# and another\n")
    page.get_by_role("button", name="Apply…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("# and another")).to_be_visible()
    dialog.get_by_role("button", name="Declare").click()
    expect(page.get_by_text(re.compile("version 2"))).to_be_visible()
    page.get_by_role("tab", name="Versions").click()
    expect(page.get_by_text("From version 1 to 2")).to_be_visible()


def test_who_may_only_look_is_told_which_role_is_missing(
    open_page: browsing.OpenPage, guarded_helios: browsing_data.Served
) -> None:
    key = _key(guarded_helios, "partial")
    page = open_page(guarded_helios, f"/streams/{CONTRACT}/{key}", user="vera")
    again = page.get_by_role("button", name="Judge again")
    expect(again).to_have_attribute("aria-disabled", "true")
    again.focus()
    expect(page.get_by_role("tooltip").first).to_contain_text("operator")


def test_verdicts_that_come_wait_while_a_row_is_open(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve(filled=True)
    page = open_page(served, "/streams")
    page.get_by_role("region", name="Verdicts").get_by_role("link").first.click()
    expect(page.get_by_text("Paused").first).to_be_visible()
    browsing_data.send(served.http, browsing_data.order_events(400, seed=2))
    expect(page.get_by_text(re.compile(r"Paused, [\d,]+ new"))).to_be_visible(timeout=20_000)
