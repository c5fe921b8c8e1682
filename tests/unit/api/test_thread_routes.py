"""The thread from an event to its effects, and the tree of causes and effects."""

from collections.abc import Sequence
from typing import Any

import pytest

from helios.reconcile.compositions import events, model, writer
from helios.testing import console_samples as world
from helios.testing import stack_samples as samples

PATH = "/api/v1/thread"
OURS = {"client_id": samples.CLIENT}


async def tell(helios: Any, said: Sequence[writer.Said]) -> dict[str, str]:
    parts = helios.parts
    position = await samples.tell(parts.log, said, now=parts.clock.now(), id_source=parts.ids)
    return {"helios-after": str(position)}


async def follow(helios: Any, of: str, name: str, **more: Any) -> Any:
    answer = await helios.get(PATH, params={"of": of, "id": name, **OURS}, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def drifted(helios: Any) -> int:
    """A drift that an event of the provider brought about; where that event is."""
    sent = await helios.ingest(
        {
            "source": "strapi", "eventType": "WebhookChanged", "client_id": samples.CLIENT,
            "id": "hook-1", "payload": {"url": "https://elsewhere.example.com"},
        }
    )  # fmt: skip
    position = int(sent.headers["helios-position"])
    now = helios.parts.clock.now()
    origin = model.Origin(actor="user:eve", event_id="hook-1", position=position)
    said = [samples.declared(), samples.moved(samples.drift(now, origin=origin))]
    await tell(helios, [*said, *samples.planned(now)[2:]])
    return position


def states(found: Any) -> dict[str, str]:
    return {each["stage"]: each["state"] for each in found["links"]}


def test_all_that_is_about_one_difference_has_the_same_thread(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        position = await drifted(helios)
        now = helios.parts.clock.now()
        after = await tell(helios, [samples.healed(now)])
        found = await follow(helios, "drift", samples.DRIFT, headers=after)
        assert [each["stage"] for each in found["links"]] == [
            "event", "view", "drift", "plan", "approval", "effect", "verification",
        ]  # fmt: skip
        assert states(found) == {
            "event": "done", "view": "done", "drift": "done", "plan": "done",
            "approval": "pending", "effect": "pending", "verification": "pending",
        }  # fmt: skip
        assert found["links"][0]["link"] == f"/events/{position}"
        assert found["links"][2]["is_asked"] is True
        assert found["links"][2]["detail"].endswith(", seen once")
        assert found["is_closed"] is False
        others = [
            ("plan", samples.PLAN), ("approval", samples.APPROVAL), ("heal", "action-1"),
            ("event", str(position)), ("event", "hook-1"),
        ]  # fmt: skip
        for of, name in others:
            other = await follow(helios, of, name)
            assert states(other) == states(found), (of, name)
            (asked,) = [each for each in other["links"] if each["is_asked"]]
            assert asked["stage"] == {"heal": "effect"}.get(of, of)

    run(scenario)


def test_what_helped_closes_the_thread_with_the_time_it_took(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await drifted(helios)
        now = helios.parts.clock.now()
        grant = model.Grant(
            actor="user:ada", roles=("approver",), digest=samples.DIGEST, granted=True,
            reason="as discussed", at=now,
        )  # fmt: skip
        answer = events.ApprovalAnswered(approval_id=samples.APPROVAL, grant=grant)
        said = [(events.APPROVAL_GRANTED, answer)]
        healed = samples.healed(now, "succeeded", ended_at=now + 2_000_000, acted_at=now)
        after = await tell(helios, [*said, samples.healed(now), healed])
        found = await follow(helios, "drift", samples.DRIFT, headers=after)
        assert (states(found)["approval"], states(found)["effect"]) == ("done", "done")
        last = found["links"][-1]
        assert (last["stage"], last["state"]) == ("verification", "done")
        assert last["delta_ms"] == pytest.approx(2_000)

    run(scenario)


def test_a_drift_that_nothing_told_of_has_a_missing_event(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        now = helios.parts.clock.now()
        drift = samples.drift(now, origin=model.Origin(), evidence=())
        after = await tell(helios, [samples.declared(), samples.moved(drift)])
        found = await follow(helios, "drift", samples.DRIFT, headers=after)
        assert states(found)["event"] == "missing"
        assert states(found)["plan"] == "pending"
        assert states(found)["effect"] == "pending"

    run(scenario)


def test_the_thread_of_a_key_leads_from_its_events_to_its_verdict(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await world.judged(helios)
        ours = {"client_id": world.CLIENT}
        for of, name in (("verdict", f"{world.NAME}/K2"), ("verdict", f"{world.NAME}/K2/1")):
            found = (await helios.get(PATH, params={"of": of, "id": name, **ours})).json()
            assert states(found) == {
                "event": "done", "view": "done", "verdict": "done", "verification": "pending",
            }  # fmt: skip
        event = {"of": "event", "id": "o-K2", **ours}
        event = (await helios.get(PATH, params=event, headers=after)).json()
        assert event["links"][0]["is_asked"] is True
        assert states(event)["verdict"] == "done"
        matched = {"of": "verdict", "id": f"{world.NAME}/K/1", **ours}
        assert (await helios.get(PATH, params=matched)).json()["is_closed"] is True

    run(scenario)


def test_what_is_not_there_or_may_not_be_seen_has_no_thread(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        position = await drifted(helios)
        bolt = world.seen_by(helios, "bolt")
        for of, name in (("drift", "x"), ("verdict", "a/b"), ("event", "none"), ("plan", "d1")):
            answer = await helios.get(PATH, params={"of": of, "id": name})
            assert answer.status_code == 404, (of, name)
        for of, name in (("drift", samples.DRIFT), ("event", str(position))):
            assert (await bolt.get(PATH, params={"of": of, "id": name})).status_code == 404
        assert (await bolt.get(f"/api/v1/causation/{position}")).status_code == 404
        assert (await helios.get(PATH, params={"of": "cloud", "id": "x"})).status_code == 400
        assert (await helios.get(PATH, params={"of": "drift"})).status_code == 400

    run(scenario)


def test_the_tree_tells_what_caused_an_event_and_what_came_of_it(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        def sent(name: str, cause: str | None, source: str) -> dict[str, Any]:
            return {
                "source": source, "eventType": f"{name}Happened", "id": name, "client_id": "acme",
                "causation_id": cause, "payload": {},
            }  # fmt: skip

        chain = [("a", None, "helios-shop"), ("b", "a", "till"), ("c", "b", "till")]
        for name, cause, source in [*chain, ("d", "b", "bank"), ("x", None, "till")]:
            answer = await helios.ingest(sent(name, cause, source))
            assert answer.status_code < 300, answer.text
        asked = {"client_id": "acme"}
        after = {"helios-after": answer.headers["helios-position"]}
        found = (await helios.get("/api/v1/causation/b", params=asked, headers=after)).json()
        made = {each["event_id"]: each for each in found["nodes"]}
        assert {name: each["kind"] for name, each in made.items()} == {
            "a": "cause", "b": "self", "c": "effect", "d": "effect",
        }  # fmt: skip
        assert made["d"]["parent"] == made["b"]["position"]
        assert [made[name]["depth"] for name in "abcd"] == [-1, 0, 1, 1]
        assert (made["c"]["crosses"], made["d"]["crosses"]) == (False, True)
        assert made["b"]["delta_ms"] >= 0
        assert found["is_whole"] is True

    run(scenario)
