"""Part 4.5 of the checklist: what the control bus keeps, and what can be asked of it."""

from collections.abc import Callable

import pytest

from helios.kernel import errors
from helios.reconcile.bus import commands, events, view
from helios.testing import bus_bench

Run = Callable[..., None]
TENANT = bus_bench.TENANT


def test_d_50_correlations_are_made_found_added_to_completed_and_numbered(bussed: Run) -> None:
    async def story(world: bus_bench.World) -> None:
        async with world.life() as place:
            asked = commands.Issue(
                command_type="reconcile_client", client_id=TENANT, stack_id="cms"
            )
            (made,) = await place.issue(asked)
            k = made.correlation_id
            await place.command(made.command_id, "completed")
            waits = await place.record(k, "partial")
            assert waits.missing_events == ("ReconciliationCompleted",)
            wanted: dict[events.Status, int] = {"partial": 1, "completed": 0}
            for status, count in wanted.items():
                assert len(await view.correlations(place.store, TENANT, status=status)) == count
            await place.say("ReconciliationCompleted", k, event_id="done")
            record = await place.record(k, "completed")
            assert (record.completed_at is not None, record.missing_events) == (True, ())
            numbers = [each.sequence_number for each in record.event_buffer]
            assert numbers == sorted(set(numbers)), "numbers of one aggregate, given by the log"
            assert (await view.correlation(place.store, TENANT, k)).record == record
            with pytest.raises(errors.NotFoundError):
                await view.correlation(place.store, "other", k)

    bussed(story)
