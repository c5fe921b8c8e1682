"""A real shop, three clouds that lose events, and Helios between them.

Vendure runs; what its customers and its staff do goes through its API. `examples/three-clouds`
brings its events to the demo clouds with the vendors' SDKs. Each cloud takes one event in so many
and does not deliver it. The contract of the example must find the orders of exactly those events,
and of exactly those orders that the shop itself says are not shipped; what the clouds lost comes
back from the clouds, or is asked for at the shop. Everything is done by the command line.
"""

import base64
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from helios.testing import components, vendure

pytestmark = [pytest.mark.components, pytest.mark.slow, pytest.mark.timeout(600)]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "three-clouds"
CONTRACT = "three-clouds"
SOURCES = ("aws-orders", "gcp-orders", "azure-orders")
LEGS = {
    "order.placed": "order",
    "payment.state": "payment",
    "stock.allocation": "reserved",
    "stock.sale": "shipped",
}
START_S = 60.0
SETTLE_S = 120.0
ON_MISSING = {"after": "1s", "action": "replay_from_source", "max_attempts": 2, "then": "alert"}


class Market:
    """All that runs: the shop, the clouds, the bridge between them, and Helios.

    Attributes:
        clouds: what `helios demo-clouds` tells of each, by name.
        shop: the Vendure.
    """

    def __init__(
        self, serving: Any, folder: Path, clouds: Mapping[str, Any], shop: components.Vendure
    ) -> None:
        self.clouds = clouds
        self.shop = shop
        self._serving = serving
        self._folder = folder
        self.url = ""

    def helios(self, *arguments: str, code: int = 0, **options: Any) -> str:
        """What a command prints."""
        done = self._serving.command(*arguments, "--url", self.url, cwd=self._folder, **options)
        assert done.returncode == code, done.stderr or done.stdout
        printed: str = done.stdout
        return printed

    def told(self, *arguments: str, **options: Any) -> Any:
        """The same as values."""
        return json.loads(self.helios(*arguments, "-o", "json", **options))

    def dropped(self) -> dict[str, set[str]]:
        """By order: the legs whose events the clouds took and did not deliver."""
        found: dict[str, set[str]] = {}
        for cloud in self.clouds.values():
            for each in httpx.get(cloud["dropped"], trust_env=False).json():
                said = _body(each["event"])
                found.setdefault(_code(said), set()).add(LEGS[said["event"]])
        return found

    def events(self) -> list[dict[str, Any]]:
        """Every event of the three sources, in order of the log."""
        found: list[dict[str, Any]] = []
        query = {"limit": "1000"}
        while True:
            page = self._asked("/api/v1/events", **query)
            found += [each for each in page["events"] if each["source"] in SOURCES]
            if page["caught_up"]:
                return found
            query["cursor"] = page["next_cursor"]

    def wrong(self) -> dict[str, set[str]]:
        """By order: the legs that the contract misses now."""
        found = {}
        for status in ("partial", "mismatched"):
            path = f"/api/v1/contracts/{CONTRACT}/verdicts"
            page = self._asked(path, status=status, limit="1000")
            assert page["next_cursor"] is None
            for each in page["verdicts"]:
                found[each["key"]] = set(each["missing_events"]) or {status}
        return found

    def _asked(self, path: str, **query: str) -> Any:
        """What the API answers: for looking again and again, where a command costs a second."""
        answer = httpx.get(self.url + path, params=query, trust_env=False, timeout=START_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, wanted: Any, look: Any, what: str) -> None:
        """Look until it is as wanted; the comparison tells what it was instead."""
        deadline = time.monotonic() + SETTLE_S
        while (found := look()) != wanted:
            if time.monotonic() > deadline:
                assert found == wanted, f"{what}: not within {SETTLE_S:g} s"
            time.sleep(0.25)

    def trade(self, fates: Sequence[str], *, customers: int) -> None:
        """Have the shop sell, to so many customers at once."""
        pieces = random.Random(11)
        orders = [(fate, pieces.randint(1, 2)) for fate in fates]

        def one(order: tuple[str, int]) -> None:
            fate, quantity = order
            placed = self.shop.api.place_order(quantity)
            if fate == "shipped":
                self.shop.api.fulfil(self.shop.api.pay(placed))
            elif fate == "cancelled":
                self.shop.api.cancel(placed)

        with ThreadPoolExecutor(customers) as threads:
            list(threads.map(one, orders))


