"""A CMS whose webhooks get lost, and the real poller and gate, in virtual time."""

import contextlib
import itertools

import msgspec
import pytest

from helios.ingest import comparing, marks, poller, polling, sources
from helios.kernel import clock as clocks
from helios.kernel import outbound
from helios.providers import ports
from helios.testing.polled import DECLARED, EVERY_S, SOURCE, World, running, simulated


def test_the_first_poll_takes_everything_in_and_counts_no_gap() -> None:
    async def main(world: World) -> None:
        for number in range(250):
            world.cms.create(f"title {number}")
            await world.clock.sleep(0.003)
        await world.poller.poll()
        await world.assert_equal_content()
        assert (await world.poller.status()).gaps == 0
        assert marks.GAP_FOUND not in await world.types()

    simulated(main)


def test_nothing_is_written_while_nothing_changes() -> None:
    async def main(world: World) -> None:
        world.cms.create("a")
        await world.deliver()
        async with running(world):
            await world.clock.sleep(3600)
            before = await world.log.head()
            await world.clock.sleep(24 * 3600)
            assert await world.log.head() == before
            assert ((await world.poller.status()).lag_s or 0) < 2 * EVERY_S

    simulated(main)


def test_what_webhooks_told_is_not_handed_in_again() -> None:
    async def main(world: World) -> None:
        await world.poller.poll()
        for number in range(20):
            world.cms.create(f"title {number}")
            await world.deliver()
            await world.clock.sleep(1)
        before = [t for t in await world.types() if t.startswith("entry.")]
        await world.clock.sleep(120)
        await world.poller.poll()
        assert [t for t in await world.types() if t.startswith("entry.")] == before
        assert (await world.poller.status()).gaps == 0

    simulated(main)


def test_what_no_webhook_brought_within_a_minute_is_taken_in_and_counted_as_a_gap() -> None:
    async def main(world: World) -> None:
        await world.poller.poll()
        await world.clock.sleep(1000)
        world.cms.create("lost")
        world.cms.hooks.clear()
        await world.poller.poll()
        assert await world.titles("published") == {}, "its webhook may still come"
        await world.clock.sleep(61)
        await world.poller.poll()
        assert list((await world.titles("published")).values()) == ["lost"]
        (gap,) = [e for e in await world.events() if e.type == marks.GAP_FOUND]
        assert gap.data()["count"] == 2
        assert (await world.poller.status()).gaps == 2

    simulated(main)


def test_what_is_left_for_its_webhook_is_looked_at_as_soon_as_it_is_late() -> None:
    async def main(world: World) -> None:
        async with running(world):
            await world.clock.sleep(EVERY_S / 2)
            world.cms.create("lost")
            world.cms.hooks.clear()
            world.poller.poll_now()
            await world.clock.sleep(70)
            assert list((await world.titles("published")).values()) == ["lost"]

    simulated(main)


def test_an_outage_is_filled_in_after_it() -> None:
    async def main(world: World) -> None:
        async with running(world):
            await world.clock.sleep(10)
            for _ in range(3):
                reason = outbound.OutboundError("not there", reason="unreachable")
                world.cms.fails = [reason] * 40
                for number in range(30):
                    world.cms.create(f"title {number}")
                    await world.clock.sleep(20)
                world.cms.hooks.clear()
                assert (await world.poller.status()).state == "waiting"
                world.cms.fails = []
                await world.clock.sleep(2 * EVERY_S + 70)
                assert (await world.poller.status()).state == "running"
                await world.assert_equal_content()

    simulated(main)


def test_a_provider_is_left_alone_for_as_long_as_it_asks() -> None:
    async def main(world: World) -> None:
        limited = outbound.Answer(status=429, headers={"retry-after": "1800"}, body=b"")
        world.cms.fails = [limited]
        async with running(world):
            await world.clock.sleep(1795)
            assert world.cms.calls == 1
            assert (await world.poller.status()).state == "waiting"
            await world.clock.sleep(60)
            assert world.cms.calls > 1

    simulated(main)


def test_a_refused_credential_needs_a_person_and_is_tried_again_slowly() -> None:
    async def main(world: World) -> None:
        world.cms.fails = [outbound.Answer(status=401, headers={}, body=b"")] * 2
        async with running(world):
            await world.clock.sleep(EVERY_S * 0.9)
            status = await world.poller.status()
            assert (world.cms.calls, status.state) == (1, "failed")
            assert "credential" in status.detail
            await world.clock.sleep(EVERY_S * 2)
            assert (await world.poller.status()).state == "running"

    simulated(main)


