"""Where events come from: declared, watched and mended in the console."""

import re
from typing import Any

import httpx
from playwright.sync_api import expect

from helios.testing import browsing, browsing_data

SOURCE = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: orders}
spec:
  provider: static-token
  secrets: ["env:ORDERS_TOKEN"]
  schemas: {OrderPlaced: {type: object, required: [orderId]}}
  options: {extract: {event_type: "json:type", event_id: "json:id"}}
"""
TOKEN = "not-much-of-a-secret-but-long-enough"


def _declared(serve: browsing_data.Serve) -> browsing_data.Served:
    served = serve(env={"ORDERS_TOKEN": TOKEN})
    answer = served.http.put(
        "/api/v1/sources", content=SOURCE, headers={"content-type": "application/yaml"}
    )
    assert answer.is_success, answer.text
    return served


def _deliver(
    served: browsing_data.Served, body: dict[str, Any], token: str = TOKEN
) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "x-api-key": token}
    return served.http.post("/webhook/orders", json=body, headers=headers)


def test_a_source_is_added_from_a_provider_and_its_url_is_told(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, axe: browsing.Axe
) -> None:
    served = serve()
    page = open_page(served, "/ingest")
    page.get_by_role("main").get_by_role("link", name="Add a source").first.click()
    page.get_by_role("textbox", name="Find a provider").fill("stripe")
    assert axe(page) == []
    page.get_by_role("link", name="Stripe").click()
    page.get_by_label("Name").fill("payments")
    page.get_by_label("Secrets").fill("secret:payments")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("It is valid; nothing was declared yet")).to_be_visible()
    expect(page.get_by_text("helios secrets set payments")).to_be_visible()
    assert served.http.get("/api/v1/sources").json()["sources"] == []
    assert axe(page) == []
    page.get_by_role("button", name="Declare the source").click()
    told = page.get_by_role("region", name="What comes next")
    expect(told).to_contain_text(f"{served.url}/webhook/payments")
    (source,) = served.http.get("/api/v1/sources").json()["sources"]
    assert source["spec"]["secrets"] == ["secret:payments"]
    assert axe(page) == []


def test_a_document_that_is_wrong_is_told_with_its_place(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, complaints: browsing.Watch
) -> None:
    complaints.allow("400")
    page = open_page(serve(), "/ingest/new/source?provider=stripe")
    page.get_by_label("Name").fill("No Name")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("alert")).to_contain_text("metadata.name")


def test_deliveries_are_shown_step_by_step_and_what_was_refused_by_reason(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, axe: browsing.Axe
) -> None:
    served = _declared(serve)
    good = {"type": "OrderPlaced", "id": "1", "orderId": "ORD-1"}
    assert _deliver(served, good).is_success
    assert _deliver(served, {"type": "OrderPlaced", "id": "2"}).is_success
    assert _deliver(served, good, token="wrong").status_code == httpx.codes.UNAUTHORIZED
    page = open_page(served, "/ingest?sel=default/orders")
    panel = page.get_by_role("complementary", name="Source of default")
    expect(panel.get_by_label("Refused, by reason")).to_contain_text(re.compile(r": 1$"))
    assert axe(page) == []
    page = open_page(served, "/ingest/orders?tab=deliveries", theme="dark", size="narrow")
    wider = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) == 0
    rows = page.get_by_role("region", name="Last deliveries").get_by_role("row")
    expect(rows.filter(has_text="schema failed")).to_have_count(1)
    expect(rows.filter(has_text="append passed")).to_have_count(1)
    assert axe(page) == []


def test_a_document_is_edited_tried_and_applied(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, axe: browsing.Axe
) -> None:
    served = _declared(serve)
    page = open_page(served, "/ingest/orders?tab=document")
    page.get_by_role("button", name="Edit").click()
    editor = page.get_by_role("textbox", name="Document of source orders")
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("  environment: production")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("It is valid; nothing was declared yet")).to_be_visible()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("heading", name="Version 2, which holds")).to_be_visible()
    newest = page.get_by_role("listitem").filter(has_text="v2")
    expect(newest).to_contain_text("environment: production")
    assert axe(page) == []
    assert served.http.get("/api/v1/sources/orders").json()["spec"]["environment"] == "production"


def test_a_source_is_removed_only_by_its_name(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = _declared(serve)
    page = open_page(served, "/ingest/orders")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Remove the source…").click()
    dialog = page.get_by_role("dialog")
    remove = dialog.get_by_role("button", name="Remove", exact=True)
    expect(remove).to_be_disabled()
    dialog.get_by_label("Type orders to go on").fill("orders")
    remove.click()
    page.wait_for_url("**/ingest")
    expect(page.get_by_text("No sources yet")).to_be_visible()


def test_subscribers_are_disabled_and_enabled_again(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, axe: browsing.Axe
) -> None:
    served = serve()
    text = """\
apiVersion: helios.io/v1
kind: Subscriber
metadata: {name: search}
spec: {deliver: {type: webhook, url: "https://search.example/hook", secret: "secret:search"}}
"""
    answer = served.http.put(
        "/api/v1/subscribers", content=text, headers={"content-type": "application/yaml"}
    )
    assert answer.is_success, answer.text
    page = open_page(served, "/ingest?tab=subscribers&sel=default/search")
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("button", name="Enable…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("checkbox").check()
    expect(dialog).to_contain_text("helios subscribers enable search --skip")
    assert axe(page) == []
    dialog.get_by_role("button", name="Enable", exact=True).click()
    expect(page.get_by_role("button", name="Disable")).to_be_visible()


def test_one_part_of_ingest_is_the_current_one(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/ingest?tab=subscribers")
    parts = page.get_by_role("navigation", name="Parts of ingest")
    expect(parts.locator("[aria-current=page]")).to_have_text(["Subscribers0"])
