"""What pages show in tests and pictures: told to a server over its API, as any sender would.

Times are near those of the machine, as the pages show the last hour; all else comes from a seed.
"""

import contextlib
import itertools
import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import httpx
import msgspec

from helios.access import local
from helios.demo import drive, shop
from helios.kernel import clock as clocks
from helios.testing import real_processes

EVENTS_MAX = 500
"""Events of one batch."""

CALL_S = 60.0
_HOUR_S = 3_600
_EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


STACK = "cms-ecom-prod"
"""Of `shop.CLIENT`, declared where there is something to be seen."""

PASSWORD = "correct horse battery staple"  # noqa: S105 - of people who exist in tests alone
"""Of all `PEOPLE`."""

PEOPLE: Mapping[str, Sequence[Mapping[str, str]]] = {
    "ada": ({"role": "admin"},),
    "olga": ({"role": "operator", "tenant": shop.CLIENT},),
    "petra": ({"role": "approver", "tenant": shop.CLIENT},),
    "vera": ({"role": "viewer", "tenant": shop.CLIENT},),
    "zoe": ({"role": "admin", "tenant": "somebody-else"},),
}
"""Who can sign in where one has to, and what they may do. `zoe` may see nothing of the others."""


class RefusedError(Exception):
    """The server did not take what it was told."""


def client(url: str, token: str | None = None) -> httpx.Client:
    """Calls a server; with the token of somebody who may do everything where people sign in."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, timeout=CALL_S)


def fill(http: httpx.Client, *, orders: int = 300) -> None:
    """Have everything on the pages: a contract with orders that agree and that do not, and a stack.

    Args:
        http: calls it.
        orders: that come in, spread over the last hour.
    """
    _declare(http, "POST", "/api/v1/contracts", drive.contract_text())
    send(http, order_events(orders))
    for name, path in (("blackwell", ""), ("policy", "/policy")):
        text = (_EXAMPLES / "stack" / f"{name}.yaml").read_text(encoding="utf-8")
        _declare(http, "PUT", f"/api/v1/clients/{shop.CLIENT}/stacks/{STACK}{path}", text)


def _declare(http: httpx.Client, method: str, path: str, text: str) -> None:
    answer = http.request(method, path, content=text, headers={"content-type": "application/yaml"})
    if not answer.is_success:
        raise RefusedError(answer.text)


_FILE = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {{client_id: {client}, stack_id: {stack}, environment: prod}}
spec:
  resources:
    settings: {{kind: file, path: {stack}.json, json: {{guest_checkout: true}}}}
---
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {{client_id: {client}, stack_id: {stack}}}
spec:
  schedule: {{interval: 1s}}
  auto_heal:
    enabled: true
    modes: {{configuration_changed: approve}}
    confirmations: 1
    persistence: 0s
"""
_SOURCE = """\
apiVersion: helios.io/v1
kind: Source
metadata: {{name: {name}, client_id: {client}}}
spec:
  provider: static-token
  secrets: ["env:SHOP_TOKEN"]
  schemas: {{OrderPlaced: {{type: object, required: [orderId]}}}}
  options: {{extract: {{event_type: "json:type", event_id: "json:id"}}}}
"""
_SITE = """\
apiVersion: helios.io/v1
kind: Site
metadata: {{name: {name}, client_id: {client}}}
spec:
  attempts: 1
  build: {{type: command, command: ["{python}", "-I", "-c", "print(1)"], workdir: "."}}
"""
TWO: Mapping[str, tuple[str, str]] = {
    "stacks": ("kiosk", "desk"),
    "sources": ("orders", "payments"),
    "sites": ("docs", "blog"),
    "dead letters": ("erp", "crm"),
}
"""What `furnish` puts into lists that `fill` leaves empty: of which stacks, and of which names."""


def furnish(http: httpx.Client, root: Path) -> None:
    """Have two things in each list that `fill` leaves empty; see `TWO`.

    Args:
        http: calls a server that has `SHOP_TOKEN` in its environment.
        root: its `HELIOS_BUILDS_ROOT`.
    """
    for stack in TWO["stacks"]:
        (root / f"{stack}.json").write_text('{"guest_checkout": false}', encoding="utf-8")
        # Each of another client: where one has many that drift at once, none is healed any more.
        stacks = f"/api/v1/clients/{stack}-shop/stacks/{stack}"
        declared, policy = _FILE.format(client=f"{stack}-shop", stack=stack).split("---\n")
        _declare(http, "PUT", stacks, declared)
        _declare(http, "PUT", f"{stacks}/policy", policy)
    for name in TWO["sources"]:
        _declare(http, "PUT", "/api/v1/sources", _SOURCE.format(name=name, client=shop.CLIENT))
    for name in TWO["sites"]:
        text = _SITE.format(name=name, client=shop.CLIENT, python=sys.executable)
        _declare(http, "PUT", "/api/v1/sites", text)
    for source in TWO["dead letters"]:
        for amount in (1, 2):  # The same id with another content dies.
            http.post("/api/v1/events/ingest", json=_invoice(source, amount))


