"""How long the console's page stands still: while events stream in, and while one scrolls.

    python benchmarks/page.py             10,000 rows and 1,000 live events/s for 20 s; then 100,000
                                          rows scrolled from end to end
    python benchmarks/page.py --quick     a tenth of it

A pause is a time in which the page does nothing else (a long task of the browser, 50 ms and more).
Beside it stands one that was made on purpose, which shows that pauses are noticed here.
Needs the built console (`make ui`) and a Chromium (`scripts/chromium.py install`).
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright import sync_api

sys.path.insert(0, str(Path(__file__).resolve().parent))

import measure

from helios.testing import browsing, browsing_data

PAUSE_MS_MAX = 200
MADE_MS = 300

WATCH = """() => {
  window.pauses = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.pauses.push(Math.round(entry.duration));
  }).observe({ type: 'longtask' });
}"""

PAUSE = """(ms) => new Promise((over) => setTimeout(() => {
  const end = performance.now() + ms;
  while (performance.now() < end);
  setTimeout(over, 100);
}))"""

# Frame by frame, as a finger would.
SCROLL = """async (list, steps) => {
  for (let step = 1; step <= steps; step++) {
    list.scrollTop = (list.scrollHeight * step) / steps;
    await new Promise(requestAnimationFrame);
  }
}"""


@contextlib.contextmanager
def events_page(browser: sync_api.Browser, rows: int) -> Iterator[tuple[sync_api.Page, str]]:
    """The list of so many events, watched for pauses, and its server's address."""
    with (
        tempfile.TemporaryDirectory() as folder,
        browsing_data.serving(Path(folder)) as served,
        browsing.context(browser, served.url, browsing.Look(motion=True)) as context,
    ):
        browsing_data.send(served.http, browsing_data.plain_events(rows))
        page = context.new_page()
        page.goto("/events")
        browsing.settled(page, 60)
        page.evaluate(WATCH)
        yield page, served.url


def pauses(page: sync_api.Page) -> list[int]:
    """Milliseconds of each pause since the page is watched."""
    found: list[int] = page.evaluate("() => window.pauses")
    return found


def live(browser: sync_api.Browser, rows: int, seconds: float) -> tuple[list[int], int]:
    """Pauses while events stream in, and one that was made on purpose."""
    with events_page(browser, rows) as (page, url):
        with browsing_data.streaming(url):
            page.wait_for_timeout(seconds * 1_000)
            found = pauses(page)
        page.evaluate(PAUSE, MADE_MS)
        return found, max(pauses(page), default=0)


def scrolled(browser: sync_api.Browser, rows: int) -> list[int]:
    """Pauses while the list is scrolled from end to end."""
    with events_page(browser, rows) as (page, _):
        for _ in range(10):
            page.get_by_role("region", name="Events").evaluate(SCROLL, 30)
        return pauses(page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    reason = browsing.missing()
    if reason:
        sys.exit(reason)
    less = 10 if quick else 1
    with browsing.launched() as browser:
        streaming, made = live(browser, 10_000 // less, 20 / less)
        scrolling = scrolled(browser, 100_000 // less)
    rows = [
        measure.verdict("longest pause while 1,000 events/s stream in, ms",
                        max(streaming, default=0), PAUSE_MS_MAX, at_most=True),
        measure.verdict("longest pause while a long list is scrolled, ms",
                        max(scrolling, default=0), PAUSE_MS_MAX, at_most=True),
        measure.verdict("a pause made on purpose, as it was noticed, ms", made, MADE_MS),
    ]  # fmt: skip
    print(f"{measure.machine()}\n")
    print(f"pauses of 50 ms and more: {len(streaming)} streaming, {len(scrolling)} scrolling\n")
    print(measure.table(("figure", "measured", "must", ""), rows))
    sys.exit(any(row[-1] == "MISSED" for row in rows) and not quick)


if __name__ == "__main__":
    main()
