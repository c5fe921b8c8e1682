"""Sites, their builds with the log as it comes, and the content that they are built from."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import expect

from helios.testing import browsing, browsing_data

LINES = 5_000
SCRIPT = f"""
import time, pathlib
for n in range({LINES}):
    print(f"page {{n}} built", flush=True)
gate = pathlib.Path("go")
while not gate.exists():
    time.sleep(0.05)
print("the last line")
"""


def _site(name: str, script: str) -> bytes:
    return msgspec.json.encode(
        {
            "apiVersion": "helios.io/v1",
            "kind": "Site",
            "metadata": {"name": name, "client_id": "acme"},
            "spec": {
                "attempts": 1,
                "build": {
                    "type": "command",
                    "command": [sys.executable, "-I", "-c", script],
                    "workdir": ".",
                },
            },
        }
    )


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browsing_data.Served]:
    """A server with a site that waits within its build, and one that fails."""
    root = tmp_path_factory.mktemp("sites")
    env = {"HELIOS_BUILDS_ROOT": str(root)}
    with browsing_data.serving(tmp_path_factory.mktemp("helios"), env=env) as served:
        for name, script in (("docs", SCRIPT), ("broken", "raise SystemExit('no theme')")):
            served.http.put(
                "/api/v1/sites",
                content=_site(name, script),
                headers={"content-type": "application/json"},
            ).raise_for_status()
        yield served
        (root / "go").touch()


def _root(served: browsing_data.Served) -> Path:
    found = served.http.get("/api/v1/configuration").json()["settings"]
    return Path(next(each["value"] for each in found if each["name"] == "builds_root"))


@pytest.mark.parametrize("path", ["/builds", "/builds?tab=builds", "/builds?tab=content"])
@pytest.mark.parametrize("theme", browsing.THEMES)
def test_builds_can_be_used_by_everybody(
    open_page: browsing.OpenPage,
    building: browsing_data.Served,
    axe: browsing.Axe,
    path: str,
    theme: browsing.Theme,
) -> None:
    size = "narrow" if theme == "dark" else "wide"
    page = open_page(building, path, theme=theme, size=size)
    assert page.get_by_role("heading", level=1).count() == 1
    assert axe(page) == []


def test_the_log_of_a_build_comes_while_it_runs_and_can_be_searched(
    open_page: browsing.OpenPage, building: browsing_data.Served, axe: browsing.Axe
) -> None:
    page = open_page(building, "/builds?tab=builds&q=site:docs")
    page.get_by_role("link", name="docs #1").click()
    expect(page.get_by_role("heading", name="Build 1 of docs")).to_be_visible()
    log = page.get_by_role("region", name="Log")
    expect(log.get_by_text(f"page {LINES - 1} built")).to_be_visible()
    assert log.locator("div div").count() <= 120
    page.get_by_label("Search the log").fill("page 1234 ")
    expect(page.get_by_text("1 of 1 lines")).to_be_visible()
    expect(log.locator("mark")).to_have_text("page 1234")
    assert axe(page) == []
    (_root(building) / "go").touch()
    expect(page.get_by_text("succeeded").first).to_be_visible()
    page.get_by_label("Search the log").fill("the last line")
    expect(log.locator("mark")).to_have_text("the last line")


def test_a_site_that_failed_says_why_and_is_built_again_on_request(
    open_page: browsing.OpenPage, building: browsing_data.Served, axe: browsing.Axe
) -> None:
    page = open_page(building, "/builds/sites/acme/broken")
    row = page.get_by_role("row", name="#1")
    expect(row.get_by_text("The command ended with an error.")).to_be_visible()
    assert axe(page) == []
    page.get_by_role("button", name="Build now").click()
    expect(page.get_by_role("heading", name="Build 2 of broken")).to_be_visible()
    expect(page.get_by_role("region", name="Why it failed")).to_contain_text("no theme")


def test_who_may_only_read_builds_nothing(
    open_page: browsing.OpenPage, serve: browsing_data.Serve, tmp_path: Path
) -> None:
    served = serve(auth="on", env={"HELIOS_BUILDS_ROOT": str(tmp_path)})
    document = _site("docs", "print(1)").replace(b'"acme"', b'"acme-corp"')
    served.http.put(
        "/api/v1/sites", content=document, headers={"content-type": "application/json"}
    ).raise_for_status()
    page = open_page(served, "/builds/sites/acme-corp/docs", user="vera")
    button = page.get_by_role("button", name="Build now")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.hover()
    expect(page.get_by_role("tooltip")).to_contain_text("Needs the role operator or admin")