def test_a_deletion_that_nobody_told_is_found_by_two_listings() -> None:
    async def main(world: World) -> None:
        kept = [world.cms.create(f"title {number}") for number in range(6)]
        await world.deliver()
        await world.clock.sleep(600)
        await world.poller.poll()
        world.cms.delete(kept[0])
        world.cms.unpublish(kept[1])
        world.cms.hooks.clear()
        await world.clock.sleep(3600)
        await world.poller.poll()
        assert "entry.delete" not in await world.types(), "one listing is no proof"
        assert "gone" in (await world.poller.status()).detail
        async with running(world):
            await world.clock.sleep(2 * comparing.CONFIRM_S)
            await world.assert_equal_content()
            before = await world.log.head()
            await world.clock.sleep(3 * 3600)
            assert await world.log.head() == before

    simulated(main)


def test_an_edit_taken_back_that_nobody_told_is_found_by_two_listings() -> None:
    async def main(world: World) -> None:
        kept = [world.cms.create(f"title {number}") for number in range(60)]
        await world.clock.sleep(1)
        for document in kept:
            world.cms.edit(document, "an edit")
        await world.deliver()
        await world.clock.sleep(600)
        await world.poller.poll()
        for document in kept[:55]:
            world.cms.discard(document)
        world.cms.hooks.clear()
        async with running(world):
            await world.clock.sleep(3600 + 2 * EVERY_S)
            await world.assert_equal_content()
            before = await world.log.head()
            await world.clock.sleep(3 * 3600)
            assert await world.log.head() == before

    simulated(main)


def test_polls_are_slowed_down_and_sped_up_again_while_they_run() -> None:
    async def main(world: World) -> None:
        least = [0]
        world.restart(every_min=lambda: least[0])
        world.cms.create("a")
        async with running(world):

            async def polls(seconds: float) -> int:
                begun, count = world.poller._polled_at, 0
                for _ in range(int(seconds)):
                    await world.clock.sleep(1)
                    count += world.poller._polled_at != begun
                    begun = world.poller._polled_at
                return count

            usual = await polls(20 * EVERY_S)
            least[0] = int(10 * EVERY_S) * clocks.SECOND_US
            await world.clock.sleep(2 * EVERY_S)
            slow = await polls(20 * EVERY_S)
            least[0] = 0
            await world.clock.sleep(11 * EVERY_S)
            again = await polls(20 * EVERY_S)
        assert slow <= 3 < 15 <= min(usual, again)

    simulated(main)


def test_what_nobody_changes_is_confirmed_before_it_grows_stale_and_seldom() -> None:
    async def main(world: World) -> None:
        ttl_s = 24 * 3600
        world.restart(ttl=ttl_s * clocks.SECOND_US)
        world.cms.create("a")
        await world.deliver()
        began = world.clock.now()
        async with running(world):
            await world.clock.sleep(10 * ttl_s)
        told = [began, *world.confirmed, world.clock.now()]
        waits = [(b - a) / clocks.SECOND_US for a, b in itertools.pairwise(told)]
        assert ttl_s / 4 < min(waits[:-1])
        assert max(waits) < ttl_s
        others = {e.type for e in await world.events()} - {"entry.create", "entry.publish"}
        assert others == {"ContentConfirmed", marks.POLLED}

    simulated(main)


def test_what_is_not_to_be_trusted_is_read_again_though_it_is_known() -> None:
    async def main(world: World) -> None:
        documents = [world.cms.create(f"title {number}") for number in range(3)]
        await world.poller.poll()
        before = await world.log.head()
        gone = ("article", "doc9999", "", "published")
        world.distrusted = [("article", documents[1], "", "published"), gone]
        await world.clock.sleep(10)
        now = world.clock.now()
        await world.poller.poll()
        (read,) = [e for e in await world.events() if e.position > before and e.source == "cms"]
        assert read.data()["entry"]["documentId"] == documents[1]
        assert now <= msgspec.json.decode(read.metadata)[polling.REPLACES] <= world.clock.now()

    simulated(main)


