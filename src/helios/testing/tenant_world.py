"""Two clients' worth of data with a canary in every text, for tests of who may see what.

It is put in through the API where the API takes it; what only reconcilers find is told to the log.
"""

import base64
from typing import Any

import httpx
import msgspec

from helios.access import model
from helios.eventlog import envelope
from helios.reconcile.compositions import events
from helios.testing import console_samples, senders, stack_samples

ACME, BETA = "acme", "beta"
TENANTS = (ACME, BETA)
CANARIES = {ACME: "canary4acmeq7", BETA: "canary4betax9"}
"""What is found in texts of a client, and nowhere else."""

SHOP, LAB = "shop", "lab"
ENVIRONMENTS = {SHOP: "prod", LAB: "staging"}
"""The stacks of each client, and where they are."""

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
_YAML = {"content-type": "application/yaml"}
SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, or so").decode()


def contract(tenant: str, name: str = SHOP) -> str:
    """A contract of a client."""
    text = console_samples.CONTRACT.replace(console_samples.CLIENT, tenant)
    return text.replace("amount_mismatch", f"amount_{CANARIES[tenant]}").replace(
        console_samples.NAME, name
    )


def source(tenant: str) -> str:
    """A source of a client."""
    return f"""\
apiVersion: helios.io/v1
kind: Source
metadata: {{name: shop, client_id: {tenant}}}
spec:
  provider: standard-webhooks
  secrets: ["secret:{CANARIES[tenant]}"]
"""


def site(tenant: str) -> str:
    """A site of a client."""
    return f"""\
apiVersion: helios.io/v1
kind: Site
metadata: {{name: shop, client_id: {tenant}}}
spec:
  content: {{sources: [shop]}}
  build: {{type: webhook, url: "https://{CANARIES[tenant]}.example.com/hook"}}
  quiet: 60s
"""


def subscriber(tenant: str) -> str:
    """A subscriber of a client, to whom nothing is sent for now."""
    return f"""\
apiVersion: helios.io/v1
kind: Subscriber
metadata: {{name: shop, client_id: {tenant}}}
spec:
  events: {{types: ["nothing.of.this"]}}
  deliver:
    type: webhook
    url: "https://{CANARIES[tenant]}.example.com/"
    secret: "secret:{CANARIES[tenant]}"
"""


def policy(tenant: str, stack: str) -> str:
    """A policy of a stack."""
    return f"""\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {{client_id: {tenant}, stack_id: {stack}}}
spec:
  auto_heal: {{enabled: false}}
"""


def composition(tenant: str, stack: str) -> str:
    """What is declared of a stack."""
    return _of(stack_samples.DECLARATION, tenant, stack)


def event(tenant: str, number: int = 0) -> dict[str, Any]:
    """One event with the canary wherever a producer can put a text."""
    canary = CANARIES[tenant]
    return {
        "source": "shop",
        "eventType": f"{canary}.happened",
        "client_id": tenant,
        "id": f"{canary}-{number}",
        "payload": {"orderId": canary, "text": canary, canary: [canary]},
        "metadata": {"note": canary},
        "aggregate": {"type": "order", "id": canary},
        "actor": f"user:{canary}",
    }


def _of(text: str, tenant: str, stack: str) -> str:
    """A sample about another client and stack, with the client's canary in it."""
    canary, prod = CANARIES[tenant], ENVIRONMENTS[stack] == "prod"
    changes = {
        stack_samples.CLIENT: tenant,
        stack_samples.STACK: stack,
        "h.example.com": f"{canary}.example.com",
        "www.example.com": f"www.{canary}.example.com",
        "user:eve": f"user:{canary}",
        "policy asks": f"{canary} asks",
        "environment: prod": f"environment: {ENVIRONMENTS[stack]}",
        '"environment":"prod"': f'"environment":"{ENVIRONMENTS[stack]}"',
        **({} if prod else {f'"{n}"': f'"{n}-lab"' for n in _NAMES}),
    }
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


_NAMES = (stack_samples.DRIFT, stack_samples.PLAN, stack_samples.APPROVAL, "u1", "action-1")


