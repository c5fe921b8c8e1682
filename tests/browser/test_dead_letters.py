"""Dead letters: by what they died of, mended one by one, tried again together."""

import json
import re

import httpx
import pytest
from playwright.sync_api import expect

from helios.testing import browsing, browsing_data

INGEST = "/api/v1/events/ingest"
LETTERS = "/api/v1/dead-letters"
CLIENT = "acme"
LOOKS = (browsing.Look(), browsing.Look(theme="dark", size="narrow"))


def _event(number: int, amount: int) -> dict[str, object]:
    return {
        "source": "erp",
        "eventType": "InvoiceWritten",
        "event_id": f"invoice-{number}",
        "client_id": CLIENT,
        "aggregate": {"type": "invoice", "id": f"I-{number}"},
        "payload": {"amount": amount},
    }


def _die(http: httpx.Client, count: int) -> None:
    """So many events whose id came before with another content."""
    for number in range(count):
        assert http.post(INGEST, json=_event(number, 1)).is_success
        http.post(INGEST, json=_event(number, 2))
    found = http.post(f"{LETTERS}/retry", json={"dry_run": True})
    assert json.loads(found.text)["total"] == count


@pytest.fixture
def served(serve: browsing_data.Serve) -> browsing_data.Served:
    """A server with three dead letters of one cause."""
    found = serve()
    _die(found.http, 3)
    return found


def test_a_letter_is_edited_and_tried_again_and_its_event_can_be_opened(
    open_page: browsing.OpenPage, served: browsing_data.Served
) -> None:
    page = open_page(served, "/dead-letters")
    expect(page.get_by_text("3 open letters of 1 cause.")).to_be_visible()
    groups = page.get_by_role("region", name="Groups of dead letters")
    groups.get_by_role("link", name=re.compile("came before with another content")).click()
    panel = page.get_by_role("complementary")
    panel.get_by_role("button", name="Retry", exact=True).click()
    expect(panel.get_by_role("alert")).to_contain_text("Dead still: conflict")
    expect(panel.get_by_text("failed again 1 times")).to_be_visible()
    panel.get_by_role("button", name="Retry", exact=True).click()
    expect(panel.get_by_text("failed again 2 times")).to_be_visible()

    editor = panel.get_by_role("textbox", name="Body of the letter")
    editor.click()
    page.keyboard.press("Control+A")
    # Text over a selection would be given the look of what it replaces, by the browser.
    page.keyboard.press("Backspace")
    page.keyboard.insert_text(json.dumps(_event(99, 2)))
    panel.get_by_role("button", name="Save and retry").click()
    expect(panel.get_by_text("It is stored:")).to_be_visible()
    panel.get_by_role("link", name=re.compile(r"^event #\d+$")).first.click()
    expect(page.get_by_role("heading", level=1, name="InvoiceWritten")).to_be_visible()


def test_a_group_is_retried_as_a_job_that_stops_after_failures(
    open_page: browsing.OpenPage, served: browsing_data.Served
) -> None:
    page = open_page(served, f"/dead-letters/group?source=erp&tenant={CLIENT}")
    page.get_by_role("button", name="Retry all…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("3 open letters")).to_be_visible()
    dialog.get_by_label("Stop after failures").fill("2")
    expect(
        dialog.get_by_text(
            f"helios dead-letters retry --all --client-id {CLIENT} --source erp --per-s 20 "
            "--stop-after 2"
        )
    ).to_be_visible()
    dialog.get_by_role("button", name="Retry 3").click()
    expect(page).to_have_url(re.compile("job="))
    expect(page.get_by_text("2 have failed")).to_be_visible()
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "2")
    failed = page.get_by_role("listitem").filter(has_text="conflict").get_by_role("link").first
    failed.click()
    expect(page).to_have_url(re.compile(r"/dead-letters/[0-9a-f]{32}"))


def test_a_job_is_paused_goes_on_and_is_cancelled(
    open_page: browsing.OpenPage, served: browsing_data.Served
) -> None:
    wanted = {"background": True, "per_s": 0.1, "client_id": CLIENT}
    job = served.http.post(f"{LETTERS}/retry", json=wanted).json()
    page = open_page(served, f"/dead-letters/group?tenant={CLIENT}&job={job['id']}")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("somebody cancelled it")).to_be_visible()


def test_letters_are_discarded_with_a_reason_only(
    open_page: browsing.OpenPage, served: browsing_data.Served
) -> None:
    page = open_page(served, f"/dead-letters/group?source=erp&tenant={CLIENT}")
    page.get_by_role("button", name="Discard…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Discard")).to_be_disabled()
    dialog.get_by_label("Reason").fill("a test of theirs")
    dialog.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("a test of theirs")).to_be_visible()
    page.get_by_role("button", name="discarded", exact=True).click()
    expect(page.get_by_role("region", name="Letters").get_by_role("row")).to_have_count(2)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look.theme}-{look.size}")
def test_groups_and_letters_can_be_used_by_everybody(
    open_page: browsing.OpenPage,
    served: browsing_data.Served,
    axe: browsing.Axe,
    look: browsing.Look,
) -> None:
    found = served.http.get(LETTERS).json()["letters"][0]["id"]
    for path in (
        "/dead-letters",
        f"/dead-letters/group?source=erp&tenant={CLIENT}",
        f"/dead-letters/{found}?tenant={CLIENT}",
    ):
        page = open_page(served, path, theme=look.theme, size=look.size)
        assert axe(page) == []
        wider = page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wider <= 0, f"{path}: {wider} px beyond the edge"
