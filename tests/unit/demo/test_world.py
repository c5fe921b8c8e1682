import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from helios.demo.world import cms, shop, web
from helios.kernel import clock as clocks
from helios.providers import ports, signatures, strapi, woocommerce

CLOCK = clocks.SystemClock()


def _cms() -> cms.Cms:
    return cms.Cms(CLOCK, content_token="content", admin_token="admin")


def _asked(root: Path, method: str, path: str, **options: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient() as outside:
            world = web.World({"cms": _cms()}, _shop(), root, outside)
            inside = httpx.ASGITransport(world)
            async with httpx.AsyncClient(transport=inside, base_url="http://world") as client:
                return await client.request(method, path, **options)

    return asyncio.run(ask())


def _shop() -> shop.Shop:
    return shop.Shop(CLOCK, key="key", secret="secret")


def _delivery(sending: cms.Sending) -> ports.Delivery:
    headers = tuple(sending.headers.items())
    return ports.Delivery(method="POST", path="/", headers=headers, body=sending.body)


def test_a_webhook_is_told_of_what_it_is_for_and_the_adapter_reads_it() -> None:
    space = _cms()
    space.add_hook("ours", "http://helios/webhook/cms", {"authorization": "Bearer x"})
    off = space.add_hook("off", "http://other", {})
    space.set_hook(str(off["id"]), {"isEnabled": False})
    space.publish("doc-1", "Milk that foams")
    (sending,) = space.outbox
    assert (sending.url, sending.headers["authorization"]) == (
        "http://helios/webhook/cms",
        "Bearer x",
    )
    source = ports.Source(name="cms", tenant="acme-corp", provider="strapi")
    parsed = strapi.Strapi().parse(_delivery(sending), source, {})
    assert isinstance(parsed, list)
    assert (parsed[0].type, parsed[0].aggregate_id) == ("entry.publish", "doc-1")


def test_a_silent_cms_tells_nobody_and_lists_the_article_all_the_same() -> None:
    space = _cms()
    space.add_hook("ours", "http://helios", {})
    space.is_silent = True
    space.publish("doc-1", "Water")
    assert space.outbox == []
    assert [row["title"] for row in space.listed({})["data"]] == ["Water"]


def test_articles_are_listed_page_by_page_by_time_of_change() -> None:
    space = _cms()
    for age_s in (30, 10, 20):
        space.publish(f"doc-{age_s}", "A", age_s=age_s)
    first = space.listed({"pagination[pageSize]": "2"})["data"]
    assert [row["documentId"] for row in first] == ["doc-30", "doc-20"]
    after = {
        "filters[$and][1][$or][0][updatedAt][$gt]": first[-1]["updatedAt"],
        "filters[$and][1][$or][1][$and][1][id][$gt]": str(first[-1]["id"]),
    }
    assert [row["documentId"] for row in space.listed(after)["data"]] == ["doc-10"]


def test_the_shop_signs_as_its_adapter_verifies() -> None:
    selling = _shop()
    for topic in shop.TOPICS:
        selling.add_hook({"topic": topic, "delivery_url": "http://helios", "secret": "s3cret"})
    selling.open()
    sending = selling.outbox[0]
    wanted = signatures.digest(b"s3cret", sending.body, encoding="base64")
    assert sending.headers["x-wc-webhook-signature"].encode() == wanted
    source = ports.Source(name="shop", tenant="acme-corp", provider="woocommerce")
    parsed = woocommerce.WooCommerce().parse(_delivery(sending), source, {})
    assert isinstance(parsed, list)
    assert parsed[0].type == "product.created"


def test_the_shop_never_shows_the_secret_of_a_webhook() -> None:
    selling = _shop()
    made = selling.add_hook({"topic": "product.updated", "delivery_url": "u", "secret": "s3cret"})
    assert "s3cret" not in str([made, *selling.hooks()])


def _status(root: Path, path: str, headers: Mapping[str, str]) -> int:
    return _asked(root, "GET", path, headers=headers).status_code


def test_the_apis_want_their_own_credentials(tmp_path: Path) -> None:
    content, admin = {"authorization": "Bearer content"}, {"authorization": "Bearer admin"}
    assert _status(tmp_path, "/cms/api/articles", content) == 200
    assert _status(tmp_path, "/cms/api/articles", admin) == 401
    assert _status(tmp_path, "/cms/admin/webhooks", admin) == 200
    assert _status(tmp_path, "/cms/admin/webhooks", content) == 401
    assert _status(tmp_path, "/shop/wp-json/wc/v3/products", content) == 401


def test_nothing_but_the_site_is_served(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("<p>hello</p>")
    (tmp_path / "secret").write_text("s3cret")
    assert _asked(tmp_path, "GET", "/www/index.html").text == "<p>hello</p>"
    assert _asked(tmp_path, "GET", "/www/%2e%2e/secret").status_code == 404
    assert _asked(tmp_path, "GET", "/secret").status_code == 404
