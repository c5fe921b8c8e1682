"""Who brought a drift about."""

from typing import Any

import drifting as kit
import msgspec

from helios.eventlog import envelope
from helios.projections.views import sources
from helios.reconcile.compositions import events, model, origins

NOW = kit.at(100)


def event(position: int, source: str, kind: str, **fields: Any) -> envelope.Event:
    payload = msgspec.json.encode(fields.pop("payload", {}))
    given = {
        "aggregate_type": "entry",
        "aggregate_id": "1",
        "actor": f"provider:{source}",
        "tenant": kit.CLIENT,
        "occurred_at": kit.at(position),
        **fields,
    }
    return envelope.Event(
        position=envelope.Position(position),
        sequence=position,
        recorded_at=NOW,
        id=f"e{position}",
        source=source,
        type=kind,
        payload=payload,
        **given,
    )


def found(
    component: str, seen: model.Seen, *told: envelope.Event, applied: int = 1
) -> model.Origin:
    world = kit.World()
    others: dict[str, Any] = {component.replace("/", "_").replace("-", "_"): seen}
    world.look(kit.at(1), **others)
    state = msgspec.structs.replace(
        world.state, applied_generation=applied, declared_by="user:ada", declared_position=1
    )
    return origins.origin(world.drift(), state, world.declared, told, NOW, seen=seen)


HOOK = kit.seen(kit.HOOK, kit.at(1), url="https://elsewhere.test")
ARTICLE = kit.seen(kit.ARTICLE, kit.at(1), count=0)


def test_the_newest_event_that_names_it_brought_it_about() -> None:
    """U21."""
    told = (
        event(5, "strapi", "EntryUnpublished", payload={"model": "article"}, actor="user:eve"),
        event(4, "strapi", "EntryUnpublished", payload={"model": "article"}, actor="user:bob"),
        event(6, "strapi", "EntryPublished", payload={"model": "page"}),
        event(7, "shopify", "ProductUpdated", payload={"model": "article"}),
    )
    assert found("content/article", ARTICLE, *told) == model.Origin(
        actor="user:eve", event_id="e5", position=5, channel="webhook"
    )


def test_what_the_provider_calls_it_names_it_too() -> None:
    gone = msgspec.structs.replace(HOOK, value={**(HOOK.value or {}), "_": {"id": "wh-17"}})
    told = event(5, "strapi", "WebhookUpdated", payload={"id": "wh-17"}, actor="user:eve")
    assert found("integration/cms-webhook", gone, told).actor == "user:eve"


def test_nobody_is_named_where_nothing_tells_of_it() -> None:
    stranger = event(5, "strapi", "EntryPublished", payload={"model": "page"})
    assert found("integration/cms-webhook", HOOK, stranger) == model.Origin(channel="probe")


def test_events_of_another_client_of_long_ago_or_before_the_declaration_are_left_out() -> None:
    payload = {"model": "article"}
    told = (
        event(5, "strapi", "X", payload=payload, tenant="other"),
        event(6, "strapi", "X", payload=payload, occurred_at=NOW - origins.WITHIN - 1),
        event(0, "strapi", "X", payload=payload),
    )
    assert found("content/article", ARTICLE, *told).actor is None


def test_a_source_that_was_removed_is_why_its_provider_is_missing() -> None:
    told = event(
        5,
        "helios",
        sources.REMOVED,
        aggregate_type=sources.AGGREGATE_TYPE,
        aggregate_id="strapi",
        actor="user:eve",
    )
    missing = kit.seen(kit.STRAPI, kit.at(1), registered=False)
    assert found("provider/cms", missing, told) == model.Origin(
        actor="user:eve", event_id="e5", position=5, channel="declaration"
    )
    assert found("integration/cms-webhook", HOOK, told).actor is None


def test_what_was_never_as_declared_comes_of_the_declaration() -> None:
    origin = found("integration/cms-webhook", HOOK, applied=0)
    assert (origin.actor, origin.channel) == ("user:ada", "declaration")


def healed(position: int, params: dict[str, Any]) -> envelope.Event:
    world = kit.World()
    world.look(kit.at(1), integration_cms_webhook=HOOK)
    heal = world.heal(kit.at(2), world.drift().drift_id)
    action = msgspec.structs.replace(heal.action, params=params)
    told = msgspec.json.decode(world.log[-1].payload, type=events.HealMoved)
    told = msgspec.structs.replace(told, heal=msgspec.structs.replace(heal, action=action))
    return event(
        position,
        "helios",
        events.HEAL_ACTED,
        payload=told,
        aggregate_type=events.STACK,
        aggregate_id=kit.STACK,
        actor="service:reconciler",
    )


def test_our_own_action_is_the_origin_where_it_wrote_something_else() -> None:
    elsewhere = healed(5, {"set": {"enabled": True}})
    assert found("integration/cms-webhook", HOOK, elsewhere).channel == "heal"
    mended = healed(5, {"set": {"url": "https://helios.test"}})
    assert found("integration/cms-webhook", HOOK, mended).channel == "probe"


def test_drifts_of_many_stacks_are_grouped_by_who_what_and_where() -> None:
    world = kit.World()
    world.look(kit.at(1), integration_cms_webhook=HOOK, content_article=ARTICLE)
    hook, article = world.state.drifts.values()
    eve = msgspec.structs.replace(hook, origin=model.Origin(actor="user:eve"))
    if hook.component != kit.HOOK.address:
        hook, article = article, hook
    grouped = origins.grouped([("a", eve), ("b", eve), ("c", article), ("d", hook)])
    assert [len(members) for members in grouped.values()] == [2, 1, 1]
    assert next(iter(grouped)) == origins.Group("user:eve", "webhook_broken", "/url")