@pytest.mark.parametrize("answer", [b'{"data":[]}', b"oops"])
def test_a_listing_that_is_empty_or_broken_deletes_nothing(answer: bytes) -> None:
    async def main(world: World) -> None:
        for number in range(20):
            world.cms.create(f"title {number}")
        await world.deliver()
        await world.clock.sleep(120)
        await world.poller.poll()
        for _ in range(6):
            await world.clock.sleep(4000)
            polls = [outbound.Answer(status=200, headers={}, body=b'{"data":[]}')] * 2
            world.cms.fails = [*polls, *[outbound.Answer(status=200, headers={}, body=answer)] * 2]
            with contextlib.suppress(ports.ProviderApiError):
                await world.poller.poll()
        world.cms.fails = []
        await world.assert_equal_content()

    simulated(main)


def test_a_source_whose_options_do_not_do_is_told_so() -> None:
    async def main(world: World) -> None:
        bare = msgspec.structs.replace(SOURCE, credentials={})
        tools = world.poller._tools
        api = ports.Api(source=bare, client=world.cms, clock=world.clock)
        tools = msgspec.structs.replace(tools, source=bare, api=api)
        broken = poller.Poller(tools, world.provider, world.log, world)
        with pytest.raises(Exception, match=r"spec\.credentials.*token"):
            await broken.run()

    simulated(main)


def test_a_pause_holds_polls_back() -> None:
    async def main(world: World) -> None:
        world.poller.pause()
        async with running(world):
            await world.clock.sleep(3 * EVERY_S)
            assert (world.cms.calls, (await world.poller.status()).state) == (0, "paused")
            world.poller.resume()
            await world.clock.sleep(1)
            assert world.cms.calls > 0

    simulated(main)


def test_a_replay_takes_in_only_what_is_not_there() -> None:
    async def main(world: World) -> None:
        for number in range(5):
            world.cms.create(f"title {number}")
        await world.deliver(lost=0.5)
        replayed = await world.poller.replay(sources.Replay(since=clocks.Timestamp(0)))
        assert replayed.fetched == 10
        assert replayed.stored + replayed.duplicates == 10
        await world.assert_equal_content()
        again = await world.poller.replay(sources.Replay(since=clocks.Timestamp(0)))
        assert (again.stored, again.duplicates) == (0, 10)

    simulated(main)


def test_the_last_mark_is_found_among_many() -> None:
    async def main(world: World) -> None:
        assert await marks.last(world.log, "default", "cms") is None
        for number in range(1, 40):
            mark = marks.Mark(
                source="cms", number=number, high_water=clocks.Timestamp(number), position=0
            )
            await marks.keep(world.log, DECLARED, mark, None, world.clock.now())
            assert await marks.last(world.log, "default", "cms") == mark

    simulated(main)


def changed_somehow(world: World, alive: list[str]) -> None:
    """One change of an editor, by chance."""
    rng, cms_ = world.rng, world.cms
    draw = rng.random()
    if draw < 0.5 or not alive:
        alive.append(cms_.create(f"t{rng.random()}"))
    elif draw < 0.65:
        cms_.update(rng.choice(alive), f"t{rng.random()}")
    elif draw < 0.75:
        published = [each for each in alive if each in cms_.articles("published")]
        if draw < 0.7 or not published:
            cms_.edit(rng.choice(alive), f"t{rng.random()}")
        else:
            cms_.discard(rng.choice(published))
    elif draw < 0.85:
        cms_.unpublish(rng.choice(alive))
    else:
        cms_.delete(alive.pop(rng.randrange(len(alive))))


@pytest.mark.parametrize("seed", range(12))
def test_the_cache_equals_the_cms_whatever_is_lost_and_whenever_we_restart(seed: int) -> None:
    async def main(world: World) -> None:
        rng = world.rng
        alive: list[str] = []
        for _ in range(12):
            async with running(world):
                for _ in range(rng.randrange(1, 15)):
                    changed_somehow(world, alive)
                    await world.clock.sleep(rng.choice((0.002, 1, 90)))
                    if rng.random() < 0.5:
                        await world.deliver(lost=0.4)
                await world.clock.sleep(rng.choice((0, 100, 1000)))
            world.restart()
        world.cms.hooks.clear()
        async with running(world):
            await world.clock.sleep(3600 * 3)
            await world.assert_equal_content()
            before = await world.log.head()
            await world.clock.sleep(24 * 3600)
            assert await world.log.head() == before

    simulated(main, seed)
