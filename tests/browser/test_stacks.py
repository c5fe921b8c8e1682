"""Stacks, approvals and healing: from a difference to its being mended, as a person goes."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright import sync_api
from playwright.sync_api import expect

from helios.testing import browsing, browsing_data

CLIENT, STACK = "acme-corp", "shop"
NAME = f"{CLIENT}/{STACK}"
DECLARATION = f"""\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {{client_id: {CLIENT}, stack_id: {STACK}, environment: prod}}
spec:
  resources:
    settings: {{kind: file, path: settings.json, json: {{guest_checkout: true}}}}
"""
POLICY = f"""\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {{client_id: {CLIENT}, stack_id: {STACK}}}
spec:
  schedule: {{interval: 1s}}
  auto_heal:
    enabled: true
    modes: {{configuration_changed: approve}}
    confirmations: 1
    persistence: 0s
"""
PATHS = (
    "/stacks",
    f"/stacks?sel={NAME}",
    "/stacks/drifts",
    *(f"/stacks/{NAME}?tab={tab}" for tab in ("summary", "drift", "plan", "graph", "history")),
    *(f"/stacks/{NAME}?tab={tab}" for tab in ("policy", "forecast", "runs")),
    "/approvals",
    "/healing",
    "/healing?tab=guards",
)
DEADLINE_S = 120.0
SLOW_MS = 30_000


@pytest.fixture
def shop(serve: browsing_data.Serve, tmp_path: Path) -> browsing_data.Served:
    """A stack whose file is not as declared, and that nobody may mend without asking."""
    root = tmp_path / "files"
    root.mkdir()
    (root / "settings.json").write_text('{"guest_checkout": false}', encoding="utf-8")
    served: browsing_data.Served = serve(env={"HELIOS_BUILDS_ROOT": str(root)})
    sent = {"content-type": "application/yaml"}
    for below, text in (("", DECLARATION), ("/policy", POLICY)):
        path = f"/api/v1/clients/{CLIENT}/stacks/{STACK}{below}"
        answer = served.http.put(path, content=text, headers=sent)
        assert answer.is_success, answer.text
    return served


def _waiting(served: browsing_data.Served) -> Any:
    """The approval that is asked for, once it is."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = served.http.get("/api/v1/approvals", params={"status": "pending"}).json()
        if found["approvals"]:
            return found["approvals"][0]
        time.sleep(0.1)
    raise AssertionError("nobody was asked to agree")


def test_a_drift_is_seen_its_plan_is_read_agreed_to_and_seen_to_heal(
    open_page: browsing.OpenPage, shop: browsing_data.Served, tmp_path: Path
) -> None:
    _waiting(shop)
    page = open_page(shop, "/stacks?q=agreement:drifted")
    page.get_by_role("link", name=STACK, exact=True).click()
    panel = page.get_by_role("complementary", name="Stack")
    expect(panel.get_by_text("false instead of true")).to_be_visible()
    panel.get_by_role("link", name="Open as a page").click()
    page.get_by_role("tab", name="Drift").click()
    expect(page).to_have_url(re.compile("tab=drift"))
    page.get_by_role("button", name="resource/settings").click()
    expect(page.get_by_text("Expected and observed")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Somebody has to agree to its plan").click()
    expect(page.get_by_text("Set guest_checkout to false")).to_be_visible()
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog", name="Approve this plan")
    dialog.get_by_role("textbox", name="Reason").fill("it was switched by mistake")
    dialog.get_by_role("button", name="Approve", exact=True).click()
    expect(page).to_have_url(re.compile("/healing/"), timeout=SLOW_MS)
    expect(page.get_by_text("3 of 3 came")).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_role("list", name=re.compile("Thread"))).to_contain_text("granted by")
    assert "true" in (tmp_path / "files" / "settings.json").read_text(encoding="utf-8")


def test_a_plan_is_rejected_and_nothing_is_done(
    open_page: browsing.OpenPage, shop: browsing_data.Served, tmp_path: Path
) -> None:
    asked = _waiting(shop)
    page = open_page(shop, f"/approvals/{asked['approval_id']}?tenant={CLIENT}")
    page.keyboard.press("r")
    dialog = page.get_by_role("dialog", name="Reject this plan")
    dialog.get_by_role("textbox", name="Reason").fill("we want it so")
    dialog.get_by_role("button", name="Reject", exact=True).click()
    expect(page.get_by_text("denied").first).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_text("we want it so").first).to_be_visible()
    assert "false" in (tmp_path / "files" / "settings.json").read_text(encoding="utf-8")


