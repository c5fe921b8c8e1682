"""Sources over the API: declared, listed, paused, removed; refused with their place."""

import json
from pathlib import Path
from typing import Any

PATH = "/api/v1/sources"
YAML = {"content-type": "application/yaml"}
SOURCE = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: shop, client_id: acme, description: the shop's own events}
spec:
  provider: standard-webhooks
  secrets: [secret:shop]
"""
OTHER = SOURCE.replace("name: shop", "name: other")


async def declare(helios: Any, text: str = SOURCE, query: str = "", **headers: str) -> Any:
    return await helios.post(PATH + query, content=text.encode(), headers={**YAML, **headers})


def test_a_declared_source_tells_its_webhook_and_what_it_lacks(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await declare(helios)
        assert made.status_code == 201, made.text
        (one,) = made.json()["sources"]
        (warning,) = one.pop("warnings")
        assert "helios secrets set shop" in warning
        assert one == {
            "name": "shop",
            "client_id": "acme",
            "provider": "standard-webhooks",
            "version": 1,
            "position": 1,
            "unchanged": False,
            "dry_run": False,
            "webhook_url": "http://helios/webhook/shop/acme",
        }
        assert made.headers["etag"] == '"1"'
        shown = (await helios.get(f"{PATH}/shop?client_id=acme")).json()
        assert shown["yaml"] == SOURCE
        assert shown["webhook"] == "/webhook/shop/acme"
        assert shown["status"]["state"] == "unreadable"
        assert shown["spec"]["secrets"] == ["secret:shop"]
        assert shown["spec"]["poll"] is None
        assert (await helios.get(PATH)).json()["sources"] == [shown]
        assert (await helios.get(f"{PATH}?client_id=x")).json()["sources"] == []
        assert (await helios.get(f"{PATH}/shop")).status_code == 404

    run(scenario)


def test_a_secret_that_is_set_later_makes_the_source_usable(run: Any, tmp_path: Path) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        helios.parts.ingestion.vault.put("shop", b"whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
        shown = (await helios.get(f"{PATH}/shop?client_id=acme")).json()
        assert shown["status"]["state"] == "idle"
        again = await declare(helios, SOURCE + "  environment: prod\n")
        assert again.json()["sources"][0]["warnings"] == []
        assert again.json()["sources"][0]["version"] == 2

    run(scenario)


def test_several_documents_take_effect_together_or_not_at_all(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        broken = await declare(helios, f"{SOURCE}---\n{OTHER.replace('webhooks', 'webhoks')}")
        assert broken.status_code == 400
        assert (broken.json()["line"], broken.json()["field"]) == (12, "spec.provider")
        assert "did you mean 'standard-webhooks'?" in broken.json()["detail"]
        assert await helios.parts.log.head() == 0
        both = await declare(helios, f"{SOURCE}---\n{OTHER}")
        assert [s["name"] for s in both.json()["sources"]] == ["shop", "other"]
        half = await declare(helios, f"{SOURCE}---\n{OTHER}  environment: prod\n")
        assert [s["unchanged"] for s in half.json()["sources"]] == [True, False]
        assert await helios.parts.log.head() == 3
        same = await declare(helios, f"{SOURCE}---\n{OTHER}  environment: prod\n")
        assert same.status_code == 200
        twice = await declare(helios, f"{SOURCE}---\n{SOURCE}")
        assert "declared twice" in twice.json()["detail"]

    run(scenario)


def test_a_dry_run_changes_nothing(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        checked = await declare(helios, query="?dry_run=true")
        assert (checked.status_code, checked.json()["sources"][0]["dry_run"]) == (200, True)
        assert await helios.parts.log.head() == 0

    run(scenario)


def test_pausing_stays_over_declarations_that_do_not_speak_of_it(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        async def paused() -> bool:
            found: bool = (await helios.get(f"{PATH}/shop?client_id=acme")).json()["paused"]
            return found

        await declare(helios)
        done = await helios.post(f"{PATH}/shop/pause?client_id=acme")
        assert done.json() == {
            "name": "shop", "client_id": "acme", "position": 2, "unchanged": False
        }  # fmt: skip
        assert (await helios.post(f"{PATH}/shop/pause?client_id=acme")).json()["unchanged"]
        assert await paused()
        await declare(helios, SOURCE + "  environment: prod\n")
        assert await paused()
        await declare(helios, SOURCE + "  paused: false\n")
        assert not await paused()
        await declare(helios, SOURCE + "  paused: true\n")
        assert await paused()
        await helios.post(f"{PATH}/shop/resume?client_id=acme")
        assert not await paused()
        again = await declare(helios, SOURCE + "  paused: true\n")
        assert not again.json()["sources"][0]["unchanged"]
        assert (await helios.post(f"{PATH}/none/pause")).status_code == 404

    run(scenario)


def test_a_removed_source_is_gone_and_goes_on_counting_when_it_comes_back(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios, SOURCE + "  paused: true\n")
        gone = await helios.call("DELETE", f"{PATH}/shop?client_id=acme")
        assert gone.json()["position"] == 2
        one = await helios.get(f"{PATH}/shop?client_id=acme")
        assert (one.status_code, "declare it anew" in one.json()["detail"]) == (404, True)
        assert (await helios.call("DELETE", f"{PATH}/shop?client_id=acme")).status_code == 404
        assert (await helios.post(f"{PATH}/shop/pause?client_id=acme")).status_code == 404
        back = await declare(helios)
        assert back.json()["sources"][0]["version"] == 2
        shown = (await helios.get(f"{PATH}/shop?client_id=acme")).json()
        assert not shown["paused"]

    run(scenario)


def test_the_events_of_a_source_are_no_new_versions_of_its_declaration(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        event = {"source": "shop", "client_id": "acme", "eventType": "OrderPlaced", "payload": {}}
        assert (await helios.ingest(event)).status_code == 202
        again = await declare(helios, SOURCE + "  environment: prod\n", **{"if-match": '"1"'})
        assert again.status_code == 201, again.text

    run(scenario)


def test_nobody_adds_to_what_only_helios_tells_of(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        aggregate = {"type": "helios.source", "id": "shop"}
        event = {"source": "x", "client_id": "acme", "eventType": "SourceRemoved", "payload": {}}
        refused = await helios.ingest({**event, "aggregate": aggregate})
        assert (refused.status_code, refused.json()["field"]) == (400, "aggregate.type")
        told = {"specversion": "1.0", "id": "1", "source": "x", "type": "y"}
        cloud = await helios.post(
            "/api/v1/cloudevents",
            content=json.dumps({**told, "aggregatetype": "helios.source", "aggregateid": "shop"}),
            headers={"content-type": "application/cloudevents+json"},
        )
        assert (cloud.status_code, cloud.json()["field"]) == (400, "aggregate.type")

    run(scenario)


def test_if_match_protects_against_a_lost_update(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        assert (await declare(helios, **{"if-match": '"1"'})).status_code == 409
        await declare(helios)
        await helios.post(f"{PATH}/shop/pause?client_id=acme")
        changed = SOURCE + "  environment: prod\n"
        assert (await declare(helios, changed, **{"if-match": '"1"'})).status_code == 201
        stale = await declare(helios, SOURCE, **{"if-match": '"1"'})
        assert (stale.status_code, stale.json()["code"]) == (409, "conflict")
        path = f"{PATH}/shop?client_id=acme"
        assert (await helios.call("DELETE", path, headers={"if-match": '"1"'})).status_code == 409
        assert (await helios.call("DELETE", path, headers={"if-match": '"2"'})).status_code == 200
        several = await declare(helios, f"{SOURCE}---\n{OTHER}", **{"if-match": '"2"'})
        assert several.status_code == 400

    run(scenario)


def test_a_key_replays_what_was_done(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        key = {"idempotency-key": "k"}
        first = await declare(helios, **key)
        again = await declare(helios, **key)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        other = await declare(helios, SOURCE + "  environment: prod\n", **key)
        assert other.status_code == 422
        path = f"{PATH}/shop?client_id=acme"
        gone = await helios.call("DELETE", path, headers=key)
        same = await helios.call("DELETE", path, headers=key)
        assert same.json() == gone.json()
        assert await helios.parts.log.head() == 2

    run(scenario)


def test_an_inline_secret_is_refused_and_told_to_nobody(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for text in (
            SOURCE.replace("secret:shop", "hunter2-hunter2"),
            SOURCE + "  credentials: {token: hunter2-hunter2}\n",
            SOURCE + "  options: {api_key: hunter2-hunter2}\n",
        ):
            refused = await declare(helios, text)
            assert refused.status_code == 400
            assert "secret:NAME" in refused.json()["detail"]
            assert "hunter2" not in refused.text
        assert await helios.parts.log.head() == 0

    run(scenario)


def test_what_is_no_declaration_is_refused(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for body in (b"", b"---\n", b"[]", b"\xff", b"a: [", b"&a [*a]", b"{" * 10_000):
            answer = await helios.post(PATH, content=body, headers=YAML)
            assert answer.status_code == 400, body[:20]
        large = await helios.post(PATH, content=b"#" * (300 << 10), headers=YAML)
        assert large.status_code == 413
        other = await helios.post(PATH, content=b"{}", headers={"content-type": "image/png"})
        assert other.status_code == 415

    run(scenario)


def test_sources_survive_a_restart(run: Any) -> None:
    async def first(helios: Any) -> None:
        await declare(helios)

    async def second(helios: Any) -> None:
        assert helios.parts.ingestion.table.entries()[0].name == "shop"

    run(first)
    run(second)


def test_readiness_names_each_source_and_is_not_lost_over_one(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        await declare(helios, SOURCE.replace("acme", "other"))
        ready = await helios.get("/ready")
        (check,) = [c for c in ready.json()["checks"] if c["name"] == "source:acme/shop"]
        assert (ready.status_code, check["ok"]) == (200, True)
        assert check["detail"].startswith("unreadable: source shop: secret:shop: it is not there")
        shown = (await helios.get("/metrics")).text
        assert 'helios_source_state{client_id="acme",source="shop",state="unreadable"} 1.0' in shown

    run(scenario)
