"""The real systems do what the tests that build on them take for granted."""

import hashlib
import hmac
import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from helios.testing import components, receiver, vendure
from helios.testing import strapi as strapi_api

pytestmark = [pytest.mark.components, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def site(tmp_path: Path) -> components.Site:
    reason = components.missing("eleventy")
    if reason:
        pytest.skip(reason)
    return components.site(tmp_path / "site")


def _events(deliveries: Sequence[receiver.Delivery]) -> list[str]:
    return sorted(json.loads(each.body)["event"] for each in deliveries)


def _count(number: int) -> Any:
    return lambda deliveries: len(deliveries) >= number


def test_strapi_tells_its_webhook_what_happened_to_an_article(strapi: components.Strapi) -> None:
    with receiver.Receiver() as inbox:
        hook = strapi.api.create_webhook(inbox.url, headers={"Authorization": "Bearer s3cret"})
        article = strapi.api.create("First", body="draft", publish=False)
        strapi.api.publish(article.document_id)
        came = inbox.wait(_count(3))
        assert _events(came) == ["entry.create", "entry.publish", "entry.update"]
        assert {each.header("x-strapi-event") for each in came} == set(_events(came))
        assert {each.header("authorization") for each in came} == {"Bearer s3cret"}
        inbox.forget()
        strapi.api.unpublish(article.document_id)
        strapi.api.delete(article.document_id)
        assert _events(inbox.wait(_count(2))) == ["entry.delete", "entry.unpublish"]
        assert strapi.api.trigger(hook.id) == 200


def test_strapi_answers_what_it_has_after_a_crash(strapi: components.Strapi) -> None:
    kept = strapi.api.create("Kept")
    draft = strapi.api.create("Draft", publish=False)
    gone = strapi.api.create("Gone")
    strapi.api.update(kept.document_id, body="changed")
    strapi.api.delete(gone.document_id)
    url = strapi.about["url"]
    strapi.restart(crash=True)
    assert strapi.about["url"] == url
    assert [each.body for each in strapi.api.articles()] == ["changed"]
    drafts = {each.document_id for each in strapi.api.articles("draft")}
    assert drafts == {kept.document_id, draft.document_id}


def test_strapi_lists_more_articles_than_one_page_holds(strapi: components.Strapi) -> None:
    titles = [f"Number {number}" for number in range(101)]
    for title in titles:
        strapi.api.create(title, publish=False)
    assert [each.title for each in strapi.api.articles("draft")] == titles
    assert strapi.api.articles() == []


def test_a_webhook_of_strapi_can_be_broken_and_mended(strapi: components.Strapi) -> None:
    with receiver.Receiver() as inbox:
        hook = strapi.api.create_webhook(inbox.url)
        off = strapi.api.update_webhook(
            strapi_api.Webhook(
                id=hook.id,
                name=hook.name,
                url=hook.url,
                headers=hook.headers,
                events=["entry.create"],
                is_enabled=False,
            )
        )
        assert strapi.api.webhooks() == [off]
        strapi.api.create("Unheard", publish=False)
        strapi.api.delete_webhook(hook.id)
        assert strapi.api.webhooks() == []
        strapi.api.create_webhook(inbox.url)
        strapi.api.create("Heard", publish=False)
        (came,) = inbox.wait(_count(1))
        assert json.loads(came.body)["entry"]["title"] == "Heard"


def test_vendure_tells_signed_what_happened_to_an_order(shop_folder: Path) -> None:
    with (
        receiver.Receiver() as inbox,
        components.Vendure(shop_folder, webhook_url=inbox.url) as shop,
    ):
        order = shop.api.place_order(2)
        order = shop.api.pay(order)
        order = shop.api.fulfil(order)
        came = inbox.wait(_shipped)
        told = [json.loads(each.body) for each in came]
        assert [each["event"] for each in told if each["event"] != "order.state"] == [
            "payment.state",
            "order.placed",
            "stock.allocation",
            "payment.state",
            "fulfillment.state",
            "stock.sale",
            "fulfillment.state",
        ]
        assert len({each["id"] for each in told}) == len(told)
        assert {_code(each["data"]) for each in told} == {order.code}
        secret = shop.about["webhook_secret"].encode()
        for each in came:
            expected = hmac.new(secret, each.body, hashlib.sha256).hexdigest()
            assert each.header("x-vendure-signature") == f"sha256={expected}"
            assert each.header("x-vendure-event") == json.loads(each.body)["event"]


def _shipped(deliveries: Sequence[receiver.Delivery]) -> bool:
    told = [json.loads(each.body) for each in deliveries]
    return any(
        each["event"] == "order.state" and each["data"]["toState"] == "Shipped" for each in told
    )


def _code(data: dict[str, Any]) -> str:
    told = data.get("order") or (data.get("orders") or [m["order"] for m in data["movements"]])[0]
    code: str = told["code"]
    return code


def test_vendure_is_the_truth_about_its_orders_and_its_stock(shop_folder: Path) -> None:
    with components.Vendure(shop_folder) as shop:
        before = shop.api.stock()[vendure.SKU].on_hand
        shipped = shop.api.fulfil(shop.api.pay(shop.api.place_order(2)))
        paid = shop.api.pay(shop.api.place_order(1))
        cancelled = shop.api.cancel(shop.api.place_order(3))
        with pytest.raises(vendure.Refused, match="INSUFFICIENT_STOCK"):
            shop.api.place_order(before - 2)
        shop.restart(crash=True)
        assert shop.api.orders() == [shipped, paid, cancelled]
        assert [each.state for each in shop.api.orders()] == [
            "Shipped",
            "PaymentSettled",
            "Cancelled",
        ]
        assert shipped.total == (2 * vendure.PRICE + 500) * 120 // 100
        assert [each.state for each in shipped.payments] == ["Settled"]
        assert shop.api.stock()[vendure.SKU] == vendure.Stock(on_hand=before - 2, allocated=1)


def _build(site: components.Site, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        site.command,
        cwd=site.sources,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_eleventy_builds_a_page_per_entry_of_a_feed(site: components.Site, tmp_path: Path) -> None:
    feed = tmp_path / "feed.json"
    entries = [
        {"id": "1", "slug": "one", "title": "One & only", "body": "<p>text</p>"},
        {"id": "2", "slug": "one", "title": "Same slug", "body": ""},
        {"id": "3", "slug": "../../out", "title": "Elsewhere", "body": ""},
    ]
    feed.write_text(json.dumps({"entries": entries}))
    done = _build(site, HELIOS_CONTENT_FILE=str(feed))
    assert done.returncode == 0, done.stderr
    output = site.sources / "_site"
    assert sorted(str(each.relative_to(output)) for each in output.rglob("*.html")) == [
        "index.html",
        "one-2/index.html",
        "one/index.html",
        "out/index.html",
    ]
    assert "One &amp; only" in (output / "one" / "index.html").read_text()
    assert "<p>text</p>" not in (output / "one" / "index.html").read_text()
    assert (output / "index.html").read_text().count("<li>") == 3


class _Feed(http.server.BaseHTTPRequestHandler):
    """Two pages of content for whoever has the token, each with an ETag that never changes."""

    answers: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        second = "cursor=two" in self.path
        tag = '"b"' if second else '"a"'
        body = b""
        if self.headers["authorization"] != "Bearer t0ken":
            status = 401
        elif self.headers["if-none-match"] == tag:
            status = 304
        else:
            status = 200
            item = {"id": "2" if second else "1", "slug": None, "raw": {"body": "of the cache"}}
            feed = {"items": [item], "next_cursor": None if second else "two"}
            body = json.dumps(feed).encode()
        self.answers.append(status)
        self.send_response(status)
        self.send_header("etag", tag)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def feed() -> Iterator[str]:
    _Feed.answers.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Feed) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api/v1/content?type=article"
        server.shutdown()
        thread.join()


def test_a_feed_that_did_not_change_is_read_once(
    site: components.Site, tmp_path: Path, feed: str
) -> None:
    settings = {"HELIOS_CONTENT_URL": feed, "HELIOS_CONTENT_CACHE": str(tmp_path / "cache")}
    refused = _build(site, **settings)
    assert refused.returncode != 0
    assert "HTTP 401" in refused.stderr
    for _ in range(2):
        done = _build(site, HELIOS_CONTENT_TOKEN="t0ken", **settings)
        assert done.returncode == 0, done.stderr
    assert _Feed.answers == [401, 200, 200, 304, 304]
    assert "of the cache" in (site.sources / "_site" / "2" / "index.html").read_text()


def test_a_build_without_content_fails_and_says_so(site: components.Site, tmp_path: Path) -> None:
    done = _build(site)
    assert done.returncode != 0
    assert "HELIOS_CONTENT_URL" in done.stderr
    (tmp_path / "feed.json").write_text('{"pages": []}')
    done = _build(site, HELIOS_CONTENT_FILE=str(tmp_path / "feed.json"))
    assert done.returncode != 0
    assert "no list of entries" in done.stderr
