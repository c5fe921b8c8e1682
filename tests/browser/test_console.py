"""What holds on every screen: the address is the state, keys do it all, nothing is lost."""

from playwright import sync_api
from playwright.sync_api import expect

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
