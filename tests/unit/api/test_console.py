"""The console as it is served: negotiation, policies, and that it swallows nothing."""

import asyncio
import gzip
from pathlib import Path
from typing import Any

import httpx
import pytest

from helios.api import asgi, console, web
from helios.api.routes import console as console_routes

WEB = Path(__file__).resolve().parents[3] / "web"
SCRIPT = b"export const answer = 42;\n" * 20


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A small built console: plain, gzip and brotli forms are told apart by their bytes."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(b"<!doctype html><title>Helios</title>")
    script = tmp_path / "assets" / "index-abc.js"
    script.write_bytes(SCRIPT)
    script.with_name("index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    script.with_name("index-abc.js.br").write_bytes(b"brotli bytes")
    return tmp_path


def ask(folder: Path, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """Answer one request from the console in a folder."""
    pages = console.Pages(console.load(folder))
    handlers = {console.ASSET: pages.asset, console.LOST: pages.lost}
    routes = [
        web.Route(
            method="GET",
            path=each,
            handler=handlers.get(each, pages.document),
            summary="",
            tag="",
            replies={},
            catch_all=each.endswith("{page}"),
            for_lost=each == console.LOST,
        )
        for each in (*console.PATHS, *handlers)
    ]

    async def answered() -> httpx.Response:
        transport = httpx.ASGITransport(asgi.Application(routes))
        async with httpx.AsyncClient(transport=transport, base_url="http://helios") as client:
            del client.headers["accept-encoding"]
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.send(client.build_request(method, path, headers=named))

    return asyncio.run(answered())


@pytest.mark.parametrize(
    "path", ["/", "/events", "/events/12", "/stacks/acme/shop", "/sign-in", "/link", "/settings/x"]
)
def test_every_path_of_the_console_answers_the_document(built: Path, path: str) -> None:
    answer = ask(built, path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert b"<title>Helios" in answer.content


def test_the_document_allows_nothing_from_elsewhere_and_nothing_inline(built: Path) -> None:
    headers = ask(built, "/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api", "/apis", "/assets/x.js", "/nothing"])
def test_what_is_no_page_is_a_problem(built: Path, path: str) -> None:
    answer = ask(built, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


_BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.mark.parametrize("path", ["/nothing", "/setings/users", "/Events"])
def test_a_browser_that_is_led_to_no_page_gets_the_one_that_says_so(built: Path, path: str) -> None:
    answer = ask(built, path, accept=_BROWSER)
    assert answer.status_code == 404
    assert b"<title>Helios" in answer.content
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert ask(built, "/events", accept=_BROWSER).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/nothing"), ("GET", "/api"), ("GET", "/assets/x.js"), ("POST", "/nothing")],
)
def test_what_programs_ask_for_is_a_problem_for_a_browser_too(
    built: Path, method: str, path: str
) -> None:
    answer = ask(built, path, method, accept=_BROWSER)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("gzip, br;q=0", "gzip"),
        ("identity", None),
        ("", None),
        ("br; q=0.0, gzip;q=0", None),
    ],
)
def test_the_smallest_form_that_is_accepted_is_sent(
    built: Path, accepted: str, coding: str | None
) -> None:
    async def raw() -> tuple[str | None, bytes]:
        pages = console.Pages(console.load(built))
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/assets/index-abc.js",
            "headers": [(b"accept-encoding", accepted.encode())],
        }
        request = web.Request(scope, None, web.Room(1))  # type: ignore[arg-type]
        request.params = {"file": "index-abc.js"}
        answer = await pages.asset(request)
        return dict(answer.headers).get(b"content-encoding", b"").decode() or None, answer.body

    found, body = asyncio.run(raw())
    assert found == coding
    expected = {"br": b"brotli bytes", None: SCRIPT}
    assert (gzip.decompress(body) if coding == "gzip" else body) == expected.get(coding, SCRIPT)


def test_parts_are_kept_for_ever_and_known_again_by_their_tag(built: Path) -> None:
    first = ask(built, "/assets/index-abc.js", accept_encoding="gzip")
    assert "immutable" in first.headers["cache-control"]
    assert first.headers["vary"] == "accept-encoding"
    tag = first.headers["etag"]
    again = ask(
        built, "/assets/index-abc.js", accept_encoding="gzip", if_none_match=f'"x", W/{tag}'
    )
    assert (again.status_code, again.content) == (304, b"")
    plain = ask(built, "/assets/index-abc.js", if_none_match=tag)
    assert plain.status_code == 200


def test_no_file_outside_the_console_can_be_had(built: Path) -> None:
    (built.parent / "secret.js").write_text("secret")
    for name in ("..%2Fsecret.js", "%2e%2e%2findex.html", "index-abc.js.gz", "../index.html"):
        assert ask(built, f"/assets/{name}").status_code == 404


def test_a_console_that_was_not_built_says_how_to(tmp_path: Path) -> None:
    answer = ask(tmp_path, "/")
    assert answer.status_code == 503
    assert "make ui" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_paths_are_those_of_the_page_itself() -> None:
    """A screen whose first part is not served would work until it is loaded anew."""
    folder = WEB / "src" / "routes"
    names = {each.name for each in folder.rglob("*.tsx")} | {
        f"{each.name}." for each in (folder / "_console").iterdir() if each.is_dir()
    }
    firsts = {name.partition(".")[0].rstrip("_") for name in names}
    firsts -= {"__root", "_console", "index", "$", "-"}
    top = {each for each in firsts if not each.startswith(("$", "-", "_"))}
    assert top <= set(console.AREAS), f"serve them too: {sorted(top - set(console.AREAS))}"


def test_the_paths_are_not_part_of_the_description(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        described = await helios.described()
        assert "/events" not in described["paths"]
        assert "/api/v1/events" in described["paths"]
        assert len(console_routes.routes()) == len(console.PATHS) + 2

    run(scenario)
