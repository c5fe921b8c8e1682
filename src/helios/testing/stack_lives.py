"""Lives of a stack from its declaration to a heal that was agreed to, as events to tell again."""

import asyncio
from pathlib import Path

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, model
from helios.testing import stack_bench

HOOK = "integration/cms-webhook"
COMPONENT = f"{stack_bench.CLIENT}/{stack_bench.STACK}/{HOOK}"
ASKED_FIRST = stack_bench.POLICY.replace(
    "require_approval: [", "require_approval: [webhook_broken, "
)
CHANGE_ID = "strapi-41"


def healed(folder: Path) -> list[envelope.Event]:
    """A webhook is deleted at the provider, which says so; ada agrees; it is made anew and seen."""

    async def main() -> list[envelope.Event]:
        async with stack_bench.World(folder).life() as bench:
            await bench.declare()
            await bench.set_policy(ASKED_FIRST)
            await bench.run(20)
            await bench.log.append([deleted(bench.clock.now())])
            bench.reality.vanish(stack_bench.CLIENT, stack_bench.STACK, HOOK)
            await bench.run(60)
            await bench.approve()
            await bench.run(60)
            return await bench.said(stack_id=None)

    return asyncio.run(main())


def deleted(now: clocks.Timestamp) -> envelope.NewEvent:
    """What the provider tells of the deletion, with the trace that it is part of."""
    return envelope.NewEvent(
        id=CHANGE_ID,
        source="strapi",
        type="webhook.delete",
        occurred_at=now,
        tenant=stack_bench.CLIENT,
        aggregate_type="strapi.webhook",
        aggregate_id="cms-webhook",
        actor="user:eve",
        payload=b'{"name":"cms-webhook"}',
        metadata=msgspec.json.encode(
            {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        ),
    )


async def retold(log: log_ports.EventLog, found: list[envelope.Event]) -> envelope.Position:
    """Append the same events to another log that is empty, so that they have the same places."""
    for event in found:
        fields = {name: getattr(event, name) for name in envelope.NewEvent.__struct_fields__}
        done = await log.append([envelope.NewEvent(**fields)])
        assert done.position == event.position, "the log was not empty"
    return done.position


def heal_of(event: envelope.Event) -> model.Heal:
    """The heal that an event is about."""
    return msgspec.json.decode(event.payload, type=events.HealMoved).heal
