"""Whatever is seen in whatever order: what holds of the drifts of a stack."""

from typing import Any

import drifting as kit
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.reconcile.compositions import events, lifecycle, model

_QUIET = {"suspected", "ignored"}

hooks: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"url": "https://x.test"},
        {"url": "https://y.test"},
        {"enabled": False, "events": []},
        {"headers": {"authorization": "other:00000000"}},
    ]
)
worlds = st.sampled_from(["there", "absent", "unknown", "weak"])
articles: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"count": 0}, {"count": 1}, {"differs": 3}, {"age_s": 10_000_000}]
)


@st.composite
def looks(draw: st.DrawFn, when: int) -> dict[str, model.Seen]:
    """What may be seen of the stack at a second."""
    at = kit.at(when)
    kind, fields = draw(worlds), draw(hooks)
    hook = kit.seen(kit.HOOK, at, **fields)
    if kind == "absent":
        hook = kit.gone(at)
    elif kind == "unknown":
        hook = kit.not_seen(at)
    elif kind == "weak":
        hook = kit.seen(kit.HOOK, at, evidence=(kit.said(at, "failed_call"),), **fields)
    article = kit.seen(kit.ARTICLE, at, **draw(articles))
    return kit.all_seen(kit.declared(), at, integration_cms_webhook=hook, content_article=article)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, dict[str, model.Seen]]]:
    gaps = draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
    seconds = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    return [(second, draw(looks(second))) for second in seconds]


def run(world: kit.World, history: list[tuple[int, dict[str, model.Seen]]]) -> None:
    newest = 0
    for second, seen in history:
        newest = max(newest, second)
        world.look(kit.at(second), now=kit.at(newest), observation=seen)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_the_same_detection_a_second_time_tells_nothing(
    history: list[tuple[int, dict[str, model.Seen]]],
) -> None:
    world = kit.World()
    for second, seen in history:
        world.look(kit.at(second), observation=seen)
        assert world.look(kit.at(second), observation=seen) == []


@settings(max_examples=60, deadline=None)
@given(histories())
def test_back_as_declared_no_drift_is_left(
    history: list[tuple[int, dict[str, model.Seen]]],
) -> None:
    """A to bad B to A: equal hashes, nothing open, and a quiet pass after it."""
    world = kit.World()
    world.look(kit.at(0))
    before = kit.hashes(world)
    run(world, history)
    after = 1 + max(second for second, _ in history)
    world.look(kit.at(after))
    assert world.state.drifts == {}
    assert kit.hashes(world) == before
    assert world.judge(kit.at(after)).status == "healthy"
    assert world.look(kit.at(after + 300)) == []


@settings(max_examples=60, deadline=None)
@given(st.data(), histories(), st.randoms())
def test_late_doubled_and_reversed_looks_end_alike(
    data: st.DataObject, history: list[tuple[int, dict[str, model.Seen]]], random: Any
) -> None:
    """Scenario 14: whatever came before, in whatever order, the newest looks decide."""
    last = 20 + max(second for second, _ in history)
    newest = data.draw(looks(last))
    again = {
        address: model.Seen(
            state=seen.state,
            as_of=kit.at(last + 10),
            value=seen.value,
            evidence=tuple(
                model.Evidence(kind=each.kind, witness=each.witness, at=kit.at(last + 10))
                for each in seen.evidence
            ),
            detail=seen.detail,
        )
        for address, seen in newest.items()
    }
    shuffled = [*history, *data.draw(st.lists(st.sampled_from(history), max_size=3))]
    random.shuffle(shuffled)
    worlds_seen = []
    for order in (history, shuffled):
        world = kit.World()
        run(world, order)
        for seen in (newest, again):
            when = max(each.as_of for each in seen.values())
            world.look(when, observation=seen)
        known = {
            (drift.drift_id, drift.state in _QUIET, str(drift.observed))
            for drift in world.state.drifts.values()
            if world.detection is not None
            and world.detection.knows(drift.component, drift.path)
            and not (drift.component == kit.HOOK.address and _is_weak(again))
        }
        worlds_seen.append((known, kit.hashes(world)))
    assert worlds_seen[0] == worlds_seen[1]


def _is_weak(seen: dict[str, model.Seen]) -> bool:
    """Whether nobody has read the webhook: then it takes several looks to clear it."""
    return all(each.kind != "direct_read" for each in seen[kit.HOOK.address].evidence)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_one_detection_is_told_for_each_occurrence(
    history: list[tuple[int, dict[str, model.Seen]]],
) -> None:
    world = kit.World()
    told: list[lifecycle.Moved] = []
    for second, seen in history:
        told += world.look(kit.at(second), observation=seen)
    detected = [
        (each.drift.drift_id, each.drift.occurrence)
        for each in told
        if each.event_type == events.DRIFT_DETECTED
    ]
    assert len(detected) == len(set(detected))
    for each in told:
        if each.event_type == events.DRIFT_DETECTED:
            assert each.drift.confidence >= 0.5
            assert each.drift.score >= 2
