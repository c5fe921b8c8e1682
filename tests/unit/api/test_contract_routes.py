from typing import Any

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
PATH = "/api/v1/contracts"
YAML = {"content-type": "application/yaml"}


async def _declare(helios: Any, text: str = CONTRACT, **headers: str) -> Any:
    return await helios.post(PATH, content=text.encode(), headers={**YAML, **headers})


def test_a_declared_contract_is_listed_with_its_version(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await _declare(helios)
        assert made.status_code == 201
        assert made.json() == {
            "name": "order-fulfilment",
            "client_id": "acme",
            "version": 1,
            "position": 1,
            "unchanged": False,
            "dry_run": False,
            "legs": ["order", "payment"],
            "rules": ["amount_mismatch"],
        }
        assert made.headers["etag"] == '"1"'
        (listed,) = (await helios.get(PATH)).json()["contracts"]
        assert listed["yaml"] == CONTRACT
        assert (await helios.get(f"{PATH}?client_id=other")).json()["contracts"] == []
        one = await helios.get(f"{PATH}/order-fulfilment?client_id=acme")
        assert one.json() == listed
        assert (await helios.get(f"{PATH}/order-fulfilment")).status_code == 404

    run(scenario)


def test_the_same_document_again_changes_nothing(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await _declare(helios)
        again = await _declare(helios)
        assert (again.status_code, again.json()["unchanged"]) == (200, True)
        assert await helios.parts.log.head() == 1

    run(scenario)


def test_a_changed_document_is_the_next_version_and_the_history_stays(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await _declare(helios)
        second = await _declare(helios, CONTRACT.replace("30s", "60s"))
        assert second.json()["version"] == 2
        gone = await helios.call("DELETE", f"{PATH}/order-fulfilment?client_id=acme")
        assert gone.json() == {"name": "order-fulfilment", "client_id": "acme", "position": 3}
        after = {"helios-after": "3"}
        one = await helios.get(f"{PATH}/order-fulfilment?client_id=acme", headers=after)
        assert one.status_code == 404
        told = await helios.get(f"{PATH}/order-fulfilment/history?client_id=acme", headers=after)
        versions = told.json()["versions"]
        assert [(v["version"], v["withdrawn"]) for v in versions] == [(1, False), (2, True)]
        again = await helios.call("DELETE", f"{PATH}/order-fulfilment?client_id=acme")
        assert again.status_code == 404

    run(scenario)


def test_if_match_protects_against_a_lost_update(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await _declare(helios)
        changed = CONTRACT.replace("30s", "60s")
        assert (await _declare(helios, changed, **{"if-match": '"1"'})).status_code == 201
        stale = await _declare(helios, CONTRACT, **{"if-match": '"1"'})
        assert (stale.status_code, stale.json()["code"]) == (409, "conflict")
        path = f"{PATH}/order-fulfilment?client_id=acme"
        assert (await helios.call("DELETE", path, headers={"if-match": '"1"'})).status_code == 409
        assert (await helios.call("DELETE", path, headers={"if-match": '"2"'})).status_code == 200

    run(scenario)


def test_a_dry_run_checks_and_declares_nothing(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        done = await helios.post(f"{PATH}?dry_run=true", content=CONTRACT.encode(), headers=YAML)
        assert (done.status_code, done.json()["dry_run"]) == (200, True)
        assert await helios.parts.log.head() == 0
        bad = await helios.post(f"{PATH}?dry_run=1", content=CONTRACT.encode(), headers=YAML)
        assert bad.status_code == 400

    run(scenario)


def test_a_key_replays_a_declaration_and_a_withdrawal(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        key = {"idempotency-key": "k"}
        first = await _declare(helios, **key)
        again = await _declare(helios, **key)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        path = f"{PATH}/order-fulfilment?client_id=acme"
        gone = await helios.call("DELETE", path, headers=key)
        await helios.get(PATH, headers={"helios-after": "2"})
        same = await helios.call("DELETE", path, headers=key)
        assert same.json() == gone.json()
        assert same.headers["idempotency-replayed"] == "true"
        assert await helios.parts.log.head() == 2

    run(scenario)


def test_a_broken_contract_is_refused_with_its_place(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        broken = CONTRACT.replace("payment.amount == order.amount", "payment.amount ==")
        answer = await _declare(helios, broken)
        assert answer.status_code == 400
        assert answer.json()["line"] == 11
        assert answer.json()["column"] is not None
        for body in (b"", b"[]", b"\xff", b"a: [", b"{" * 10_000, b"&a [*a]", b"x: " * 20_000):
            answer = await helios.post(PATH, content=body, headers=YAML)
            assert answer.status_code == 400, body[:20]
        large = await helios.post(PATH, content=b"#" * (300 << 10), headers=YAML)
        assert large.status_code == 413
        other = await helios.post(PATH, content=b"{}", headers={"content-type": "image/png"})
        assert other.status_code == 415

    run(scenario)


def test_a_contract_may_be_json(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        document = {
            "apiVersion": "helios.io/v1",
            "kind": "StreamContract",
            "metadata": {"name": "two"},
            "spec": {
                "key": "payload.id",
                "legs": {"a": {"source": "x", "type": "A"}, "b": {"source": "x", "type": "B"}},
            },
        }
        assert (await helios.post(PATH, document)).status_code == 201
        twice = b'{"apiVersion":"helios.io/v1","apiVersion":"helios.io/v1"}'
        kind = {"content-type": "application/json"}
        assert (await helios.post(PATH, content=twice, headers=kind)).status_code == 400

    run(scenario)
