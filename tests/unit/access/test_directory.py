"""The fold of the events of access, the limits that count them, and the view that keeps states."""

import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.access import directory, events, limiting, model, view
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.testing import access_bench

NOW = 1_767_225_600 * clocks.SECOND_US


def event(kind: str, about: str, name: str, sequence: int, payload: object) -> envelope.Event:
    return envelope.Event(
        position=envelope.Position(sequence),
        sequence=sequence,
        recorded_at=clocks.Timestamp(NOW + sequence),
        occurred_at=clocks.Timestamp(NOW),
        id=f"{name}-{sequence}",
        source=events.SOURCE,
        type=kind,
        tenant=events.TENANT,
        aggregate_type=about,
        aggregate_id=name,
        payload=msgspec.json.encode(payload),
    )


def user(name: str, sequence: int = 1, **more: object) -> envelope.Event:
    kind = events.USER_INVITED if sequence == 1 else events.USER_CHANGED
    state = {"id": name, "name": name.upper(), "created_at": NOW, **more}
    return event(kind, events.USER, name, sequence, state)


def session(name: str, of: str, sequence: int = 1, ends: int = NOW + 10**9) -> envelope.Event:
    kind = events.SESSION_OPENED if sequence == 1 else events.SESSION_REFRESHED
    state = events.Session(
        id=name,
        user_id=of,
        digest="d",
        generation=sequence,
        opened_at=clocks.Timestamp(NOW),
        refreshed_at=clocks.Timestamp(NOW + sequence),
        expires_at=clocks.Timestamp(ends),
    )
    return event(kind, events.SESSION, name, sequence, state)


def folded(seen: Sequence[envelope.Event]) -> directory.Directory:
    made = directory.Directory()
    for each in seen:
        made.apply(each)
    return made


def test_only_what_helios_itself_says_counts() -> None:
    real = user("a")
    for forged in (
        msgspec.structs.replace(real, tenant="acme"),
        msgspec.structs.replace(real, source="shop"),
        msgspec.structs.replace(real, type="UserPromoted"),
    ):
        assert folded([forged]).users == {}
        assert not view.VIEW.where.passes(forged)
    assert list(folded([real]).users) == ["a"]


def test_an_event_that_comes_again_changes_nothing() -> None:
    seen = [user("a"), user("a", 2, display_name="new")]
    made = folded(seen)
    before = made.revision
    made.apply(seen[0])
    assert (made.users["a"].display_name, made.revision) == ("new", before)
    assert made.sequence(events.USER, "a") == 2


def test_a_state_that_cannot_be_read_ends_what_it_is_about() -> None:
    newer = user("a", 2, grants=[{"role": "emperor"}])
    made = folded([user("a", grants=[{"role": "admin"}]), newer])
    assert made.users == {}
    assert made.user_named("A") is None
    assert made.sequence(events.USER, "a") == 2
    made.apply(user("a", 3, grants=[{"role": "viewer"}]))
    assert made.users["a"].grants == (model.Grant(role="viewer"),)
    loaded = directory.Directory()
    loaded.load([directory.Entry(events.USER, "a", 2, newer.payload)])
    assert loaded.users == {}


def test_sessions_that_ended_by_themselves_are_forgotten() -> None:
    made = folded([session(f"s{n}", "u", ends=NOW - 1) for n in range(255)])
    assert len(made.sessions) == 255
    made.apply(session("s255", "u"))
    assert list(made.sessions) == ["s255"]
    assert [each.id for each in made.sessions_of("u")] == ["s255"]


