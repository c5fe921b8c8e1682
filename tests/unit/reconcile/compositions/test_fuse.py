from collections.abc import Iterable

import situations
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.compositions import fuse, guard_events, model

NOW = situations.NOW


def _row(
    stack: str, age_s: float = 0, provider: str = "strapi@cms.test", **fields: object
) -> fuse.Row:
    found = {
        "tenant": "acme",
        "stack": stack,
        "provider": provider,
        "cause": "webhook_broken",
        "component": f"integration/of-{stack}",
        "path": "/url",
        "detected_at": clocks.Timestamp(NOW - int(age_s * situations.SECOND)),
        **fields,
    }
    return fuse.Row(**found)  # type: ignore[arg-type]


def _rows(number: int, **fields: object) -> list[fuse.Row]:
    return [_row(f"s{n}", **fields) for n in range(number)]  # type: ignore[arg-type]


def _check(
    rows: Iterable[fuse.Row], total: int, world: situations.Guarding | None = None
) -> list[guard_events.FuseMoved]:
    known = {} if world is None else world.found.fuses
    return fuse.check(rows, total, known, NOW)


def test_thirty_percent_of_a_client_at_once_is_one_incident() -> None:
    (moved,) = _check(_rows(30), 100)
    assert moved.by == "provider:strapi@cms.test"
    assert moved.count == 30
    assert moved.share == 0.3
    assert moved.stacks == tuple(sorted(f"s{n}" for n in range(30)))
    assert moved.reason == "30 of 100 stacks drifted within five minutes"


def test_a_fifth_of_a_client_is_not_too_much() -> None:
    assert _check(_rows(20), 100) == []
    assert len(_check(_rows(21), 100)) == 1


def test_a_client_with_few_stacks_does_not_blow_with_one_or_two_of_them() -> None:
    assert _check(_rows(2), 3) == []
    assert len(_check(_rows(3), 3)) == 1


def test_many_drifts_of_one_stack_are_one_stack() -> None:
    rows = [_row("s1", component=f"integration/{n}") for n in range(50)]
    assert _check(rows, 5) == []


def test_drifts_that_have_nothing_in_common_do_not_blow_it() -> None:
    rows = [_row(f"s{n}", provider=f"p{n}", cause=f"cause-{n}") for n in range(50)]
    assert _check(rows, 100) == []


def test_what_drifted_more_than_five_minutes_ago_does_not_count() -> None:
    assert _check(_rows(30, age_s=300), 100) == []
    assert len(_check(_rows(30, age_s=299), 100)) == 1


def test_stacks_are_told_by_cause_path_or_what_is_desired_too() -> None:
    by_cause = [_row(f"s{n}", provider=f"p{n}") for n in range(30)]
    by_path = [_row(f"s{n}", provider="", cause=f"c{n}", component="resource/db") for n in range(9)]
    desired = [_row(f"s{n}", provider="", cause=f"c{n}", desired="d") for n in range(9)]
    assert [moved.by for moved in _check(by_cause, 100)] == ["cause:webhook_broken"]
    assert [moved.by for moved in _check(by_path, 20)] == ["path:resource/db/url"]
    assert [moved.by for moved in _check(desired, 20)] == ["desired:d"]


def test_it_blows_once_and_again_for_what_it_does_not_stand_for() -> None:
    world = situations.Guarding()
    rows = _rows(30)
    for moved in _check(rows, 100):
        world.blow(moved)
    more = [*rows, *(_row(f"late-{n}") for n in range(20))]
    assert _check(more, 100, world) == []
    others = [
        _row(f"x{n}", provider="shopify@shop.test", cause="resource_missing") for n in range(30)
    ]
    assert [each.by for each in _check([*more, *others], 100, world)] == [
        "provider:shopify@shop.test"
    ]


def test_after_a_reset_the_same_drifts_do_not_blow_it_and_new_ones_do() -> None:
    world = situations.Guarding()
    rows = _rows(30, age_s=100)
    (moved,) = _check(rows, 100)
    world.blow(moved)
    reset = guard_events.FuseMoved(fuse_id=moved.fuse_id, by=moved.by)
    at = clocks.Timestamp(NOW - 50 * situations.SECOND)
    world.say(guard_events.FUSE_RESET, fuse.SCOPE, reset, at)
    assert _check(rows, 100, world) == []
    assert len(_check(_rows(30, age_s=10), 100, world)) == 1


def test_the_same_incident_has_the_same_name_for_all_that_find_it() -> None:
    rows = _rows(30)
    (one,) = _check(rows, 100)
    (other,) = _check(list(reversed(rows)), 100)
    assert one == other
    (of_all,) = fuse.check_all(rows, 100, {}, NOW)
    assert of_all.fuse_id != one.fuse_id


def test_a_tenth_of_all_clients_and_at_least_ten_blow_the_one_of_all() -> None:
    spread = [_row("s", tenant=f"client-{n}") for n in range(11)]
    (moved,) = fuse.check_all(spread, 100, {}, NOW)
    assert moved.stacks[0] == "client-0/s"
    assert fuse.check_all(spread[:10], 100, {}, NOW) == []
    assert fuse.check_all(spread[:9], 20, {}, NOW) == []


def test_a_drift_is_counted_from_when_it_was_confirmed() -> None:
    drift = situations.drift()
    row = fuse.row_of("acme", "s", drift, "strapi@cms.test")
    assert row.detected_at == drift.confirmed_at
    assert row.words[0] == "provider:strapi@cms.test"
    assert "path:integration/cms-webhook/url" in row.words
    other = fuse.row_of("globex", "t", drift)
    assert row.desired == other.desired


@given(
    drifts=st.lists(
        st.tuples(
            st.integers(0, 15), st.integers(0, 2), st.sampled_from(("a", "b")), st.integers(0, 400)
        ),
        max_size=60,
    ),
    total=st.integers(1, 40),
)
def test_incidents_do_not_overlap_and_each_is_large_enough(
    drifts: list[tuple[int, int, str, int]], total: int
) -> None:
    causes: list[model.Cause] = ["webhook_broken", "resource_missing", "build_broken"]
    rows = [
        _row(f"s{n}", age, provider=provider, cause=causes[cause])
        for n, cause, provider, age in drifts
    ]
    told: list[str] = []
    world = situations.Guarding()
    for moved in _check(rows, total):
        assert moved.count > 0.2 * total
        assert moved.count >= 3
        assert moved.count == len(moved.stacks)
        told += moved.stacks
        world.blow(moved)
    assert len(told) == len(set(told))
    assert _check(rows, total, world) == []