def test_healing_is_paused_for_a_time_where_all_can_see_it_and_goes_on(
    open_page: browsing.OpenPage, shop: browsing_data.Served
) -> None:
    page = open_page(shop, "/healing")
    page.get_by_role("button", name="Pause healing").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("helios guards freeze")).to_be_visible()
    dialog.get_by_role("textbox", name="Reason").fill("we move the shop")
    dialog.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("Healing is paused")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    dialog = page.get_by_role("dialog", name="Let healing go on")
    dialog.get_by_role("textbox", name="Reason").fill("done")
    dialog.get_by_role("button", name="Let it go on").click()
    expect(page.get_by_text("Healing is paused")).to_be_hidden()


def test_a_bar_of_heals_over_time_leads_to_the_heals_of_that_time(
    open_page: browsing.OpenPage, shop: browsing_data.Served
) -> None:
    asked = _waiting(shop)
    path = f"/api/v1/approvals/{asked['approval_id']}/approve?client_id={CLIENT}"
    answer = shop.http.post(path, json={"digest": asked["digest"], "roles": ["approver"]})
    assert answer.is_success, answer.text
    page = open_page(shop, "/healing")
    heals = page.get_by_role("region", name="Heals").locator("tbody tr:not([aria-hidden='true'])")
    expect(heals).to_have_count(1)
    bars = page.get_by_role("img", name=re.compile("^Heals over time"))
    box = bars.bounding_box()
    assert box
    # The first bar begins with the first heal.
    bars.click(position={"x": box["width"] - 2, "y": box["height"] / 2})
    page.wait_for_url("**from=*to=*")
    expect(page.get_by_text("No heal matches")).to_be_visible()
    page.go_back()
    expect(heals).to_have_count(1)
    bars.click(position={"x": 2, "y": box["height"] / 2})
    page.wait_for_url("**from=*to=*")
    expect(heals).to_have_count(1)


def test_a_policy_is_tried_before_it_is_declared(
    open_page: browsing.OpenPage, shop: browsing_data.Served, complaints: browsing.Watch
) -> None:
    page = open_page(shop, f"/stacks/{NAME}?tab=policy")
    row = page.get_by_role("row", name=re.compile("configuration changed"))
    expect(row).to_contain_text("healed once agreed to")
    complaints.allow("policy")
    editor = page.get_by_role("textbox", name="Policy")
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("\nnonsense: true\n")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("status").filter(has_text="nonsense")).to_be_visible()


def test_the_open_part_of_a_graph_and_what_is_drawn_are_in_the_address(
    open_page: browsing.OpenPage, shop: browsing_data.Served
) -> None:
    _waiting(shop)
    page = open_page(shop, f"/stacks/{NAME}?tab=graph")
    part = page.get_by_role("tabpanel").get_by_role("button", name=re.compile("settings"))
    facts = page.get_by_text("resource/settings", exact=True)
    unwell = page.get_by_role("button", name=re.compile("^(All|Only what is not well)$"))
    part.click()
    expect(facts).to_be_visible()
    unwell.click()
    expect(unwell).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(facts).to_be_visible()
    expect(unwell).to_have_attribute("aria-pressed", "true")

    page.get_by_role("link", name="Healing", exact=True).click()
    expect(page).to_have_title(re.compile("Healing"))
    page.go_back()
    expect(part).to_have_attribute("aria-pressed", "true")
    expect(facts).to_be_visible()
    expect(unwell).to_have_attribute("aria-pressed", "true")
    page.get_by_role("tab", name="Summary").click()
    page.wait_for_url(lambda url: "sel=" not in url and "show=" not in url)


@pytest.mark.parametrize("look", [browsing.Look(), browsing.Look(theme="dark", size="narrow")])
def test_everybody_can_use_the_pages_of_stacks_approvals_and_healing(
    open_page: browsing.OpenPage,
    shop: browsing_data.Served,
    axe: browsing.Axe,
    look: browsing.Look,
) -> None:
    asked = _waiting(shop)
    drift = asked["shown"]["actions"][0]["drift_ids"][0]
    ours = (
        f"/approvals/{asked['approval_id']}?tenant={CLIENT}",
        f"/stacks/{NAME}/plans/{asked['plan_id']}",
        f"/stacks/{NAME}/drift/{drift}",
    )
    page = open_page(shop, "/stacks", theme=look.theme, size=look.size)
    for path in (*PATHS, *ours):
        page.goto(path)
        browsing.settled(page)
        assert axe(page) == [], path
        assert _beyond(page) <= 0, path


def _beyond(page: sync_api.Page) -> int:
    """How many pixels of the page stick out at the right."""
    found: int = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return found
