"""Brings what a Vendure tells to three clouds.

`components/vendure` of the checkout is a Vendure with a plugin that posts its events, signed. This
takes the posts, checks them, and publishes what a contract wants to know: orders that were placed,
payments that were settled, stock that was reserved and sold. A post is answered when the clouds
have taken what is in it; until then the plugin tries again.

    WEBHOOK_SECRET=… python bridge.py 8500

An event is named by what it is about, not by the post, whose id is another each time. These are
the names that the provider `vendure` of Helios gives too: what was lost can be asked for again at
the shop and is known to be the same.
"""

import contextlib
import hashlib
import hmac
import http.server
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from clouds import Clouds, Event

BODY_BYTES_MAX = 1 << 20


def events(post: dict[str, Any]) -> Iterator[Event]:
    """What is published of a post."""
    kind, data = post["event"], post["data"]

    def event(name: str, said: dict[str, Any]) -> Event:
        return {"id": name, "event": kind, "time": post["time"], "data": said}

    if kind == "order.placed":
        yield event(f"{kind}:{data['order']['id']}", data)
    elif kind == "payment.state" and data["toState"] == "Settled":
        states = f"{data['fromState']}:{data['toState']}"
        yield event(f"{kind}:{data['payment']['id']}:{states}", data)
    elif kind in ("stock.allocation", "stock.sale"):
        for movement in data["movements"]:
            said = {"order": movement["order"], "movement": movement}
            yield event(f"{kind}:{movement['id']}", said)


class Bridge(http.server.BaseHTTPRequestHandler):
    """Takes one post."""

    protocol_version = "HTTP/1.1"
    clouds: Clouds
    secret: bytes

    def do_POST(self) -> None:
        """200: it was published, or nobody wants it; 401: not of our shop; 500: again, please."""
        length = int(self.headers.get("content-length", 0))
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            self.answer(413)
            return
        body = self.rfile.read(length)
        digest = hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        signature = self.headers.get("x-vendure-signature", "")
        if not hmac.compare_digest(f"sha256={digest}".encode(), signature.encode()):
            self.answer(401)
            return
        try:
            for event in events(json.loads(body)):
                self.clouds.publish(event)
        except Exception as error:
            print(f"not published: {error!r}", file=sys.stderr)
            self.answer(500)
            return
        self.answer(200)

    def answer(self, status: int) -> None:
        """Answer without a body."""
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of what goes well."""


def main(port: int) -> None:
    """Serve until Ctrl-C."""
    Bridge.clouds = Clouds()
    Bridge.secret = os.environ["WEBHOOK_SECRET"].encode()
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Bridge) as server:
        print(f"waits for the shop at http://127.0.0.1:{server.server_port}/", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    Bridge.clouds.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
