"""What acts: the last change of a setting in its scope, and the last good one if that is odd."""

import json
from typing import Any

import msgspec
import pytest

from helios.configuration import events, live, view
from helios.eventlog import envelope
from helios.kernel import clock as clocks


def change(name: str, position: int, value: Any, client_id: str = "helios") -> view.Change:
    payload = {"name": name, "client_id": client_id, "value": value, "previous": "x"}
    return view.change(
        envelope.Event(
            position=envelope.Position(position),
            sequence=position,
            recorded_at=clocks.Timestamp(position),
            id=f"e{position}",
            source=events.SOURCE,
            type=events.CHANGED,
            occurred_at=clocks.Timestamp(position),
            tenant=client_id,
            aggregate_type=events.AGGREGATE_TYPE,
            aggregate_id=name,
            payload=json.dumps(payload).encode(),
        )
    )


def reset(name: str, position: int, client_id: str = "helios") -> view.Change:
    return msgspec.structs.replace(change(name, position, "x", client_id), is_set=False)


def test_a_change_acts_on_who_asks_each_time() -> None:
    values = live.Live({"content.ttl": "2h"})
    ttl = values.seconds("content.ttl")
    assert ttl() == 7200.0
    values.take(change("content.ttl", 1, value="30s"))
    assert ttl() == 30.0
    values.take(reset("content.ttl", 2))
    assert ttl() == 7200.0


def test_what_was_taken_already_changes_nothing() -> None:
    values = live.Live()
    values.take(change("content.ttl", 5, value="30s"))
    values.take(change("content.ttl", 4, value="10s"))
    values.take(reset("content.ttl", 5))
    assert values.get("content.ttl") == "30s"


def test_a_switch_is_on_for_a_client_when_it_is_on_for_all_and_for_the_client() -> None:
    values = live.Live()
    may = values.switch_of("builds.enabled")
    values.take(change("builds.enabled", 1, value=False, client_id="acme"))
    assert (may("acme"), may("other")) == (False, True)
    values.take(change("builds.enabled", 2, value=False))
    values.take(change("builds.enabled", 3, value=True, client_id="acme"))
    assert (may("acme"), may("other")) == (False, False)


@pytest.mark.parametrize("value", ["900d", "x", 7.5, None, ["a"], True])
def test_a_value_that_cannot_be_read_leaves_the_last_good_one_and_is_told(value: Any) -> None:
    values = live.Live()
    values.take(change("content.ttl", 1, value="30s"))
    values.take(change("alerts.per_minute_max", 2, value=5))
    try:
        values.take(change("content.ttl", 3, value=value))
    except Exception as error:  # noqa: BLE001 - what the event cannot be read as
        values.unread(
            envelope.Event(
                position=envelope.Position(3),
                sequence=3,
                recorded_at=clocks.Timestamp(3),
                id="e3",
                source="helios",
                type=events.CHANGED,
                occurred_at=clocks.Timestamp(3),
                aggregate_type="setting",
                aggregate_id="content.ttl",
            ),
            error,
        )
    if value == 7.5:  # seconds
        assert values.get("content.ttl") == "7s500ms"
        return
    assert values.get("content.ttl") == "30s"
    assert "position 3" in values.unreadable["content.ttl"]
    values.take(change("content.ttl", 4, value="31s"))
    assert values.get("content.ttl") == "31s"
    assert values.unreadable == {}


def test_a_setting_that_only_a_newer_helios_knows_is_told_and_harms_nothing() -> None:
    values = live.Live()
    values.take(change("brand.new", 1, value=1))
    assert "brand.new" in values.unreadable


def test_settings_of_contracts_and_guards_are_left_to_their_truth() -> None:
    values = live.Live()
    values.take(change("contract.order-match.within", 1, value="1h"))
    values.take(change("healing.enabled", 2, value=False))
    assert values.get("healing.enabled") is True
    assert values.unreadable == {}


def test_who_watches_is_told_after_the_change() -> None:
    values = live.Live()
    seen: list[Any] = []
    values.watch("log.level", lambda: seen.append(values.get("log.level")))
    values.take(change("content.ttl", 1, value="30s"))
    values.take(change("log.level", 2, value="error"))
    values.take(change("log.level", 3, value="louder"))
    assert seen == ["error"]
