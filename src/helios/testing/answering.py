"""An HTTP server on loopback that answers as a function says: a provider's API for tests.

What an adapter sends goes through a real client and real sockets; only what is answered is made up.
"""

import contextlib
import http.server
import random
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib import parse as urls

import msgspec

from helios.drivers.outbound import client, policy
from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound
from helios.providers import ports


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked. Header names are in lower case; of a repeated parameter the last counts."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body."""
        return jsonio.parse(self.body)


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered; `value` as JSON unless it is bytes."""

    status: int = 200
    value: Any = None
    headers: Mapping[str, str] = {}


Answers = Callable[[Request], Response]


class Server:
    """A context manager; `url` is where it listens, `asked` what it was asked until now."""

    def __init__(self, answers: Answers) -> None:
        """Take a free port; requests are answered once the context is entered."""
        self.asked: list[Request] = []
        self._answers = answers
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_any(self) -> None:
                url = urls.urlsplit(self.path)
                length = int(self.headers.get("content-length") or 0)
                request = Request(
                    method=self.command,
                    path=urls.unquote(url.path),
                    query=dict(urls.parse_qsl(url.query, keep_blank_values=True)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(length),
                )
                server.asked.append(request)
                response = server._answers(request)
                value = response.value
                body = value if isinstance(value, bytes) else jsonio.encode(value)
                self.send_response(response.status)
                for name, said in response.headers.items():
                    self.send_header(name, said)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815 - as it must

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


@contextlib.asynccontextmanager
async def calling() -> AsyncIterator[outbound.Outbound]:
    """The product's own client, which may call this machine."""
    allowed = policy.parse_allowed("127.0.0.1")
    rng = random.Random(1)  # noqa: S311 - repeatable
    async with client.Client(clock=clocks.SystemClock(), allowed=allowed, rng=rng) as made:
        yield made


@contextlib.asynccontextmanager
async def api(source: ports.Source, answers: Answers) -> AsyncIterator[ports.Api]:
    """A source's provider API that answers so; `BASE_URL` in its options is where it is.

    An option that is the text `BASE_URL` becomes the address of the server.
    """
    with Server(answers) as server:
        async with calling() as made:
            known = msgspec.structs.asdict(source.options)
            changed = {k: server.url for k, value in known.items() if value == BASE_URL}
            options = msgspec.structs.replace(source.options, **changed)
            at = msgspec.structs.replace(source, options=options)
            yield ports.Api(source=at, client=made, clock=clocks.SystemClock())


BASE_URL = "http://BASE_URL"
