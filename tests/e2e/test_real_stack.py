"""Real drift on real systems: found, planned, healed or held as the policy says, and nothing else.

Strapi, Vendure, Eleventy, a cloud and Helios run as one stack (`helios.testing.real_stack`), with
four branches on the same CMS and a fleet of kiosks. What is done to them goes through their own
APIs, processes, databases and files; what is expected is asked of them again, not of Helios alone.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helios.testing import chaos, chaos_kinds, components, real_inventory, real_stack
from helios.testing.real_stack import MAIN, RealStack

pytestmark = [pytest.mark.components, pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE = 2.0
"""Bounds of waiting are generous: other tests run beside."""

SEED = 20261120
DRIFTS = 30
"""As many as a bad hour brings."""
PAUSE_S = 2.0
LOOKS = 6
"""How often Helios has to have looked while nothing happened."""


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, strapi_folder: Path, vendure_folder: Path
) -> Iterator[RealStack]:
    reason = components.missing("eleventy")
    if reason:
        pytest.skip(reason)
    prepared = {"strapi": strapi_folder, "vendure": vendure_folder}
    wanted = real_stack.Wanted(prepared=prepared)
    with real_stack.RealStack(tmp_path_factory.mktemp("real") / "stack", wanted) as world:
        yield world


@pytest.fixture(scope="module")
def doer(running: RealStack) -> chaos.Chaos:
    return chaos.Chaos(running, patience=PATIENCE, tell=_tell)


@pytest.fixture
def world(running: RealStack) -> RealStack:
    """As declared, whatever a test before has left."""
    running.until(
        lambda: all(running.is_well(name) for name in running.stacks),
        "all stacks to be as declared before the test",
        real_stack.SETTLE_S * PATIENCE,
    )
    return running


def _tell(what: str) -> None:
    # For people (`pytest -s`).
    sys.stdout.write(f"{what}\n")


def test_nothing_is_raised_or_written_while_nothing_happens(
    world: RealStack, doer: chaos.Chaos
) -> None:
    """The shop has not said a word since it was started, and that is no drift."""
    since = doer.now()
    before = {name: world.of_stack(name)["updated_at"] for name in world.stacks}
    looks = world.web.asked

    world.until(
        lambda: world.web.asked >= looks + LOOKS, f"Helios to have looked {LOOKS} times more"
    )

    assert {name: world.of_stack(name)["updated_at"] for name in world.stacks} == before
    assert [doer.heals(name, since=since) for name in world.stacks] == [[]] * len(world.stacks)
    assert "drift" not in {
        each["outcome"] for each in world.get("/api/v1/drift/check", fresh="true")["stacks"]
    }


@pytest.mark.parametrize(
    "name", [name for name, kind in chaos_kinds.KINDS.items() if kind.ends != "agreed"]
)
def test_each_drift_ends_as_its_policy_says_and_nothing_else_is_touched(
    name: str, world: RealStack, doer: chaos.Chaos
) -> None:
    kind = chaos_kinds.KINDS[name]
    before = real_inventory.taken(world)
    since = doer.now()

    case = doer.one(kind, MAIN)

    world.until(
        lambda: all(world.is_well(each) for each in world.stacks),
        f"all to be as declared after {case}",
        real_stack.SETTLE_S * PATIENCE,
    )
    assert real_inventory.taken(world) == before
    assert doer.false_heals([case], since=since) == []
    drifted = {
        (*each, drift["component"], drift["cause"])
        for each in world.stacks
        for drift in doer.drifts(each, since=since)
    }
    assert drifted == {(*MAIN, kind.component, cause) for *_, cause in drifted}
    assert {cause for *_, cause in drifted} <= set(kind.causes)
    assert bool(drifted) == bool(kind.causes)


def test_what_somebody_changed_is_set_back_only_after_somebody_agreed_to_just_that(
    world: RealStack, doer: chaos.Chaos
) -> None:
    north = ("north", "branch")
    case = doer.do(chaos_kinds.KINDS["queue_changed"], north)
    (asked,) = world.until(lambda: doer.approvals(north), "somebody to be asked")
    of_client = ("--client-id", "north")

    listed = world.cli("approvals", "list", *of_client)
    shown = world.cli("approvals", "show", asked["approval_id"], *of_client)
    planned = json.loads(world.cli("plan", "north/branch", "--dry-run", "-o", "json"))
    wrong = ("--digest", "0" * 64, "--reason", "who knows", "--yes")
    refused = world.helios.cli(
        "approve", asked["approval_id"], *of_client, *wrong, cwd=world.folder
    )

    assert asked["approval_id"] in listed
    assert "visibility_timeout" in shown
    assert planned["plan"]["digest"] == asked["digest"]
    assert refused.returncode != 0
    assert "helios approvals show" in refused.stderr
    assert not case.kind.is_right(world, north, None)
    assert doer.heals(north, "resource/orders", since=case.began) == []

    doer.follow(case)

    (healed,) = doer.heals(north, "resource/orders", since=case.began)
    assert (healed.status, healed.approved_by) == ("succeeded", ("user:ada",))
    assert "user:ada" in world.cli("history", "north/branch")


def test_one_agreement_lets_a_whole_fleet_be_healed_and_the_fuse_blows_once(
    world: RealStack, doer: chaos.Chaos
) -> None:
    known = {each["fuse_id"] for each in doer.fuses()}
    before = real_inventory.taken(world)

    case = doer.one(chaos_kinds.KINDS["half_of_the_fleet"], world.kiosks[0])

    blown = [each for each in doer.fuses() if each["fuse_id"] not in known]
    assert [each["count"] for each in blown] == [len(world.kiosks) // 2]
    assert [each for each in doer.fuses() if each["reset_at"] is None] == []
    assert real_inventory.taken(world) == before
    assert doer.false_heals([case], since=case.began) == []


def test_an_hours_worth_of_drifts_at_the_same_time_is_healed_and_no_heal_is_false(
    world: RealStack, doer: chaos.Chaos
) -> None:
    before = real_inventory.taken(world)
    drawn = doer.draw(random.Random(SEED), DRIFTS)

    result = doer.run(drawn, pause_s=PAUSE_S)

    _tell(chaos.told(result))
    assert len(result.cases) >= DRIFTS * 0.9
    assert result.false_heals == []
    assert result.share >= 0.95, chaos.told(result)
    after = real_inventory.taken(world)
    assert {name for name in before if after[name] != before[name]} == set()
