"""What pages may cost: bytes on the way, and elements in the document.

How long a page stands still is a time, which `benchmarks/page.py` measures.
"""

from html import parser
from urllib import parse as urls

import httpx
import pytest
from playwright import sync_api

from helios.testing import browsing, browsing_data

FIRST_LOAD_BYTES_MAX = 200 << 10
ROWS_MAX = 60

UPDATES_PER_S_MAX = 12
"""The page gathers what comes and shows it ten times a second at most."""

LIVE_S = 5.0

ROWS = "main tbody tr:not(:empty):not([aria-hidden='true'])"

# How often rows were changed, from now on.
COUNT_UPDATES = """() => {
  window.updates = 0;
  new MutationObserver(() => { window.updates += 1; })
    .observe(document.querySelector('main tbody'), { childList: true, subtree: true });
}"""


class _Assets(parser.HTMLParser):
    """What a browser fetches because the document names it."""

    def __init__(self) -> None:
        super().__init__()
        self.named: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        wanted = {"script": ("src",), "link": ("href",)}.get(tag, ())
        self.named += [value for each in wanted if (value := given.get(each))]


def _downloaded(http: httpx.Client, url: str) -> int:
    """Bytes of the body on the wire."""
    with http.stream("GET", url, headers={"accept-encoding": "gzip"}) as answer:
        answer.raise_for_status()
        return sum(len(chunk) for chunk in answer.iter_raw())


def _fetched(page: sync_api.Page) -> list[str]:
    """Files of ours that the page has fetched, itself included."""
    found = page.evaluate(
        "() => performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    home = urls.urlsplit(page.url)
    files = [url for url in found if urls.urlsplit(url).netloc == home.netloc]
    return [page.url, *(url for url in files if not urls.urlsplit(url).path.startswith("/api/"))]


def test_the_first_load_stays_below_200_kib(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/")
    sizes = {url: _downloaded(empty_helios.http, url) for url in sorted(set(_fetched(page)))}
    assert any(url.endswith(".js") for url in sizes)
    assert sum(sizes.values()) <= FIRST_LOAD_BYTES_MAX, sizes


def test_the_document_itself_names_nothing_that_is_not_there(
    empty_helios: browsing_data.Served,
) -> None:
    assets = _Assets()
    assets.feed(empty_helios.http.get("/").text)
    assert assets.named
    for each in assets.named:
        assert empty_helios.http.get(each).status_code == httpx.codes.OK, each


def test_files_of_the_page_are_kept_by_the_browser_and_the_page_itself_is_not(
    empty_helios: browsing_data.Served,
) -> None:
    home = empty_helios.http.get("/")
    assert "no-cache" in home.headers["cache-control"]
    assets = _Assets()
    assets.feed(home.text)
    hashed = [each for each in assets.named if each.startswith("/assets/")]
    assert hashed
    for each in hashed:
        assert "immutable" in empty_helios.http.get(each).headers["cache-control"], each


def _scroll_to_end(page: sync_api.Page, steps: int) -> None:
    # Frame by frame, as a finger would.
    page.get_by_role("region", name="Events").evaluate(
        """async (list, steps) => {
          for (let step = 1; step <= steps; step++) {
            list.scrollTop = (list.scrollHeight * step) / steps;
            await new Promise(requestAnimationFrame);
          }
        }""",
        steps,
    )


def test_rows_are_shown_together_while_events_stream_in(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve()
    browsing_data.send(served.http, browsing_data.plain_events(10_000))
    page = open_page(served, "/events", motion=True, trace=False)
    first = page.locator(ROWS).first
    before = first.inner_text()
    page.evaluate(COUNT_UPDATES)
    with browsing_data.streaming(served.url):
        page.wait_for_timeout(LIVE_S * 1_000)
        updates = page.evaluate("() => window.updates")
        rows = page.locator(ROWS).count()
    assert first.inner_text() != before
    assert 0 < updates <= UPDATES_PER_S_MAX * LIVE_S
    assert 0 < rows <= ROWS_MAX


@pytest.mark.slow
def test_few_rows_of_a_long_list_are_in_the_document(
    open_page: browsing.OpenPage, serve: browsing_data.Serve
) -> None:
    served = serve()
    browsing_data.send(served.http, browsing_data.plain_events(100_000))
    page = open_page(served, "/events", trace=False)
    counts = [page.locator(ROWS).count()]
    for _ in range(10):
        _scroll_to_end(page, 30)
        counts.append(page.locator(ROWS).count())
    assert min(counts) > 0
    assert max(counts) <= ROWS_MAX, counts
