"""How well contracts match, over time and leg by leg."""

from typing import Any

from helios.testing import console_samples as world


def test_verdicts_of_all_contracts_are_listed_by_a_filter(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await world.judged(helios)

        async def keys(text: str, **more: Any) -> list[str]:
            found = (await helios.get("/api/v1/verdicts", params={"filter": text, **more})).json()
            return sorted(each["key"] for each in found["verdicts"])

        assert await keys("") == ["K/1", "K2", "K3"]
        assert await keys("-status:matched") == ["K2", "K3"]
        assert await keys("status:matched,partial") == ["K/1", "K3"]
        assert await keys("", status="mismatched,partial") == ["K2", "K3"]
        assert await keys("missing:payment") == ["K3"]
        assert await keys("rule:amount_*") == ["K2"]
        assert await keys("k2") == ["K2"]
        assert await keys("amount_mismatch") == ["K2"]
        assert await keys("contract:other") == []
        assert await keys("", client_id="bolt") == []
        first = (await helios.get("/api/v1/verdicts", params={"limit": 2})).json()
        rest = {"limit": 2, "cursor": first["next_cursor"]}
        second = (await helios.get("/api/v1/verdicts", params=rest)).json()
        listed = [each["key"] for each in first["verdicts"] + second["verdicts"]]
        assert sorted(listed) == ["K/1", "K2", "K3"]
        odd = await helios.get("/api/v1/verdicts", params={"filter": "colour:red"})
        assert "verdicts have no field 'colour'" in odd.json()["detail"]
        bolt = world.seen_by(helios, "bolt")
        assert (await bolt.get("/api/v1/verdicts")).json()["verdicts"] == []

    run(scenario)


def test_rates_count_what_was_decided_in_each_window(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await world.judged(helios)
        asked = {"window": "5m", "buckets": 3, "to": "2026-01-02T03:10:00Z"}
        found = (await helios.get("/api/v1/matching/rates", params=asked)).json()
        assert found["contracts"] == [world.NAME]
        assert found["is_whole"] is True
        sums = [
            sum(each[status] for each in found["windows"])
            for status in ("matched", "mismatched", "partial")
        ]
        assert sums == [1, 1, 1]
        first = found["windows"][1]
        assert first["start"].startswith("2026-01-02T03:00:00")
        bolt = world.seen_by(helios, "bolt")
        none = (await bolt.get("/api/v1/matching/rates", params=asked)).json()
        assert none["contracts"] == []
        odd = await helios.get("/api/v1/matching/rates", params={"window": "2m"})
        assert odd.status_code == 400

    run(scenario)


def test_the_matrix_tells_leg_by_leg_what_is_wrong_and_how_to_list_it(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        twice = world.payment("K/1", 10, 2, id="p-twice")
        await world.judged(helios, twice)
        asked = {"contract": world.NAME}
        found = (await helios.get("/api/v1/matching/matrix", params=asked)).json()
        order, payment = found["legs"]
        assert payment["missing"]["by_status"] == {"partial": 1}
        assert (order["conflicting"]["count"], payment["conflicting"]["count"]) == (1, 1)
        assert payment["duplicate"]["by_status"] == {"mismatched": 1}
        for cell in (payment["missing"], payment["conflicting"], payment["duplicate"]):
            listed = await helios.get("/api/v1/verdicts", params={"filter": cell["filter"]})
            assert len(listed.json()["verdicts"]) == cell["count"], cell
        late = world.payment("K3", 10, 3, id="p-late")
        answer = await helios.ingest(late)
        after = {"helios-after": answer.headers["helios-position"]}
        await helios.get("/api/v1/verdicts", headers=after)
        again = (await helios.get("/api/v1/matching/matrix", params=asked)).json()
        # The second payment of K/1 came when the key was done with, so it is late too.
        assert again["legs"][1]["late"]["by_status"] == {"matched": 1, "mismatched": 1}
        assert again["legs"][1]["missing"]["count"] == 0
        assert (await helios.get("/api/v1/matching/matrix")).status_code == 400
        none = await helios.get("/api/v1/matching/matrix", params={"contract": "x"})
        assert none.status_code == 404

    run(scenario)
