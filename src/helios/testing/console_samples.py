"""A small world for tests of what the console shows: one contract, some keys that do not match."""

from typing import Any

from helios.access import model
from helios.api import access_rules, asgi, web
from helios.kernel import tenancy

CLIENT = "acme"
NAME = "order-fulfilment"
CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: order-fulfilment, client_id: acme}
spec:
  key: payload.orderId
  window: {type: per_key, size: 30s, grace: 5s}
  legs:
    order:   {source: aws, type: OrderPlaced}
    payment: {source: gcp, type: PaymentProcessed}
  rules:
    - {name: amount_mismatch, check: "payment.amount == order.amount"}
"""


def order(key: str, amount: float, second: int = 0, **change: Any) -> dict[str, Any]:
    """An order of this key, so many seconds after three o'clock."""
    return _event("aws", "OrderPlaced", f"o-{key}", key, amount, second, change)


def payment(key: str, amount: float, second: int = 1, **change: Any) -> dict[str, Any]:
    """A payment of this key, so many seconds after three o'clock."""
    return _event("gcp", "PaymentProcessed", f"p-{key}", key, amount, second, change)


def _event(  # noqa: PLR0917 - private, called twice
    source: str,
    kind: str,
    event_id: str,
    key: str,
    amount: float,
    second: int,
    change: dict[str, Any],
) -> dict[str, Any]:
    return {
        "source": source,
        "eventType": kind,
        "client_id": CLIENT,
        "id": event_id,
        "occurred_at": f"2026-01-02T03:{second // 60:02}:{second % 60:02}Z",
        "payload": {"orderId": key, "amount": amount},
        **change,
    }


EVENTS: tuple[dict[str, Any], ...] = (
    order("K/1", 10),
    payment("K/1", 10),
    order("K2", 10),
    payment("K2", 11),
    order("K3", 10),
    order("K4", 10, 300),
    payment("K5", 10, 300),
)
"""K/1 matches, K2 has another amount, K3 has no payment; K4 and K5 are open."""


async def judged(helios: Any, *more: dict[str, Any]) -> dict[str, str]:
    """Declare the contract and send these events; returns the header that waits for them."""
    declared = await helios.post(
        "/api/v1/contracts", content=CONTRACT.encode(), headers={"content-type": "text/yaml"}
    )
    assert declared.status_code == 201, declared.text
    answer = await helios.post("/api/v1/events/ingest/batch", [*EVENTS, *more])
    assert answer.status_code == 202, answer.text
    after = {"helios-after": answer.headers["helios-position"]}
    await helios.get(f"/api/v1/contracts/{NAME}/verdicts?client_id={CLIENT}", headers=after)
    return after


class Only:
    """A gate that lets everybody in, to the data of these clients."""

    def __init__(self, *tenants: str) -> None:
        self._scope = tenancy.Scope(frozenset(tenants))

    async def admit(
        self, request: web.Request, rule: access_rules.Rule
    ) -> tuple[model.Principal, tenancy.Scope]:
        """See `asgi.Gate`."""
        del request, rule
        grants = tuple(model.Grant(role="admin", tenant=each) for each in self._scope.tenants or ())
        return model.Principal(kind="user", name="ada", grants=grants), self._scope

    def still(self, principal: model.Principal) -> bool:
        """See `asgi.Gate`."""
        del principal
        return True


def seen_by(helios: Any, *tenants: str) -> Any:
    """The same application as somebody sees it who may read these clients only."""
    application = asgi.Application(helios.application.routes, gate=Only(*tenants))
    return type(helios)(helios.parts, application)
