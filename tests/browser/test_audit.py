"""The audit: who did what, for people who have to answer for it."""

import csv
import json

import pytest
from playwright.sync_api import expect

from helios.demo import shop
from helios.testing import browsing, browsing_data

EVIL = "=HYPERLINK(1)"
STACK = f"/api/v1/clients/{shop.CLIENT}/stacks/{browsing_data.STACK}"


@pytest.fixture(scope="module")
def audited(helios: browsing_data.Served) -> browsing_data.Served:
    """A server where somebody has paused a stack, for a reason that a spreadsheet would run."""
    asked = {"reason": EVIL}
    helios.http.post(f"{STACK}/pause", json=asked).raise_for_status()
    return helios


@pytest.mark.parametrize("path", ["/audit", "/audit?tab=access", "/audit/report"])
@pytest.mark.parametrize("theme", browsing.THEMES)
def test_the_audit_can_be_used_by_everybody(
    open_page: browsing.OpenPage,
    audited: browsing_data.Served,
    axe: browsing.Axe,
    path: str,
    theme: browsing.Theme,
) -> None:
    size = "narrow" if theme == "dark" else "wide"
    page = open_page(audited, path, theme=theme, size=size)
    assert axe(page) == []


def test_an_entry_leads_to_its_thread_and_its_page(
    open_page: browsing.OpenPage, audited: browsing_data.Served, axe: browsing.Axe
) -> None:
    page = open_page(audited, "/audit?q=action:StackSuspended")
    page.get_by_role("link", name="Stack suspended").click()
    panel = page.get_by_role("complementary", name="Entry of the audit")
    expect(panel.get_by_text(EVIL).first).to_be_visible()
    expect(panel.get_by_role("heading", name="The thread")).to_be_visible()
    assert axe(page) == []
    panel.get_by_role("link", name="Open as a page").click()
    expect(page.get_by_role("heading", name="Stack suspended", level=1)).to_be_visible()
    page.go_back()
    expect(panel).to_be_visible()
    assert "q=action:StackSuspended" in page.url


def test_what_the_filter_finds_is_saved_and_no_cell_is_a_formula(
    open_page: browsing.OpenPage, audited: browsing_data.Served
) -> None:
    page = open_page(audited, "/audit?q=action:StackSuspended")
    expect(page.get_by_role("link", name="Stack suspended")).to_be_visible()
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="CSV").click()
    with saved.value.path().open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["action"], row["reason"]) == ("StackSuspended", f"'{EVIL}")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="NDJSON").click()
    (line,) = saved.value.path().read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["reason"] == EVIL


def test_the_report_is_printed_without_what_stands_around_it(
    open_page: browsing.OpenPage, audited: browsing_data.Served
) -> None:
    page = open_page(audited, "/audit/report")
    expect(page.get_by_role("region", name="Verdict")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    expect(page.get_by_role("complementary", name="Sidebar")).to_be_hidden()
    last = page.get_by_role("heading", name="What it is made of")
    box = last.bounding_box()
    whole = page.evaluate("() => document.documentElement.scrollHeight")
    # All of it is on the paper: nothing scrolls in a box of its own.
    assert box is not None
    assert box["y"] < whole


def test_a_change_of_a_setting_is_in_the_audit(
    open_page: browsing.OpenPage, audited: browsing_data.Served
) -> None:
    asked = {"value": "45m", "reason": "to see it"}
    audited.http.put("/api/v1/configuration/content.ttl", json=asked).raise_for_status()
    page = open_page(audited, "/audit?tab=access")
    expect(page.get_by_text("content.ttl = 45m: to see it")).to_be_visible()