def _invoice(source: str, amount: int) -> Mapping[str, object]:
    return {
        "source": source,
        "eventType": "InvoiceWritten",
        "event_id": f"{source}-1",
        "client_id": shop.CLIENT,
        "aggregate": {"type": "invoice", "id": f"{source}-1"},
        "payload": {"amount": amount},
    }


def invite(http: httpx.Client) -> None:
    """Have all `PEOPLE` there."""
    for name, grants in PEOPLE.items():
        told = {
            "name": name,
            "display_name": name.title(),
            "grants": list(grants),
            "password": PASSWORD,
        }
        answer = http.post("/api/v1/users", json=told)
        if not answer.is_success:
            raise RefusedError(answer.text)


def order_events(count: int, *, seed: int = 1) -> Iterator[bytes]:
    """Events of so many orders, the last of them just now, one in ten with a fault."""
    start = clocks.Timestamp(clocks.SystemClock().now() - _HOUR_S * clocks.SECOND_US)
    made = shop.orders(
        random.Random(seed),  # noqa: S311 - the same every time
        start=start,
        rate=count / _HOUR_S,
        faults=0.1,
    )
    for each in shop.deliveries(itertools.islice(made, count)):
        if isinstance(each, shop.Delivery):
            yield each.body


def plain_events(count: int, *, first: int = 0, tenant: str = shop.CLIENT) -> Iterator[bytes]:
    """So many events that no contract is about: rows for long lists."""
    for number in range(first, first + count):
        yield msgspec.json.encode(
            {
                "source": "load",
                "eventType": "PageSeen",
                "client_id": tenant,
                "aggregate": {"type": "page", "id": f"page-{number % 1_000}"},
                "event_id": f"load-{number}",
                "payload": {"number": number, "path": f"/articles/{number % 97}"},
            }
        )


def send(http: httpx.Client, events: Iterable[bytes]) -> int:
    """Append events in batches; returns how many there were.

    Raises:
        RefusedError: a batch was not taken as a whole; the message is what the server says.
    """
    sent = 0
    left = iter(events)
    while batch := list(itertools.islice(left, EVENTS_MAX)):
        answer = http.post(
            "/api/v1/events/ingest/batch",
            content=b"[" + b",".join(batch) + b"]",
            headers={"content-type": "application/json"},
        )
        if answer.status_code != httpx.codes.ACCEPTED:
            raise RefusedError(answer.text[:2_000])
        sent += len(batch)
    return sent


@contextlib.contextmanager
def streaming(url: str, per_s: int = 1_000) -> Iterator[None]:
    """So many events a second, for as long as the block runs."""
    batch = per_s // 10
    over = threading.Event()

    def run() -> None:
        with client(url) as http:
            for first in itertools.count(10_000_000, batch):
                send(http, plain_events(batch, first=first))
                if over.wait(batch / per_s):
                    return

    sender = threading.Thread(target=run)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A server that runs, and what calls it.

    Attributes:
        url: where it answers.
        http: calls it, as somebody who may do everything.
        process: the process; `cli` runs a command against it.
        data: its data folder.
    """

    url: str
    http: httpx.Client
    process: real_processes.Helios
    data: Path


@contextlib.contextmanager
def serving(
    folder: Path,
    *,
    auth: Literal["on", "off"] = "off",
    filled: bool = False,
    env: Mapping[str, str] = {},
    port: int = 0,
) -> Iterator[Served]:
    """A server with data of its own, for as long as the block runs.

    Args:
        folder: for its data and its log; made when it is not there.
        auth: whether people have to sign in; then those of `PEOPLE` can.
        filled: whether there is something to be seen; see `fill`.
        env: more settings, such as `HELIOS_PUBLIC_URL`.
        port: where it listens; 0: anywhere.

    Raises:
        ServeError: it does not start; says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    process = real_processes.Helios(
        data,
        port=port or real_processes.free_port(),
        options=["--log-level", "warning"],
        env={"HELIOS_AUTH": auth, **env},
    )
    with process, client(process.url, local.read(data)) as http:
        if auth == "on":
            invite(http)
        if filled:
            fill(http)
        yield Served(url=process.url, http=http, process=process, data=data)


Serve: TypeAlias = Callable[..., Served]
"""Type of the fixture `serve` of the tests with a browser: the arguments are those of `serving`."""
