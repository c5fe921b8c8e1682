"""Part 4.11 of the checklist: what can be watched. The names of metrics are held beside them."""

from collections.abc import Callable

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import causing, events
from helios.testing import stack_bench, stack_lives

Run = Callable[..., None]
HOOK = "integration/cms-webhook"
ACME = (stack_bench.CLIENT, stack_bench.STACK)


def test_m_14_one_trace_leads_from_what_a_provider_told_to_the_heal_that_followed(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        told = stack_lives.deleted(bench.clock.now())
        await bench.log.append([told])
        bench.reality.vanish(*ACME, HOOK)
        said = events.Requested(reconciliation_id="r", trigger="webhook", correlation_id="op-1")
        await bench.say(events.RECONCILIATION_REQUESTED, said)
        await bench.run(60)
        page = await bench.said(stack_id=None)
        by_id: dict[str, envelope.Event] = {each.id: each for each in page}
        heal = next(each for each in page if each.type == events.HEAL_SUCCEEDED)
        walked = [heal]
        while walked[-1].causation_id in by_id:
            walked.append(by_id[str(walked[-1].causation_id)])
        assert walked[-1].id == told.id
        traces = {causing.trace_of(each).trace_id for each in walked}
        assert traces == {"0af7651916cd43dd8448eb211c80319c"}, "the one that the provider began"
        kinds = [each.type for each in walked]
        assert kinds[0] == events.HEAL_SUCCEEDED
        assert events.DRIFT_DETECTED in kinds
        assert heal.correlation_id == "op-1"
        assert heal.recorded_at - told.occurred_at < 60 * clocks.SECOND_US

    lived(story)
