"""Pages in a real Chromium on a real server. How to write such a test:

    def test_events_are_listed(open_page: browsing.OpenPage, helios: browsing_data.Served) -> None:
        page = open_page(helios, "/events", theme="dark", size="narrow")
        expect(page.get_by_role("heading", name="Events")).to_be_visible()

`helios` has data and lets everybody in, `empty_helios` has none, and in `guarded_helios` one has to
sign in: `open_page(guarded_helios, "/", user="olga")` does, for those of `browsing_data.PEOPLE`.
These serve all tests of a module, so who changes something takes a server of their own (`serve`).

Whatever a page complains of fails the test: errors and warnings of the console, violations of the
content security policy, answers from 400 on, requests that fail; `complaints.allow(pattern)`
expects one. Of a test that fails the trace and a picture are kept in `.cache/browser`.

Playwright has an event loop of its own in this thread, so `asyncio.run` cannot be used in here.
"""

import contextlib
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright import sync_api

from helios.testing import browsing, browsing_data, components

KEPT = browsing.ROOT / ".cache" / "browser"
_FAILED = pytest.StashKey[bool]()

# As long as Playwright waits for anything else: what passes does not wait, and machines are slow.
sync_api.expect.set_options(timeout=30_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(scope="session")
def _pages_can_be_opened() -> None:
    reason = browsing.missing()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def browser(_pages_can_be_opened: None) -> Iterator[sync_api.Browser]:
    """A Chromium. One per module: while it is there no event loop can run in this thread, and
    modules of other folders come after."""
    with browsing.launched() as found:
        yield found


@pytest.fixture(scope="module")
def helios(
    _pages_can_be_opened: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[browsing_data.Served]:
    """A server with something on each page, where nobody needs to sign in."""
    folder = tmp_path_factory.mktemp("helios")
    with browsing_data.serving(folder, filled=True) as served:
        yield served


@pytest.fixture(scope="module")
def empty_helios(
    _pages_can_be_opened: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[browsing_data.Served]:
    """A server that was told nothing yet, where nobody needs to sign in."""
    with browsing_data.serving(tmp_path_factory.mktemp("helios")) as served:
        yield served


@pytest.fixture(scope="module")
def guarded_helios(
    _pages_can_be_opened: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[browsing_data.Served]:
    """A server with something on each page, where one has to sign in."""
    folder = tmp_path_factory.mktemp("helios")
    with browsing_data.serving(folder, auth="on", filled=True) as served:
        yield served


@pytest.fixture(scope="module")
def full_helios(
    _pages_can_be_opened: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[browsing_data.Served]:
    """A server with something in each list, where one has to sign in."""
    root = tmp_path_factory.mktemp("files")
    env = {"HELIOS_BUILDS_ROOT": str(root), "SHOP_TOKEN": "long-enough-for-tests-alone"}
    folder = tmp_path_factory.mktemp("helios")
    with browsing_data.serving(folder, auth="on", filled=True, env=env) as served:
        browsing_data.furnish(served.http, root)
        yield served


@pytest.fixture
def serve(_pages_can_be_opened: None, tmp_path: Path) -> Iterator[browsing_data.Serve]:
    """Starts servers of this test: `serve(auth="on", filled=True, env={…})`."""
    with contextlib.ExitStack() as stack:
        started = 0

        def start(**options: object) -> browsing_data.Served:
            nonlocal started
            started += 1
            folder = tmp_path / f"helios-{started}"
            served = browsing_data.serving(folder, **options)  # type: ignore[arg-type]
            return stack.enter_context(served)

        yield start


@pytest.fixture
def complaints() -> browsing.Watch:
    """What the pages of this test complain of; there must be nothing at its end."""
    return browsing.Watch()


@pytest.fixture
def open_page(
    browser: sync_api.Browser,
    serve: browsing_data.Serve,
    complaints: browsing.Watch,
    request: pytest.FixtureRequest,
) -> Iterator[browsing.OpenPage]:
    """Opens a page: `open_page(helios, "/events", theme="dark", size="narrow", motion=True)`.

    Each is that of another person, with a browser of their own. It is returned when nothing on it
    is busy any more; with `wait=False` at once. `trace=False` where recording would cost what is
    measured.
    """
    del serve  # Servers end after the pages that they serve.
    contexts: list[sync_api.BrowserContext] = []
    with contextlib.ExitStack() as stack:

        def opened(
            where: browsing_data.Served,
            path: str = "/",
            *,
            user: str | None = None,
            wait: bool = True,
            trace: bool = True,
            **look: object,
        ) -> sync_api.Page:
            found = browsing.Look(**look)  # type: ignore[arg-type]
            context = stack.enter_context(browsing.context(browser, where.url, found, trace=trace))
            contexts.append(context)
            context.on("page", complaints.follow)
            if user is not None:
                browsing.sign_in(context, user, browsing_data.PASSWORD)
            page = context.new_page()
            page.goto(path)
            if wait:
                browsing.settled(page)
            return page

        yield opened
        for page in (each for context in contexts for each in context.pages):
            with contextlib.suppress(sync_api.Error):
                page.evaluate("() => 0")  # What it has to say arrives while it is spoken to.
        if complaints.troubles or request.node.stash.get(_FAILED, False):
            kept = _keep(contexts, request.node.nodeid)
            text = f"{kept}; `playwright show-trace` opens the trace"
            request.node.add_report_section("teardown", "kept pages", text)
    assert not complaints.troubles, "pages complain:\n" + "\n".join(complaints.troubles)


def _keep(contexts: list[sync_api.BrowserContext], test: str) -> Path:
    folder = KEPT / re.sub(r"[^\w.-]+", "-", test.removeprefix("tests/browser/"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, context in enumerate(contexts, start=1):
        for page in context.pages:
            with contextlib.suppress(sync_api.Error):
                page.screenshot(path=folder / f"page-{number}.png", full_page=True)
        with contextlib.suppress(sync_api.Error):
            context.tracing.stop(path=folder / f"trace-{number}.zip")
    return folder


@pytest.fixture(scope="session")
def _axe_source() -> str:
    try:
        return browsing.axe_source()
    except components.ComponentError as error:
        pytest.skip(str(error))


@pytest.fixture
def axe(_axe_source: str) -> browsing.Axe:
    """The rules of WCAG 2.2 AA that a page breaks: `assert axe(page) == []`."""

    def check(page: sync_api.Page, *, within: str | None = None) -> list[browsing.Violation]:
        return browsing.axe(page, _axe_source, within=within)

    return check