@given(st.integers(0, 2**32), st.integers(0, 60))
def test_beginning_with_the_states_of_the_view_is_as_good_as_with_all_events(
    seed: int, cut: int
) -> None:
    rng = random.Random(seed)
    seen: list[envelope.Event] = []
    counts: dict[tuple[str, str], int] = {}
    for _ in range(60):
        about = rng.choice([events.USER, events.SESSION])
        name = rng.choice("abcd")
        sequence = counts[about, name] = counts.get((about, name), 0) + 1
        ended = rng.random() < 0.2
        if about == events.USER:
            kind = events.USER_REMOVED if ended else None
            made = user(name, sequence, display_name=str(rng.random()))
        else:
            kind = events.SESSION_CLOSED if ended else None
            made = session(name, "cdab"["abcd".index(name)], sequence)
        seen.append(made if kind is None else msgspec.structs.replace(made, type=kind))
    rows: dict[tuple[str, str], directory.Entry] = {}
    for each in seen[:cut]:
        key = (each.aggregate_type, each.aggregate_id)
        if each.type in directory.ENDS:
            rows.pop(key, None)
        else:
            rows[key] = directory.Entry(*key, each.sequence, each.payload)
    begun = directory.Directory()
    begun.load(rows.values())
    # Rows may be newer than the position from which the log is read on.
    for each in seen[max(0, cut - 5) :]:
        begun.apply(each)
    whole = folded(seen)
    assert begun.users == whole.users
    assert begun.sessions == whole.sessions
    for name in "abcd":
        assert begun.sessions_of(name) == whole.sessions_of(name)
        assert begun.user_named(name) == whole.user_named(name)


def failed(who: str, address: str = "", at: int = NOW) -> envelope.Event:
    made = event(
        events.SIGN_IN_FAILED, events.SIGN_IN, "failed", 1, events.Failed(who=who, address=address)
    )
    return msgspec.structs.replace(made, recorded_at=clocks.Timestamp(at))


def test_a_failure_that_cannot_be_read_is_left_out() -> None:
    limits = limiting.Limits(access_bench.Clock())
    for _ in range(limiting.ADDRESS_FREE):
        limits.saw(msgspec.structs.replace(failed("u"), payload=b'{"who": 7}'))
    assert waits(limits, "u") == 0


def waits(limits: limiting.Limits, who: str, address: str = "") -> float:
    try:
        with limits.trying(who, address):
            return 0
    except errors.LimitedError as error:
        return error.retry_after_s


def test_the_wait_doubles_up_to_five_minutes_and_is_forgotten_after_an_hour() -> None:
    clock = access_bench.Clock()
    limits = limiting.Limits(clock)
    seen = []
    for _ in range(20):
        limits.saw(failed("u", at=clock.now()))
        seen.append(waits(limits, "u"))
    assert seen[:9] == [0, 0, 0, 0, 1, 2, 4, 8, 16]
    assert max(seen) == seen[-1] == limiting.WAIT_S_MAX
    assert waits(limits, "somebody else") == 0
    clock.turn(limiting.WAIT_S_MAX)
    assert waits(limits, "u") == 0
    limits.saw(failed("u", at=clock.now()))
    assert waits(limits, "u") == limiting.WAIT_S_MAX
    clock.turn(limiting.FORGET_S)
    limits.saw(failed("u", at=clock.now()))
    assert waits(limits, "u") == 0


def test_whoever_signs_in_is_free_again_and_his_address_is_not() -> None:
    clock = access_bench.Clock()
    limits = limiting.Limits(clock)
    for _ in range(limiting.ADDRESS_FREE):
        limits.saw(failed("u", "192.0.2.1", clock.now()))
    limits.saw(session("s", "u"))
    assert waits(limits, "u") == 0
    assert waits(limits, "u", "192.0.2.1") == 1
    assert waits(limits, "u", "192.0.2.2") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("a name", "a name", True),
    ],
)
def test_addresses_of_one_network_count_together(
    one: str,
    other: str,
    same: bool,  # noqa: FBT001 - a table
) -> None:
    clock = access_bench.Clock()
    limits = limiting.Limits(clock)
    for _ in range(limiting.ADDRESS_FREE):
        limits.saw(failed("u", one, clock.now()))
    assert (waits(limits, "v", other) > 0) == same


def test_no_more_is_counted_than_fits_and_the_newest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiting, "TRACKED_MAX", 100)
    clock = access_bench.Clock()
    limits = limiting.Limits(clock)
    for number in range(500):
        for _ in range(limiting.NAME_FREE):
            limits.saw(failed(f"u{number}", at=clock.now()))
    assert waits(limits, "u499") == 1
    assert waits(limits, "u0") == 0
    assert len(limits._counts) == 100
