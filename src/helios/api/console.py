"""The console: files that `scripts/ui.py build` has made, read once and kept in memory.

Every path of the console answers the same document, since the page itself reads its address
(history API). Its parts have names made of their content, so they may be kept for ever; the
document names them, so it is asked for anew each time.
"""

import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable

import msgspec

from helios.api import web
from helios.kernel import errors

AREAS = (
    "approvals",
    "audit",
    "builds",
    "dead-letters",
    "events",
    "healing",
    "ingest",
    "link",
    "settings",
    "sign-in",
    "stacks",
    "streams",
    "views",
)
"""First parts of the console's paths, beside `/` itself; those of `web/src/routes`."""

PATHS = ("/", *(f"/{area}" for area in AREAS), *(f"/{area}/{{page}}" for area in AREAS))
ASSET = "/assets/{file}"
LOST = "/{page}"
"""Any other page a browser is led to."""

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self' data:; font-src 'self'; worker-src 'self'; base-uri 'none'; "
    b"form-action 'self'; frame-ancestors 'none'"
)
_GUARD = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
DOCUMENT = (
    (b"content-security-policy", POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), geolocation=(), microphone=(), payment=(), usb=(), interest-cohort=()",
    ),
    *_GUARD,
)
_KEPT = b"public, max-age=31536000, immutable"
_ASKED = b"no-cache"
_PACKED = ((b"br", ".br"), (b"gzip", ".gz"))
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
    ".woff2": "font/woff2",
}


class File(msgspec.Struct, frozen=True):
    """A file of the console.

    Attributes:
        content_type: of it.
        tag: its entity tag; of a packed form the name of the packing stands behind.
        plain: its bytes.
        packed: the same by content coding, the smallest first.
    """

    content_type: bytes
    tag: str
    plain: bytes
    packed: Mapping[bytes, bytes] = {}


def load(root: Traversable) -> dict[str, File]:
    """The files of a built console by their path; empty when it was not built."""
    if not root.joinpath("index.html").is_file():
        return {}
    found = {}
    for folder in (root, root.joinpath("assets")):
        names = {each.name for each in folder.iterdir() if each.is_file()}
        prefix = "" if folder is root else "assets/"
        for name in sorted(names):
            if not name.endswith((".br", ".gz")):
                found[prefix + name] = _read(folder, name, names)
    return found


def _read(folder: Traversable, name: str, names: set[str]) -> File:
    body = folder.joinpath(name).read_bytes()
    suffix = name[name.rfind(".") :]
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return File(
        content_type=kind.encode(),
        tag=hashlib.sha256(body).hexdigest()[:20],
        plain=body,
        packed={
            coding: folder.joinpath(name + end).read_bytes()
            for coding, end in _PACKED
            if name + end in names
        },
    )


class Pages:
    """Answers requests for the console.

    Args:
        files: what `load` found.
    """

    def __init__(self, files: Mapping[str, File]) -> None:
        self._files = files

    async def document(self, request: web.Request) -> web.Response:
        """The document, at each path of the console; without it, what to do."""
        file = self._files.get("index.html")
        if file is None:
            return web.Response(
                status=503,
                body=_UNBUILT,
                content_type=b"text/html; charset=utf-8",
                headers=(*DOCUMENT, (b"cache-control", b"no-store")),
            )
        return _send(request, file, (*DOCUMENT, (b"cache-control", _ASKED)))

    async def lost(self, request: web.Request) -> web.Response:
        """The document at a path that is none of its own, which it then says."""
        answer = await self.document(request)
        return msgspec.structs.replace(answer, status=404) if answer.status == 200 else answer

    async def asset(self, request: web.Request) -> web.Response:
        """A part of the page, under a name that is never used for anything else."""
        file = self._files.get("assets/" + request.params["file"])
        if file is None:
            raise errors.NotFoundError(
                "the console has no such file; it may be of another version: load the page anew"
            )
        return _send(request, file, (*_GUARD, (b"cache-control", _KEPT)))


def _send(request: web.Request, file: File, headers: Sequence[tuple[bytes, bytes]]) -> web.Response:
    coding, body = _negotiated(request.header(b"accept-encoding") or "", file)
    tag = f'"{file.tag}-{coding.decode()}"' if coding else f'"{file.tag}"'
    sent = [*headers, (b"etag", tag.encode()), (b"vary", b"accept-encoding")]
    if tag in _tags(request.header(b"if-none-match") or ""):
        return web.Response(status=304, content_type=file.content_type, headers=sent)
    if coding:
        sent.append((b"content-encoding", coding))
    return web.Response(body=body, content_type=file.content_type, headers=sent)


def _tags(header: str) -> set[str]:
    return {part.strip().removeprefix("W/") for part in header.split(",")}


def _negotiated(accepted: str, file: File) -> tuple[bytes, bytes]:
    """The smallest form that the client takes; the coding is empty for the plain one."""
    taken = set()
    for part in accepted.lower().split(","):
        name, _, quality = part.partition(";")
        if quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            taken.add(name.strip().encode())
    for coding, body in file.packed.items():
        if coding in taken:
            return coding, body
    return b"", file.plain


_UNBUILT = b"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Helios: the console is not built</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/pages/style.css"></head>
<body><main>
<h1>The console is not built</h1>
<p>The server runs and its API answers; only the files of this page are missing. They come with
every released wheel. In a checkout, build them once and start the server again:</p>
<pre>make ui</pre>
<p>It takes Node from the PATH, or installs it into the virtual environment.
<a href="/docs">The API and its documentation</a> work without.</p>
</main></body></html>
"""