async def fill(parts: Any, http: httpx.AsyncClient, tenant: str) -> None:
    """Put in what a client has.

    Args:
        parts: the running application, `app.Parts`.
        http: a client that may do everything.
        tenant: one of `TENANTS`.
    """
    canary = CANARIES[tenant]
    parts.ingestion.vault.put(canary, SECRET.encode())
    for path, text in (
        ("contracts", contract(tenant)),
        ("contracts", contract(tenant, f"shop-{canary}")),
        ("sources", source(tenant)),
        ("sites", site(tenant)),
        ("subscribers", subscriber(tenant)),
    ):
        await _sent(http, "POST", f"/api/v1/{path}", content=text.encode(), headers=_YAML)
    for number in range(3):
        await _sent(http, "POST", "/api/v1/events/ingest", json=event(tenant, number))
    judged = [
        {**each, "client_id": tenant, "id": f"{canary}-{each['id']}"}
        for each in console_samples.EVENTS
    ]
    await _sent(http, "POST", "/api/v1/events/ingest/batch", json=judged)
    await _letter(parts, http, tenant)
    await _changes(http, tenant)
    for stack in ENVIRONMENTS:
        await _stack(parts, tenant, stack)
        await _sent(
            http,
            "PUT",
            f"/api/v1/clients/{tenant}/stacks/{stack}/policy",
            content=policy(tenant, stack).encode(),
            headers=_YAML,
        )
    await _people(parts, tenant)


async def _letter(parts: Any, http: httpx.AsyncClient, tenant: str) -> None:
    """A delivery that is genuine and cannot be read."""
    body = f'{{"type": "{CANARIES[tenant]}", "twice": 1, "twice": 2}}'.encode()
    at = parts.clock.now() // 1_000_000
    headers = senders.standard_webhooks(SECRET, body, identity=CANARIES[tenant], at=at)
    await _sent(http, "POST", f"/webhook/shop/{tenant}", content=body, headers=headers)


async def _changes(http: httpx.AsyncClient, tenant: str) -> None:
    canary, of = CANARIES[tenant], f"client_id={tenant}"
    view = {"screen": "events", "title": canary, "filter": canary, "is_shared": True}
    await _sent(http, "PUT", f"/api/v1/saved-views/shop?{of}", json=view)
    setting = {"value": "45s", "reason": canary}
    await _sent(http, "PUT", f"/api/v1/configuration/contract.shop.within?{of}", json=setting)
    window = {"id": canary, "kind": "deny", "schedule": "0 2 * * *", "duration": "1h"}
    await _sent(http, "POST", f"/api/v1/guards/windows?{of}", json=window)
    command = {"command_type": "immediate_reconciliation", "client_id": tenant, "stack_id": "shop"}
    await _sent(http, "POST", "/api/v1/commands", json={**command, "command_id": canary})


async def _stack(parts: Any, tenant: str, stack: str) -> None:
    now, ids = parts.clock.now(), parts.ids
    made = []
    for kind, said in (
        *stack_samples.planned(now),
        stack_samples.healed(now),
        stack_samples.completed(ids.new()),
    ):
        event_id = ids.new()
        about = _told(said, tenant, stack)
        if isinstance(about, events.DriftMoved | events.HealMoved):
            about = msgspec.structs.replace(about, event_id=event_id)
        because = events.Because(actor=f"user:{CANARIES[tenant]}")
        made.append(
            events.of_stack(kind, tenant, stack, about, now=now, event_id=event_id, because=because)
        )
    await parts.log.append(made)


def _told(said: msgspec.Struct, tenant: str, stack: str) -> Any:
    text = _of(msgspec.json.encode(said).decode(), tenant, stack)
    return msgspec.json.decode(text, type=type(said))


async def _people(parts: Any, tenant: str) -> None:
    people, canary = parts.access.people, CANARIES[tenant]
    grants = [model.Grant(role="viewer", tenant=tenant)]
    await people.invite(model.LOCAL, name=canary, display_name=canary, grants=grants, groups=[])
    await people.issue(model.LOCAL, name=canary, grants=grants)


async def settled(parts: Any) -> envelope.Position:
    """Return when the views show all that is in the log."""
    head: envelope.Position = await parts.log.head()
    for health in parts.views.health():
        await parts.views.wait_for(health.view, head, timeout_s=30.0)
    return head


async def _sent(http: httpx.AsyncClient, method: str, path: str, **request: Any) -> None:
    answer = await http.request(method, path, **request)
    assert answer.is_success, (method, path, answer.status_code, answer.text)