def _body(event: Mapping[str, Any]) -> Any:
    """What the shop said, in what a cloud tells of an event that it dropped."""
    if "detail" in event:
        return event["detail"]
    if "specversion" in event:
        return event["data"]
    return json.loads(base64.b64decode(event["data"]))


def _code(said: Mapping[str, Any]) -> str:
    code: str = said["data"]["order"]["code"]
    return code


@contextlib.contextmanager
def _process(*command: str, **settings: str) -> Iterator[Any]:
    """Standard output of a program that runs until the end of the block."""
    program = subprocess.Popen(
        command,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        yield program.stdout
    finally:
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=START_S)


@contextlib.contextmanager
def _market(serving: Any, tmp_path: Path, shop_folder: Path, *, drop: str) -> Iterator[Market]:
    """Everything up, and no source declared yet."""
    secret = json.loads((shop_folder / "secrets.json").read_text())["WEBHOOK_SECRET"]
    ours = ("demo-clouds", "--drop", drop, "--port-base", "0", "-o", "json")
    with contextlib.ExitStack() as stack:
        printed = stack.enter_context(_process(*serving.COMMAND, *ours))
        clouds = {each["name"]: each for each in _document(printed)}
        settings = {k: v for each in clouds.values() for k, v in each["environment"].items()}
        bridge = stack.enter_context(
            _process(
                sys.executable, str(EXAMPLE / "bridge.py"), "0", WEBHOOK_SECRET=secret, **settings
            )
        )
        address = bridge.readline().split()[-1]
        shop = components.Vendure(shop_folder, webhook_url=address)
        stack.enter_context(shop)
        market = Market(serving, tmp_path, clouds, shop)
        settings |= {
            "HELIOS_OUTBOUND_ALLOW": "127.0.0.0/8",
            "SHOP_WEBHOOKS": secret,
            "SHOP_USER": shop.about["admin_user"],
            "SHOP_PASSWORD": shop.about["admin_password"],
        }
        server = stack.enter_context(serving.serving(tmp_path / "data", env=settings))
        market.url = server.url
        yield market


def _document(printed: Any) -> Any:
    """The JSON document that begins a stream of lines, which goes on."""
    text = ""
    for line in printed:
        text += line
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(text)
    raise AssertionError(f"the clouds did not start: {text}")


def _declared(cloud: Mapping[str, Any]) -> dict[str, Any]:
    """The declaration that `demo-clouds` offers for its topic."""
    line = cloud["sources"]["orders"]
    found: dict[str, Any] = json.loads(line[line.index("{") : line.rindex("}") + 1])
    return found


def _published(orders: Sequence[vendure.Order]) -> Counter[tuple[str, str]]:
    """What the bridge brings to the clouds of these orders: how often, by type and order."""
    found: Counter[tuple[str, str]] = Counter()
    for order in orders:
        happened = ["order.placed", "stock.allocation"]
        if order.state == "Shipped":
            happened += ["payment.state", "stock.sale"]
        found.update((kind, order.code) for kind in happened)
    return found


