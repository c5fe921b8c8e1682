"""Pages in a real Chromium: how tests and pictures open them, and what is held against a page.

`scripts/chromium.py` of the checkout says which Chromium; Playwright drives it. Everything that a
page complains of counts against it: messages of the console, violations of the content security
policy, requests that fail. Whoever expects such a thing says so (`Watch.allow`).
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
from playwright import sync_api

from helios.testing import components

ROOT = Path(__file__).resolve().parents[3]
"""Of the checkout: the package alone has neither scripts nor sources of the pages."""

WEB = ROOT / "src" / "helios" / "api" / "web_dist"
"""Where the built pages are."""

Theme: TypeAlias = Literal["light", "dark"]
Size: TypeAlias = Literal["wide", "narrow"]

THEMES: tuple[Theme, ...] = ("light", "dark")
SIZES: dict[Size, sync_api.ViewportSize] = {
    "wide": {"width": 1440, "height": 900},
    "narrow": {"width": 390, "height": 844},
}

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
"""Rules of axe that pages are held to: WCAG 2.2 AA."""

_OPTIONS = ("--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none")
_HTML_CHARS = 200
_PLACES_MAX = 5
_ABORTED = "net::ERR_ABORTED"
_NONE = 3


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody looks at a page.

    Attributes:
        theme: what their system is set to.
        size: of the window: wide 1440x900, narrow 390x844 with touch.
        motion: whether they let things move; without it tests need not wait for the end of it.
    """

    theme: Theme = "light"
    size: Size = "wide"
    motion: bool = False


def missing() -> str | None:
    """Why no page can be opened here, or None when they can."""
    if not (WEB / "index.html").is_file():
        return "the pages are not built: run `make ui` (or `scripts/ui.py build`)"
    try:
        chromium()
    except ChromiumError as error:
        return str(error)
    return None


class ChromiumError(Exception):
    """There is no Chromium; the message says what to do."""


def chromium() -> dict[str, Any]:
    """How to start the Chromium that is here: `executable` and `environment`.

    Raises:
        ChromiumError: there is none.
    """
    asked = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(ROOT / "scripts" / "chromium.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise ChromiumError(asked.stderr.strip())
    found: dict[str, Any] = json.loads(asked.stdout)
    return found


@contextlib.contextmanager
def launched() -> Iterator[sync_api.Browser]:
    """A browser, for as long as the block runs.

    Until then no event loop can run in this thread (`asyncio.run` refuses): Playwright has its own.

    Raises:
        ChromiumError: there is none.
    """
    found = chromium()
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=found["executable"],
            args=[*_OPTIONS],
            env={**os.environ, **found["environment"]},
        )
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """What a page complains of.

    Attributes:
        troubles: in the order in which they came, without those that are allowed.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._seen: list[str] = []
        self._allowed: list[re.Pattern[str]] = []

    def allow(self, pattern: str) -> None:
        """Expect complaints that hold this pattern, before or after they come."""
        self._allowed.append(re.compile(pattern))

    @property
    def troubles(self) -> list[str]:
        return [
            each for each in self._seen if not any(found.search(each) for found in self._allowed)
        ]

    def tell(self, trouble: str) -> None:
        """Add a complaint of one's own."""
        self._seen.append(trouble)

    def follow(self, page: sync_api.Page) -> None:
        """Listen to a page from now on."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._seen.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        page.on("crash", lambda _: self._seen.append("the page crashed"))

    def _console(self, message: sync_api.ConsoleMessage) -> None:
        # What was answered badly is told by `_answered`, with its status and method.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            where = message.location
            self._seen.append(
                f"console {message.type}: {message.text} "
                f"({where.get('url', '')}:{where.get('lineNumber', 0)})"
            )

    def _failed(self, request: sync_api.Request) -> None:
        # A page that is left, or a newer question, ends what is under way.
        if request.failure != _ABORTED:
            self._seen.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: sync_api.Response) -> None:
        if response.status >= 400:
            request = response.request
            self._seen.append(f"answered {response.status}: {request.method} {request.url}")


@contextlib.contextmanager
def context(
    browser: sync_api.Browser, url: str, look: Look, *, trace: bool = False
) -> Iterator[sync_api.BrowserContext]:
    """Somebody with a browser of their own: no cookie of anybody else.

    Args:
        browser: whose.
        url: what paths are relative to.
        look: how they look at pages.
        trace: record all that happens, for `context.tracing.stop`.
    """
    narrow = look.size == "narrow"
    made = browser.new_context(
        base_url=url,
        viewport=SIZES[look.size],
        device_scale_factor=2 if narrow else 1,
        is_mobile=narrow,
        has_touch=narrow,
        color_scheme=look.theme,
        reduced_motion="no-preference" if look.motion else "reduce",
        locale="en-GB",
        timezone_id="UTC",
        service_workers="block",
    )
    try:
        if trace:
            made.tracing.start(screenshots=True, snapshots=True)
        yield made
    finally:
        made.close()


def settled(page: sync_api.Page, timeout_s: float = 30.0) -> None:
    """Return when a page shows what it has to show: nothing on it is busy any more.

    The main landmark is there, and in it neither `aria-busy` nor bars in the place of what is
    still coming (`.skeleton`).
    """
    page.wait_for_function(
        "() => { const main = document.querySelector('main');"
        " return main && main.getAttribute('aria-busy') !== 'true'"
        " && !main.querySelector('[aria-busy=\"true\"], .skeleton'); }",
        timeout=timeout_s * 1_000,
    )


def sign_in(context: sync_api.BrowserContext, name: str, password: str) -> None:
    """Sign somebody in, so that all pages of this browser are theirs.

    Raises:
        AssertionError: they were not let in.
    """
    answer = context.request.post("/api/v1/auth/login", data={"name": name, "password": password})
    if not answer.ok:
        raise AssertionError(f"{name} is not let in: {answer.text()}")


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of accessibility that a page breaks.

    Attributes:
        rule: its name, as in `color-contrast`.
        help: what it asks for.
        count: of elements that break it.
        places: the first of them, with what is wrong there.
    """

    rule: str
    help: str
    count: int
    places: tuple[str, ...]


def axe_source() -> str:
    """The program that checks pages.

    Raises:
        ComponentError: it is not installed; says what to do.
    """
    for folder in (ROOT / "web" / "node_modules", components.modules("axe")):
        file = None if folder is None else folder / "axe-core" / "axe.min.js"
        if file is not None and file.is_file():
            return file.read_text(encoding="utf-8")
    raise components.ComponentError("no axe here: run `scripts/components.py install axe`")


def axe(page: sync_api.Page, source: str, *, within: str | None = None) -> list[Violation]:
    """The rules that a page breaks as it is now.

    What is evaluated from outside is not subject to the page's content security policy, which
    stays as strict as it is.

    Args:
        page: the page.
        source: of `axe_source`.
        within: selector of the part that is looked at; None: all of it.
    """
    page.evaluate(source)
    found = page.evaluate(
        "([within, rules]) => axe.run(within || document,"
        " {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})",
        [within, list(RULES)],
    )
    return [
        Violation(
            rule=each["id"],
            help=each["help"],
            count=len(each["nodes"]),
            places=tuple(
                f"{node['html'][:_HTML_CHARS]}: {_one_line(node['failureSummary'])}"
                for node in each["nodes"][:_PLACES_MAX]
            ),
        )
        for each in found["violations"]
    ]


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


OpenPage: TypeAlias = Callable[..., sync_api.Page]
"""Type of the fixture `open_page` of the tests with a browser."""

Axe: TypeAlias = Callable[..., list[Violation]]
"""Type of their fixture `axe`."""
