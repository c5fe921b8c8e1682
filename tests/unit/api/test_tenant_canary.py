"""Every page that can be read, asked for by who may see one client only: of another nothing shows.

A canary is put wherever a client can put a text: names, payloads, letters, declarations. Which
pages there are is taken from the application, so a new one is asked here, too.
"""

import json
import re
from typing import Any

from helios.api import web
from helios.testing import console_samples, stack_samples

CANARY = "canary7f3a"
YAML = {"content-type": "application/yaml"}
SOURCE = f"""\
apiVersion: helios.io/v1
kind: Source
metadata: {{name: shop, client_id: beta}}
spec:
  provider: standard-webhooks
  secrets: [secret:{CANARY}]
"""
SUBSCRIBER = f"""\
apiVersion: helios.io/v1
kind: Subscriber
metadata: {{name: shop, client_id: beta}}
spec:
  deliver: {{type: webhook, url: "https://{CANARY}.example.com/", secret: "secret:shop"}}
"""
NOT_ASKED = {"/api/v1/events/stream"}
"""Streams do not end; what they show is read from the log, which has its own tests."""

ASKED = {
    "client": "beta",
    "client_id": "beta",
    "provider": "standard-webhooks",
    "key": "K3",
    "position_or_id": "1",
    "orderId": "K3",
}


async def _fill(helios: Any) -> None:
    """A contract that does not match, events, and whatever else takes a declaration."""
    text = console_samples.CONTRACT.replace("acme", "beta").replace(
        console_samples.NAME, f"shop-{CANARY}"
    )
    made = await helios.post("/api/v1/contracts", content=text.encode(), headers=YAML)
    assert made.status_code == 201, made.text
    for declared, path in ((SOURCE, "/api/v1/sources"), (SUBSCRIBER, "/api/v1/subscribers")):
        made = await helios.post(path, content=declared.encode(), headers=YAML)
        assert made.status_code in (200, 201), made.text
    stack = stack_samples.DECLARATION.replace(stack_samples.CLIENT, "beta").replace(
        stack_samples.STACK, "shop"
    )
    stack = stack.replace("www.example.com", f"{CANARY}.example.com")
    path = "/api/v1/clients/beta/stacks/shop"
    made = await helios.call("PUT", path, content=stack.encode(), headers=YAML)
    assert made.status_code in (200, 201), made.text
    told = [
        {**each, "client_id": "beta", "payload": {**each["payload"], "text": CANARY}}
        for each in console_samples.EVENTS
    ]
    answer = await helios.post("/api/v1/events/ingest/batch", told)
    assert answer.status_code == 202, answer.text
    position = answer.headers["helios-position"]
    after = {"helios-after": position}
    await helios.get(f"/api/v1/contracts/shop-{CANARY}/verdicts?client_id=beta", headers=after)


def _pages(routes: list[web.Route]) -> list[str]:
    """Paths to ask: each once as it is, and once for the other client's data."""
    found = []
    for route in routes:
        if route.method != "GET" or route.path in NOT_ASKED or "stream" in route.path:
            continue
        path = re.sub(r"\{(\w+)\}", lambda match: ASKED.get(match.group(1), "shop"), route.path)
        found += [path, f"{path}?client_id=beta"]
    return found


def test_no_page_shows_anything_of_a_client_out_of_scope(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await _fill(helios)
        scoped = console_samples.seen_by(helios, "acme")
        pages = _pages(helios.application.routes)
        assert len(pages) > 100
        sung = 0
        for path in pages:
            whole = await helios.http.get(path)
            sung += CANARY in whole.text
            answer = await scoped.http.get(path)
            assert answer.status_code < 500 or answer.status_code in (503, 504), path
            assert CANARY not in answer.text, (path, answer.text)
            assert CANARY not in json.dumps(dict(answer.headers)), path
        # It sings where everything may be seen, or this test would prove nothing.
        assert sung > 10, sung

    run(scenario)
