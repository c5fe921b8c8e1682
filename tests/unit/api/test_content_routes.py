"""Cached content, sites and subscribers over the API."""

import json
import shutil
from pathlib import Path
from typing import Any

from helios.eventlog import envelope
from helios.kernel import clock as clocks

SITE = {
    "apiVersion": "helios.io/v1",
    "kind": "Site",
    "metadata": {"name": "blog"},
    "spec": {"build": {"type": "webhook", "url": "https://host.example/hook"}},
}
SUBSCRIBER = {
    "apiVersion": "helios.io/v1",
    "kind": "Subscriber",
    "metadata": {"name": "search"},
    "spec": {"deliver": {"type": "webhook", "url": "https://s.example/", "secret": "env:X"}},
}


async def published(helios: Any, name: str, second: int, title: str = "t") -> int:
    """Append what the webhook of a Strapi would have made; returns its position."""
    at = f"2026-01-01T00:00:{second:02}Z"
    entry = {"documentId": name, "title": title, "updatedAt": at, "publishedAt": at}
    event = {
        "source": "strapi",
        "eventType": "entry.publish",
        "payload": {"event": "entry.publish", "createdAt": at, "model": "article", "entry": entry},
        "metadata": {"provider": "strapi"},
    }
    answer = await helios.ingest(event)
    position: int = answer.json()["position"]
    return position


