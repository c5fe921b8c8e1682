"""What caused what is in the log, and is told as it was."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.eventlog import envelope
from helios.kernel import tracing
from helios.reconcile.compositions import causing, events, story, story_reading, story_words
from helios.testing import stack_bench, stack_lives

TRACE = "0af7651916cd43dd8448eb211c80319c"
Life = list[envelope.Event]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    return stack_lives.healed(tmp_path_factory.mktemp("life"))


def by_position(life: Life) -> dict[int, envelope.Event]:
    return {event.position: event for event in life}


def last_of(life: Life, *kinds: str) -> envelope.Event:
    return [event for event in life if event.type in kinds][-1]


def told(life: Life, event: envelope.Event) -> story.Story:
    return story.tell("it", "event", by_position(life), [event.position])


def types(life: Life, found: story.Story) -> list[str]:
    known = by_position(life)
    return [known[place].type for place in found.path]


def test_a_healed_drift_goes_back_to_what_the_provider_told(life: Life) -> None:
    found = told(life, last_of(life, events.DRIFT_RESOLVED))
    assert types(life, found) == [
        "webhook.delete",
        events.DRIFT_SUSPECTED,
        events.DRIFT_DETECTED,
        events.PLAN_MADE,
        events.APPROVAL_REQUESTED,
        events.APPROVAL_GRANTED,
        events.HEAL_STARTED,
        events.HEAL_ACTED,
        events.HEAL_SUCCEEDED,
        events.DRIFT_RESOLVED,
    ]
    assert found.complete
    assert "webhook cms-webhook at strapi@cms.test was gone" in found.text
    assert "brought about by user:eve" in found.text
    assert "agreed by ada" in found.text
    assert "verified" in found.text
    assert found.text.startswith(found.steps[0].time)


def test_one_trace_leads_from_the_webhook_to_the_heal_through_a_person_s_answer(
    life: Life,
) -> None:
    kinds = (events.DRIFT_SUSPECTED, events.PLAN_MADE, *events.HEAL_TYPES, events.DRIFT_RESOLVED)
    traced = [event for event in life if event.type in kinds]
    assert {causing.trace_of(event).trace_id for event in traced} == {TRACE}
    spans = [causing.trace_of(event).span_id for event in traced]
    assert len(set(spans)) == len(spans)


def test_every_event_of_a_pass_names_a_cause_that_came_before_it(life: Life) -> None:
    ids = {event.id: event.position for event in life}
    for event in life:
        if event.actor != events.ACTOR:
            continue
        cause = ids.get(event.causation_id or "")
        if event.type == events.STACK_OBSERVED and cause is None:
            # Looked at when it was due: nothing but time.
            continue
        assert cause is not None, event.type
        assert cause < event.position, event.type
        place = msgspec.json.decode(event.metadata).get("causation_position")
        assert place in (None, cause), event.type


def test_every_event_reaches_a_first_one_and_no_edge_leads_forward(life: Life) -> None:
    for event in life:
        found = told(life, event)
        assert found.last == [event.position]
        assert found.path[-1] == event.position
        assert found.path[0] in found.first
        assert all(edge.cause < edge.effect for edge in found.edges)
        places = {node.position for node in found.nodes}
        assert {edge.cause for edge in found.edges} <= places


def test_causes_are_found_by_what_events_say_where_they_name_none(life: Life) -> None:
    """As in a log of an earlier version, or of events by people."""
    bare = [msgspec.structs.replace(e, causation_id=None, metadata=b"{}") for e in life]
    found = told(bare, last_of(bare, events.DRIFT_RESOLVED))
    path = types(bare, found)
    assert path[-3:] == [events.HEAL_ACTED, events.HEAL_SUCCEEDED, events.DRIFT_RESOLVED]
    assert events.APPROVAL_GRANTED in path
    assert events.DRIFT_SUSPECTED in path


def test_what_is_not_at_hand_is_named_as_missing_with_who_asks_for_it(life: Life) -> None:
    detected = last_of(life, events.DRIFT_DETECTED)
    walk = story.Walk({detected.position: detected}, [detected.position])
    (ref, by) = next(iter(walk.missing.items()))
    assert ref.position == last_of(life, events.DRIFT_SUSPECTED).position
    assert by == detected


def test_a_story_that_is_too_long_says_so(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "NODES_MAX", 3)
    found = told(life, last_of(life, events.DRIFT_RESOLVED))
    assert len(found.nodes) == 3
    assert not found.complete


def test_an_event_that_cannot_be_read_is_told_by_its_type(life: Life) -> None:
    made = last_of(life, events.PLAN_MADE)
    broken = msgspec.structs.replace(made, payload=b'{"plan": 7}')
    assert story_words.sentence(broken) == "helios told PlanMade of helios.stack shop"
    assert story.refs(msgspec.structs.replace(broken, payload=b"nothing"))


def test_every_type_of_a_stack_has_a_sentence_of_its_own() -> None:
    assert set(events.STACK_TYPES) <= set(story_words._TELLERS)


def test_the_finder_reads_what_a_drift_goes_back_to(tmp_path: Path) -> None:
    async def main() -> tuple[story.Story, Any]:
        async with stack_bench.World(tmp_path).life() as bench:
            await bench.declare()
            await bench.set_policy()
            await bench.run(20)
            bench.reality.vanish(stack_bench.CLIENT, stack_bench.STACK, stack_lives.HOOK)
            await bench.run(60)
            finder = story_reading.Finder(bench.log, bench.store)
            place = await story_reading.of_component(
                bench.store, stack_bench.CLIENT, stack_bench.STACK, stack_lives.HOOK
            )
            assert place is not None
            found, last = await finder.at(place)
            found, is_whole = await finder.whole(found, last)
            action = stack_lives.heal_of((await bench.said(events.HEAL_SUCCEEDED))[0]).action
            of_action = await story_reading.by_id(bench.store, action.id)
            return story.tell("x", "component", found, last, complete=is_whole), of_action

    found, of_action = asyncio.run(main())
    assert found.complete
    assert found.steps[-1].text.startswith("integration/cms-webhook: healed")
    assert (of_action.kind, of_action.client_id) == ("action", stack_bench.CLIENT)


def test_a_trace_goes_on_in_the_same_trace_with_a_span_of_its_own() -> None:
    parent = tracing.named("acme|strapi|41")
    assert parent == tracing.named("acme|strapi|41")
    child = tracing.following(parent, "event-1")
    assert child.trace_id == parent.trace_id
    assert child.span_id not in (parent.span_id, "0" * 16)
    assert tracing.parse(child.traceparent) == child
