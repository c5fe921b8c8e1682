from hypothesis import given
from hypothesis import strategies as st

from helios.demo.clouds import alarms
from helios.kernel import clock

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 5), st.integers(0, 30)),
        st.tuples(st.just("cancel"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("due"), st.just(0), st.integers(0, 30)),
    )
)


@given(_STEPS)
def test_alarms_tell_what_is_due_like_a_plain_table(steps: list[tuple[str, int, int]]) -> None:
    tried: alarms.Alarms[int] = alarms.Alarms()
    table: dict[int, int] = {}
    for what, key, at in steps:
        if what == "set":
            tried.set(key, clock.Timestamp(at))
            table[key] = at
        elif what == "cancel":
            tried.cancel(key)
            table.pop(key, None)
        else:
            due = tried.due(clock.Timestamp(at))
            assert sorted(due) == sorted(key for key, when in table.items() if when <= at)
            assert [table[key] for key in due] == sorted(table[key] for key in due)
            table = {key: when for key, when in table.items() if when > at}
        assert len(tried) == len(table)
        assert tried.next_at() == min(table.values(), default=None)
