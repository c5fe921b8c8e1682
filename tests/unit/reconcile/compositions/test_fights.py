import drifting
import situations

from helios.kernel import clock as clocks
from helios.reconcile.compositions import fights, model, stack

NOW = situations.NOW
DRIFT = situations.drift(origin=model.Origin(actor="user:ada", channel="webhook"))


def _state(*minutes_ago: float) -> stack.Stack:
    healed = tuple(
        clocks.Timestamp(NOW - int(minutes * 60 * situations.SECOND)) for minutes in minutes_ago
    )
    past = stack.Past(occurrence=1, closed="healed", closed_at=NOW, healed=healed)
    return situations.state(DRIFT, past={DRIFT.drift_id: past})


def _actor(name: str | None, channel: str = "webhook") -> model.Origin:
    return model.Origin(actor=name, channel=channel)


def test_three_heals_within_an_hour_are_a_fight() -> None:
    found = fights.contested(_state(50, 30, 10), DRIFT.drift_id, NOW)
    assert found is not None
    assert found.heals == 3
    assert found.writer == "user:ada"
    assert found.detail == (
        "healed 3 times within an hour and drifted again; user:ada writes there too"
    )


def test_two_heals_or_older_ones_are_none() -> None:
    assert fights.contested(_state(50, 10), DRIFT.drift_id, NOW) is None
    assert fights.contested(_state(61, 50, 10), DRIFT.drift_id, NOW) is None
    assert fights.contested(situations.state(DRIFT), DRIFT.drift_id, NOW) is None


def test_it_is_over_once_enough_of_the_heals_are_an_hour_ago() -> None:
    state = _state(50, 40, 30, 10)
    found = fights.contested(state, DRIFT.drift_id, NOW)
    assert found is not None
    assert fights.contested(state, DRIFT.drift_id, found.until) is None
    before = clocks.Timestamp(found.until - 1)
    assert fights.contested(state, DRIFT.drift_id, before) is not None


def test_who_wrote_most_often_is_named_and_we_never_are() -> None:
    us = _actor("service:reconciler", "heal")
    assert fights.top_writer([_actor("b"), _actor("a"), _actor("b"), us, us, us]) == "b"
    assert fights.top_writer([_actor("b"), _actor("a")]) == "a"
    assert fights.top_writer([us, _actor(None)]) is None
    unknown = fights.Fight(drift_id="d", heals=3, until=NOW)
    assert "somebody unknown" in unknown.detail


def test_earlier_origins_count_with_the_present_one() -> None:
    origins = [_actor("service:autoscaler"), _actor("service:autoscaler")]
    found = fights.contested(_state(50, 30, 10), DRIFT.drift_id, NOW, origins)
    assert found is not None
    assert found.writer == "service:autoscaler"


def test_a_human_who_reverts_our_heals_three_times_ends_the_healing() -> None:
    """The whole story as the log tells it: found, healed, reverted, three times."""
    world = drifting.World(rules=drifting.with_healing(enabled=True))
    when = 0.0
    for _ in range(3):
        elsewhere = drifting.seen(drifting.HOOK, drifting.at(when), url="https://ada.test/")
        world.look(drifting.at(when), integration_cms_webhook=elsewhere)
        drift_id = world.drift().drift_id
        world.set(drift_id, drifting.at(when + 30), state="healed")
        when += 600
    elsewhere = drifting.seen(drifting.HOOK, drifting.at(when), url="https://ada.test/")
    world.look(drifting.at(when), integration_cms_webhook=elsewhere)
    found = fights.contested(world.state, world.drift().drift_id, drifting.at(when))
    assert found is not None
    assert found.heals == 3
