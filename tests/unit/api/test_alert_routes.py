"""What was told of keys that do not match, by page and filter."""

from collections.abc import Awaitable, Callable
from typing import Any

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.streams import repair_events, verdicts

Run = Callable[[Callable[[Any], Awaitable[Any]]], Any]

NOW = clocks.Timestamp(1_767_225_600_000_000)


def verdict(number: int, *, contract: str = "orders", tenant: str = "acme") -> verdicts.Verdict:
    return verdicts.Verdict(
        tenant=tenant,
        contract=contract,
        contract_version=1,
        key=f"k{number}",
        window_start=NOW,
        window_end=NOW,
        revision=1,
        status="partial",
        events={"order": ["e"]},
        missing_events=["payment"],
        validation_errors={"amount": {"expected": 1, "actual": 2}},
        events_count=1,
        late=False,
        position=number,
        created_at=NOW,
    )


def alert(number: int, **options: Any) -> envelope.NewEvent:
    return repair_events.alerted(verdict(number, **options), "payment missing", NOW)


async def keys(helios: Any, query: str, position: int) -> list[str]:
    answer = await helios.get(f"/api/v1/alerts{query}", headers={"helios-after": str(position)})
    assert answer.status_code == 200, answer.text
    return [each["key"] for each in answer.json()["alerts"]]


def test_alerts_are_listed_newest_first_by_client_contract_and_time(run: Run) -> None:
    async def scenario(helios: Any) -> None:
        assert await keys(helios, "", 0) == []
        events = [
            alert(1),
            alert(2, contract="returns"),
            alert(3, tenant="other"),
        ]
        head = (await helios.parts.log.append(events)).position
        assert await keys(helios, "", head) == ["k3", "k2", "k1"]
        assert await keys(helios, "?client_id=acme", head) == ["k2", "k1"]
        assert await keys(helios, "?client_id=acme&contract=returns", head) == ["k2"]
        later = clocks.to_rfc3339(clocks.Timestamp(helios.parts.clock.now() + 60_000_000))
        assert await keys(helios, f"?since={later}", head) == []
        assert await keys(helios, "?since=2026-01-01T00:00:00Z&contract=orders", head) == [
            "k3",
            "k1",
        ]
        (first,) = (await helios.get("/api/v1/alerts?contract=returns")).json()["alerts"]
        assert first["validation_errors"] == {"amount": {"expected": 1, "actual": 2}}
        assert (first["verdict"], first["count"]) == ("returns/k2/1", 1)

    run(scenario)


def test_pages_of_alerts_lead_to_the_end(run: Run) -> None:
    async def scenario(helios: Any) -> None:
        events = [alert(number) for number in range(7)]
        head = (await helios.parts.log.append(events)).position
        await keys(helios, "", head)
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            answer = (await helios.get(f"/api/v1/alerts?limit=3{cursor}")).json()
            found += [each["key"] for each in answer["alerts"]]
            following = answer["next_cursor"]
            cursor = f"&cursor={following}" if following else None
        assert found == [f"k{number}" for number in reversed(range(7))]

    run(scenario)


def test_an_alert_of_many_names_no_key(run: Run) -> None:
    async def scenario(helios: Any) -> None:
        said = repair_events.Alerted(
            contract="orders", version=1, count=1234, reason="and more", after=3, upto=9
        )
        event = repair_events.summarised("acme", said, NOW)
        head = (await helios.parts.log.append([event])).position
        await keys(helios, "", head)
        (found,) = (await helios.get("/api/v1/alerts")).json()["alerts"]
        assert (found["count"], found["key"], found["status"]) == (1234, None, None)
        metrics = (await helios.get("/metrics")).text
        assert 'helios_alerts_total{client_id="acme",contract="orders"} 1234.0' in metrics

    run(scenario)


def test_bad_parameters_are_refused(run: Run) -> None:
    async def scenario(helios: Any) -> None:
        for query in ("since=yesterday", "limit=0", "cursor=nonsense", "colour=red"):
            assert (await helios.get(f"/api/v1/alerts?{query}")).status_code == 400

    run(scenario)