def test_a_page_of_content_is_not_sent_again_while_it_stands(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        at = await published(helios, "a", 1)
        first = await helios.get("/api/v1/content", headers={"helios-after": str(at)})
        tag = first.headers["etag"]
        assert tag.startswith('W/"'), "what is stale changes without it"
        for given in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
            again = await helios.http.get("/api/v1/content", headers={"if-none-match": given})
            assert (again.status_code, again.content) == (304, b""), given
            assert again.headers["etag"] == tag
        at = await published(helios, "a", 2, "changed")
        headers = {"if-none-match": tag, "helios-after": str(at)}
        changed = await helios.get("/api/v1/content", headers=headers)
        assert changed.status_code == 200
        assert [item["title"] for item in changed.json()["items"]] == ["changed"]
        assert changed.headers["etag"] != tag
        assert changed.headers["helios-position"] == str(at)

    run(scenario)


def test_a_tag_of_one_log_does_not_stand_for_another(run: Any, tmp_path: Path) -> None:
    async def scenario(helios: Any) -> str:
        at = await published(helios, "a", 1)
        page = await helios.get("/api/v1/content", headers={"helios-after": str(at)})
        tag: str = page.headers["etag"]
        return tag

    first = run(scenario)
    shutil.rmtree(tmp_path / "data")
    assert run(scenario) != first


def test_pages_of_different_questions_have_different_tags(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        at = await published(helios, "a", 1)
        await helios.get("/api/v1/content", headers={"helios-after": str(at)})
        questions = ["", "?limit=5", "?type=article", "?stage=draft", "?source=strapi,shop"]
        tags = {(await helios.get(f"/api/v1/content{q}")).headers["etag"] for q in questions}
        assert len(tags) == len(questions)
        swapped = await helios.get("/api/v1/content?source=shop,strapi")
        assert swapped.headers["etag"] in tags

    run(scenario)


def test_one_content_is_found_by_its_place_and_a_stranger_is_not(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        at = await published(helios, "a/b", 1)
        path = "/api/v1/content/strapi/article/a%2Fb"
        found = await helios.get(path, headers={"helios-after": str(at)})
        (item,) = found.json()["items"]
        assert (item["id"], item["raw"]["title"], item["stale"]) == ("a/b", "t", False)
        same = await helios.http.get(path, headers={"if-none-match": found.headers["etag"]})
        assert same.status_code == 304
        assert (await helios.get("/api/v1/content/strapi/article/none")).status_code == 404
        assert (await helios.get(f"{path}?client_id=other")).status_code == 404

    run(scenario)


def test_invalidated_content_says_that_it_is_stale(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await published(helios, "a", 1)
        await published(helios, "b", 1)
        asked = {"source": "strapi", "type": "article", "id": "a"}
        done = await helios.post("/api/v1/content/invalidate", asked)
        assert done.status_code == 202
        at = str(done.json()["position"])
        page = (await helios.get("/api/v1/content", headers={"helios-after": at})).json()
        assert {item["id"]: item["stale"] for item in page["items"]} == {"a": True, "b": False}
        for wrong in ({"source": "strapi", "id": "a"}, {}, {"source": "s", "kind": "x"}):
            assert (await helios.post("/api/v1/content/invalidate", wrong)).status_code == 400

    run(scenario)


def test_bad_questions_about_content_are_named(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for query in ("stage=gone", "limit=0", "limit=x", "colour=red", "cursor=%21"):
            answer = await helios.get(f"/api/v1/content?{query}")
            assert answer.status_code == 400, query

    run(scenario)


def test_a_site_is_declared_once_and_versions_are_compared(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        dry = await helios.call("PUT", "/api/v1/sites?dry_run=true", json=SITE)
        assert (dry.status_code, dry.json()["position"]) == (200, 0)
        assert (await helios.get("/api/v1/sites")).json() == {"sites": []}
        made = await helios.call("PUT", "/api/v1/sites", json=SITE)
        assert (made.status_code, made.json()["version"]) == (201, 1)
        same = await helios.call("PUT", "/api/v1/sites", json=SITE)
        assert (same.status_code, same.json()["unchanged"]) == (200, True)
        other = json.loads(json.dumps(SITE).replace("/hook", "/other"))
        refused = await helios.call("PUT", "/api/v1/sites", json=other, headers={"if-match": '"7"'})
        assert refused.status_code == 409
        taken = await helios.call("PUT", "/api/v1/sites", json=other, headers={"if-match": '"1"'})
        assert taken.json()["version"] == 2
        shown = (await helios.get("/api/v1/sites/blog")).json()
        assert (shown["executor"], shown["builds"], shown["waiting"]) == ("webhook", 0, 0)
        assert (shown["state"], shown["why"][-1]) == ("due", ".")
        asked = await helios.post("/api/v1/sites/blog/build")
        assert asked.status_code == 202
        gone = await helios.call("DELETE", "/api/v1/sites/blog")
        after = {"helios-after": str(gone.json()["position"])}
        assert (await helios.get("/api/v1/sites/blog", headers=after)).status_code == 404
        assert (await helios.post("/api/v1/sites/blog/build")).status_code == 404

    run(scenario)


def test_builds_that_are_not_there_are_not_found(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        assert (await helios.get("/api/v1/builds")).json() == {"builds": [], "next_cursor": None}
        for path in ("/api/v1/builds/x", "/api/v1/builds/..%2F..%2Fetc/log"):
            assert (await helios.get(path)).status_code == 404
        assert (await helios.post("/api/v1/builds/x/cancel")).status_code == 404
        assert (await helios.get("/api/v1/builds?cursor=x")).status_code == 400

    run(scenario)


def test_a_subscriber_is_declared_disabled_and_enabled(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        made = await helios.call("PUT", "/api/v1/subscribers", json=SUBSCRIBER)
        assert (made.status_code, made.json()["version"]) == (201, 1)
        same = await helios.call("PUT", "/api/v1/subscribers", json=SUBSCRIBER)
        assert same.json()["unchanged"] is True
        off = await helios.post("/api/v1/subscribers/search/disable")
        after = {"helios-after": str(off.json()["position"])}
        shown = (await helios.get("/api/v1/subscribers/search", headers=after)).json()
        assert (shown["state"], shown["detail"]) == ("disabled", "disabled by a person")
        on = await helios.post("/api/v1/subscribers/search/enable", {"skip": True})
        after = {"helios-after": str(on.json()["position"])}
        shown = (await helios.get("/api/v1/subscribers/search", headers=after)).json()
        assert (shown["state"], shown["cursor"]) == ("standby", on.json()["position"])
        wrong = await helios.post("/api/v1/subscribers/search/redeliver", {"positions": [1]})
        assert wrong.status_code == 400
        listed = await helios.get("/api/v1/subscribers/search/deliveries")
        assert listed.json() == {"deliveries": []}
        assert (await helios.call("DELETE", "/api/v1/subscribers/none")).status_code == 404

    run(scenario)


def test_declarations_are_not_taken_as_plain_text(run: Any) -> None:
    """A page of another origin may post plain text without asking; these run things."""

    async def scenario(helios: Any) -> None:
        for path, document in (("sites", SITE), ("subscribers", SUBSCRIBER)):
            answer = await helios.call(
                "POST",
                f"/api/v1/{path}",
                content=json.dumps(document),
                headers={"content-type": "text/plain"},
            )
            assert answer.status_code == 415

    run(scenario)


def test_a_declaration_of_another_version_hides_no_other(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for kind, made in (("site", SITE), ("subscriber", SUBSCRIBER)):
            await helios.call("PUT", f"/api/v1/{kind}s", json=made)
            event = envelope.NewEvent(
                id=f"later-{kind}",
                source="helios",
                type=f"{kind.title()}Declared",
                occurred_at=clocks.Timestamp(1),
                aggregate_type=f"helios.{kind}",
                aggregate_id="later",
                payload=json.dumps(
                    {"name": "later", "yaml": "kind: Later", "hash": "h", "start": "now"}
                ).encode(),
            )
            appended = await helios.parts.log.append([event])
            after = {"helios-after": str(appended.position)}
            page = (await helios.get(f"/api/v1/{kind}s", headers=after)).json()[f"{kind}s"]
            field = "executor" if kind == "site" else "channel"
            assert sorted(one[field] for one in page) == ["unreadable", "webhook"]

    run(scenario)


def test_the_mirror_is_read_by_client_by_provider_and_by_id(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for n, (source, client) in enumerate([("a", "x"), ("b", "x"), ("a", "y"), ("a", "x")]):
            event = {
                "source": source,
                "id": f"e{n}",
                "eventType": "T",
                "client_id": client,
                "occurred_at": f"2026-01-0{n + 1}T00:00:00Z",
                "payload": {"documentId": f"d{n}"},
                "metadata": {"environment": "prod"},
            }
            at = (await helios.ingest(event)).json()["position"]

        async def ids(query: str) -> list[str]:
            headers = {"helios-after": str(at)}
            page = await helios.get(f"/api/v1/mirror?{query}", headers=headers)
            return [event["event_id"] for event in page.json()["events"]]

        assert await ids("client_id=x") == ["e3", "e1", "e0"]
        assert await ids("client_id=x&provider=a") == ["e3", "e0"]
        assert await ids("client_id=x&start_time=2026-01-02T00:00:00Z") == ["e3", "e1"]
        assert await ids("client_id=x&end_time=2026-01-02T00:00:00Z") == ["e0"]
        assert await ids("client_id=y&event_id=e2") == ["e2"]
        assert await ids("client_id=x&event_id=e2") == []
        first = (await helios.get("/api/v1/mirror?client_id=x&limit=2")).json()
        rest = await ids(f"client_id=x&cursor={first['next_cursor']}")
        assert rest == ["e0"]
        full = (await helios.get("/api/v1/mirror?client_id=x&payload=true&limit=1")).json()
        (event,) = full["events"]
        assert (event["payload"], event["content_id"]) == ({"documentId": "d3"}, "d3")
        assert (event["environment"], event["drift_checked"]) == ("prod", False)
        for wrong in ("event_id=e&provider=a", "payload=yes", "cursor=x", "start_time=now"):
            assert (await helios.get(f"/api/v1/mirror?{wrong}")).status_code == 400

    run(scenario)
