"""Serves the world: the CMS's two spaces, the shop, the site, and a page of status."""

import asyncio
import base64
import mimetypes
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib import parse as urls

import httpx
import msgspec

from helios.demo.world import cms, shop

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer: TypeAlias = tuple[int, bytes, str]

WEBHOOKS = "webhooks"
_JSON = "application/json"
_POST_S = 10.0


class World:
    """An ASGI application.

    Args:
        spaces: of the CMS, by the first step of their path.
        selling: the shop, at `/shop`.
        root: folder with the sites, at `/www` and `/help`.
        http: posts what webhooks have to tell.

    Attributes:
        is_down: the page of status answers 503.
    """

    def __init__(
        self,
        spaces: Mapping[str, cms.Cms],
        selling: shop.Shop,
        root: Path,
        http: httpx.AsyncClient,
    ) -> None:
        self._spaces = spaces
        self._shop = selling
        self._root = root
        self._http = http
        self.is_down = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _read(receive)
        status, answer, kind = await self._answer(scope, body)
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        is_head = scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if is_head else answer})

    async def tell(self) -> None:
        """Post what webhooks have to tell, in order; one that is refused is lost, as there."""
        boxes = [*(each.outbox for each in self._spaces.values()), self._shop.outbox]
        for outbox in boxes:
            while outbox:
                await self._post(outbox.pop(0))

    async def _answer(self, scope: Scope, body: bytes) -> Answer:
        steps = [urls.unquote(step) for step in scope["path"].strip("/").split("/")]
        asked = dict(urls.parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        name, path = steps[0], steps[1:]
        if name in self._spaces:
            return await self._cms(self._spaces[name], scope, path, asked, body)
        if name == "shop":
            return await self._selling(scope, path[3:], asked, body)
        if name == "status":
            up = "All systems are up." if not self.is_down else "We are looking into it."
            return 503 if self.is_down else 200, _page(up), "text/html"
        if name in ("www", "help"):
            return await asyncio.to_thread(_file, self._root / name, path)
        return _said(404, None)

    # -- the CMS --------------------------------------------------------------------------------

    async def _cms(
        self,
        space: cms.Cms,
        scope: Scope,
        path: list[str],
        asked: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        is_admin = path[:1] == ["admin"]
        token = space.admin_token if is_admin else space.content_token
        if not secrets.compare_digest(_header(scope, b"authorization"), f"Bearer {token}"):
            return _said(401, {"error": {"status": 401, "message": "Missing or invalid token"}})
        if is_admin:
            return await self._cms_hooks(space, scope["method"], path[2:], _fields(body))
        if path[:2] != ["api", "articles"]:
            return _said(404, None)
        return _said(200, space.listed(asked) if len(path) == 2 else space.one(path[2]))

    async def _cms_hooks(
        self, space: cms.Cms, method: str, path: list[str], fields: Mapping[str, Any]
    ) -> Answer:
        if not path:
            if method == "GET":
                return _said(200, {"data": space.hooks()})
            said = (fields["name"], fields["url"], fields["headers"], fields["events"])
            return _said(201, {"data": space.add_hook(*said)})
        if path[1:] == ["trigger"]:
            test = space.test_of(path[0])
            if test is None:
                return _said(404, None)
            status, message = await self._post(test)
            return _said(200, {"data": {"statusCode": status, "message": message}})
        acts: dict[str, Callable[[], Any]] = {
            "GET": lambda: space.hook(path[0]),
            "PUT": lambda: space.set_hook(path[0], fields),
            "DELETE": lambda: space.drop_hook(path[0]),
        }
        found = acts[method]() if method in acts else None
        return _said(200, None if found is None else {"data": found})

    # -- the shop -------------------------------------------------------------------------------

    async def _selling(
        self, scope: Scope, path: list[str], asked: Mapping[str, str], body: bytes
    ) -> Answer:
        pair = base64.b64encode(f"{self._shop.key}:{self._shop.secret}".encode()).decode()
        if not secrets.compare_digest(_header(scope, b"authorization"), f"Basic {pair}"):
            return _said(401, {"code": "woocommerce_rest_cannot_view", "message": "Not allowed"})
        method, number = scope["method"], int(path[1]) if path[1:] else 0
        if path[:1] == ["products"]:
            return _said(200, self._shop.one(number) if number else self._shop.listed(asked))
        if path[:1] != [WEBHOOKS]:
            return _said(404, None)
        if method == "GET":
            return _said(200, self._shop.hooks() if asked.get("page", "1") == "1" else [])
        if method == "POST":
            return await self._shop_hook(_fields(body))
        drops = method == "DELETE"
        known = (
            self._shop.drop_hook(number) if drops else self._shop.set_hook(number, _fields(body))
        )
        return _said(200, known)

    async def _shop_hook(self, fields: Mapping[str, Any]) -> Answer:
        status, _ = await self._post(self._shop.ping_of(str(fields["delivery_url"])))
        if status != 200:
            message = f"Error: Delivery URL returned response code: {status}"
            return _said(400, {"code": "woocommerce_rest_invalid_webhook", "message": message})
        return _said(201, self._shop.add_hook(fields))

    async def _post(self, sending: cms.Sending) -> tuple[int, str]:
        try:
            answer = await self._http.post(
                sending.url,
                content=sending.body,
                headers=dict(sending.headers),
                timeout=_POST_S,
            )
        except httpx.HTTPError as error:
            return 500, type(error).__name__
        return answer.status_code, answer.reason_phrase


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _fields(body: bytes) -> dict[str, Any]:
    found = msgspec.json.decode(body) if body else {}
    return found if isinstance(found, dict) else {}


def _said(status: int, value: Any) -> Answer:
    if value is None:
        missing = {"data": None, "error": {"status": 404, "message": "Not Found"}}
        return 404, msgspec.json.encode(missing), _JSON
    return status, msgspec.json.encode(value), _JSON


def _page(text: str) -> bytes:
    return f"<!doctype html><html><title>Status</title><p>{text}</p></html>".encode()


def _file(root: Path, path: list[str]) -> Answer:
    found = (root / "/".join(path or ["index.html"])).resolve()
    if not found.is_relative_to(root.resolve()) or not found.is_file():
        return 404, b"<!doctype html><title>404</title>", "text/html"
    return 200, found.read_bytes(), mimetypes.guess_type(found.name)[0] or "text/plain"