def _arrived(events: Sequence[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((each["eventType"], _code(each["payload"])) for each in events)


def _unfinished(orders: Sequence[vendure.Order]) -> dict[str, set[str]]:
    """What is missing of the orders that were not shipped."""
    return {each.code: {"payment", "shipped"} for each in orders if each.state != "Shipped"}


def _both(one: Mapping[str, set[str]], other: Mapping[str, set[str]]) -> dict[str, set[str]]:
    return {key: one.get(key, set()) | other.get(key, set()) for key in {*one, *other}}


def _lost(dropped: Mapping[str, set[str]], orders: Sequence[vendure.Order]) -> int:
    assert dropped.keys() <= {each.code for each in orders}
    return sum(map(len, dropped.values()))


def _day(rng: random.Random, *, unhappy: int, shipped: int) -> list[str]:
    """What becomes of the orders of a day.

    All who do not pay come in the morning: so the hundredth order and the hundredth payment are
    not of one order, which nothing would be left of.
    """
    morning = ["unpaid", "cancelled"] * (unhappy // 2) + ["shipped"] * unhappy
    rng.shuffle(morning)
    return [*morning, *["shipped"] * (shipped - unhappy)]


def _agrees(events: Sequence[Mapping[str, Any]], orders: Sequence[vendure.Order]) -> None:
    """What is in the log is what the shop itself says of its orders."""
    totals: dict[str, int] = {}
    paid: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for each in events:
        said = each["payload"]["data"]
        if each["eventType"] == "order.placed":
            totals[said["order"]["code"]] = said["order"]["totalWithTax"]
        elif each["eventType"] == "payment.state":
            paid[said["order"]["code"]] += said["payment"]["amount"]
        elif each["eventType"] == "stock.sale":
            left[said["order"]["code"]] -= said["movement"]["quantity"]
    shipped = [each for each in orders if each.state == "Shipped"]
    # Of an order that is cancelled the shop forgets what it came to.
    kept = {each.code: each.total for each in orders if each.state != "Cancelled"}
    assert {code: total for code, total in totals.items() if code in kept} == kept
    assert paid == {each.code: each.total for each in shipped}
    assert left == {each.code: sum(each.lines.values()) for each in shipped}


def test_what_three_clouds_lose_is_found_and_comes_back_by_replay(
    serving: Any, driving: Any, tmp_path: Path, shop_folder: Path
) -> None:
    with _market(serving, tmp_path, shop_folder, drop="1/100") as market:
        for cloud in market.clouds.values():
            market.helios("sources", "apply", "-", input=json.dumps(_declared(cloud)))
        market.helios("contracts", "apply", str(EXAMPLE / "contract.yaml"))
        since = datetime.now(UTC).isoformat()
        begin = time.perf_counter()
        market.trade(_day(random.Random(3), unhappy=10, shipped=150), customers=3)
        traded_s = time.perf_counter() - begin

        orders = market.shop.api.orders()
        published = _published(orders)
        total = published.total()
        market.until(total - 5, lambda: len(market.events()), "all but the dropped in the log")
        dropped = market.dropped()
        assert _lost(dropped, orders) == 5, "an order, a payment, three movements of stock"
        unfinished = _unfinished(orders)
        market.until(_both(dropped, unfinished), market.wrong, "the contract finds what is missing")
        found_s = time.perf_counter() - begin

        replayed = {
            name: market.told("sources", "replay", name, "--since", since) for name in SOURCES
        }
        assert replayed["azure-orders"] | {"fetched": 3, "stored": 3} == replayed["azure-orders"]
        market.until(unfinished, market.wrong, "the replay repairs what was lost")
        repaired_s = time.perf_counter() - begin

        for key in dropped.keys() - unfinished.keys():
            _superseded(market.told("verdicts", "show", CONTRACT, key, "--history")["verdicts"])
        _all_is_there_once(market, orders)
    driving.tell(
        f"{len(orders)} orders, {total} events published, 5 dropped of {len(dropped)} orders;"
        f" traded in {traded_s:.1f} s, found after {found_s:.1f} s,"
        f" repaired after {repaired_s:.1f} s"
    )


def test_what_a_cloud_lost_is_asked_for_at_the_shop_and_else_somebody_is_told(
    serving: Any, driving: Any, tmp_path: Path, shop_folder: Path
) -> None:
    with _market(serving, tmp_path, shop_folder, drop="1/5") as market:
        market.helios("sources", "apply", "-", input=json.dumps(_shop(market)))
        for cloud in market.clouds.values():
            market.helios("sources", "apply", "-", input=json.dumps(_with_origin(cloud)))
        contract = yaml.safe_load((EXAMPLE / "contract.yaml").read_text())
        contract["spec"]["on_missing"] = ON_MISSING
        market.helios("contracts", "apply", "-", input=json.dumps(contract))
        since = datetime.now(UTC).isoformat()
        # One after the other, so that the same events are dropped each time.
        market.trade(_day(random.Random(5), unhappy=2, shipped=10), customers=1)

        orders = market.shop.api.orders()
        market.until(
            _published(orders).total(),
            lambda: len(market.events()) + _lost_payments(market),
            "all in the log but payments, for which nobody can be asked",
        )
        dropped = market.dropped()
        assert _lost(dropped, orders) == 8
        unfinished = _unfinished(orders)
        unpaid = {code: {"payment"} for code, legs in dropped.items() if "payment" in legs}
        assert len(unpaid) == 2
        market.until(_both(unfinished, unpaid), market.wrong, "the shop had all but payments")
        told = dict.fromkeys(unpaid, "payment missing; no source can be asked") | dict.fromkeys(
            unfinished, "payment, shipped missing; asked 2 times in vain"
        )
        market.until(told, lambda: _alerts(market), "what cannot be repaired is told")

        for name in SOURCES:
            done = market.told("sources", "replay", name, "--since", since)
            assert done["stored"] == 0, "what was asked for has the id that it would have had"
        market.until(unfinished, market.wrong, "the payments come back by replay")
        _all_is_there_once(market, orders)


def _shop(market: Market) -> dict[str, Any]:
    """The shop as a source that is asked, and neither polled nor told by."""
    return {
        "apiVersion": "helios.io/v1",
        "kind": "Source",
        "metadata": {"name": "shop"},
        "spec": {
            "provider": "vendure",
            "secrets": ["env:SHOP_WEBHOOKS"],
            "credentials": {"user": "env:SHOP_USER", "password": "env:SHOP_PASSWORD"},
            "options": {"base_url": market.shop.about["url"]},
        },
    }


def _with_origin(cloud: Mapping[str, Any]) -> dict[str, Any]:
    """A cloud's declaration, where an event has the id that the shop gave it.

    Behind two of the clouds stands the shop; nobody said who stands behind the payments.
    """
    found = _declared(cloud)
    spec = found["spec"]
    if cloud["name"] == "aws":
        spec["options"] |= {"format": "eventbridge", "extract": {"event_id": "json:detail.id"}}
    if cloud["name"] == "gcp":
        spec["options"] |= {"extract": {"event_id": "header:id", "time": "header:time"}}
    else:
        spec["origin"] = "shop"
    return found


def _lost_payments(market: Market) -> int:
    return sum("payment" in legs for legs in market.dropped().values())


def _alerts(market: Market) -> dict[str, str]:
    """By order: what was told of it last."""
    page = market.told("alerts", CONTRACT, "--limit", "1000")
    assert page["next_cursor"] is None
    return {each["key"]: each["reason"] for each in reversed(page["alerts"])}


def _superseded(history: Sequence[Mapping[str, Any]]) -> None:
    """Verdicts of a key, oldest first: each but the last has a successor, and that one is good."""
    *before, now = history
    assert (now["status"], now["superseded_by"]) == ("matched", None)
    assert before[0]["status"] == "partial"
    following = [each["id"] for each in (*before[1:], now)]
    assert [each["superseded_by"] for each in before] == following


def _all_is_there_once(market: Market, orders: Sequence[vendure.Order]) -> None:
    """After every cloud was replayed: nothing is missing, nothing came twice, all is right."""
    published = _published(orders)
    lost = Counter(leg for legs in market.dropped().values() for leg in legs)
    twice = {}
    for name, kind in (("aws-orders", "order.placed"), ("gcp-orders", "payment.state")):
        sent = sum(each == kind for each, _ in published)
        twice[name] = 2 * sent - lost[LEGS[kind]]

    def missing() -> dict[str, int]:
        found = {name: market.told("sources", "show", name)["status"] for name in twice}
        taken = {name: sum(status["results"].values()) for name, status in found.items()}
        # A queue may give a message more often than it was sent.
        return {name: twice[name] - taken[name] for name in twice if taken[name] < twice[name]}

    # An archive and a subscription give everything again, which takes a moment.
    market.until({}, missing, "all has come again")
    events = market.events()
    assert set(published.values()) == {1}
    assert _arrived(events) == published
    _agrees(events, orders)
    assert market.told("dead-letters", "list")["letters"] == []
    page = market.told("verdicts", "list", CONTRACT, "--status", "matched", "--limit", "1000")
    assert sorted(each["key"] for each in page["verdicts"]) == sorted(
        each.code for each in orders if each.state == "Shipped"
    )
