"""Looking at whole stacks: in time, asked once, and never an exception."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions import ports as pass_ports
from helios.reconcile.compositions.observing import cache, patience, ports
from helios.testing import answering
from helios.testing import observing_bench as bench

Scene = Callable[[bench.Place], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Scene], None]:
    def start(scene: Scene) -> None:
        async def main() -> None:
            async with bench.place(tmp_path) as place:
                await scene(place)

        asyncio.run(main())

    return start


Run = Callable[[Scene], None]


def resource(name: str = "it", kind: str = "test", **fields: Any) -> composition.Resource:
    return composition.Resource(name=name, kind=kind, **fields)


class Check:
    """Answers as it is told to, when it may."""

    def __init__(self, *answers: ports.Told | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[ports.Asked] = []
        self.may_go = asyncio.Event()
        self.may_go.set()

    async def check(self, asked: ports.Asked) -> ports.Told:
        self.asked.append(asked)
        await self.may_go.wait()
        if not self.answers:
            return ports.Told(state="present", value={"healthy": True})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def look(
    observer: pass_ports.Observer, *components: composition.Component, **more: Any
) -> model.Observation:
    return await observer.observe(pass_ports.Look(stack=bench.stack(*components), **more))


def test_a_check_that_hangs_makes_its_resource_unknown_and_hides_no_other(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        hangs = Check()
        hangs.may_go.clear()
        observer = place.observer({"hangs": hangs, "test": Check()}, component_s=0.05)
        seen = await look(observer, resource("one", "hangs"), resource("two"))
        assert seen["resource/one"].state == "unknown"
        assert "no answer within" in seen["resource/one"].detail
        assert seen["resource/two"].value == {"healthy": True}

    run(scene)


def test_a_stack_is_looked_at_no_longer_than_a_pass_may_take(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        hangs = Check()
        hangs.may_go.clear()
        observer = place.observer({"hangs": hangs, "test": Check()}, whole_s=0.05)
        seen = await look(observer, resource("one", "hangs"), resource("two"))
        assert seen["resource/one"].state == "unknown"
        assert "of a pass" in seen["resource/one"].detail
        assert seen["resource/two"].state == "present"

    run(scene)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.StorageError("install helios[aws]"), "install helios[aws]"),
        (RuntimeError("the token is hunter2"), "RuntimeError"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_no_fault_of_a_check_gets_out_nor_what_may_be_in_it(
    run: Run, error: Exception, said: str
) -> None:
    async def scene(place: bench.Place) -> None:
        observer = place.observer({"test": Check(error)})
        seen = (await look(observer, resource()))["resource/it"]
        assert seen.state == "unknown"
        assert said in seen.detail or "no answer" in seen.detail
        assert "hunter2" not in repr(seen)

    run(scene)


def test_a_kind_that_nothing_looks_at_is_unknown(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        seen = (await look(place.observer(), resource(kind="tape")))["resource/it"]
        assert seen.state == "unknown"
        assert "integration_api, site" in seen.detail

    run(scene)


def test_a_secret_that_is_missing_here_makes_a_resource_unknown(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        check = Check()
        observer = place.observer({"test": check})
        declared = resource(credentials={"token": "env:NOT_SET"})
        seen = (await look(observer, declared))["resource/it"]
        assert seen.state == "unknown"
        assert check.asked == []

    run(scene)


def test_what_is_absent_is_told_with_who_says_so(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        observer = place.observer({"test": Check(ports.absent("there is none"))})
        seen = (await look(observer, resource()))["resource/it"]
        assert (seen.state, seen.value) == ("absent", None)
        assert [(each.kind, each.witness) for each in seen.evidence] == [
            ("direct_read", "check:test")
        ]

    run(scene)


def test_only_what_is_asked_for_is_looked_at(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        observer = place.observer({"test": Check()})
        only = frozenset(("resource/two", "resource/nowhere"))
        seen = await look(observer, resource("one"), resource("two"), only=only)
        assert set(seen) == {"resource/two"}
        assert await look(observer, resource("one"), only=frozenset()) == {}

    run(scene)


def test_a_thousand_stacks_with_one_resource_ask_once(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        check = Check()
        check.may_go.clear()
        observer = place.observer({"test": check})
        looks = [asyncio.create_task(look(observer, resource())) for _ in range(1_000)]
        await bench.settle()
        check.may_go.set()
        seen = await asyncio.gather(*looks)
        assert all(each["resource/it"].state == "present" for each in seen)
        assert len(check.asked) == 1

    run(scene)


def test_a_thousand_stacks_with_one_provider_ask_it_once_each_thing(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        def answer(request: answering.Request) -> answering.Response:
            return answering.Response(value={"data": []})

        with answering.Server(answer) as server:
            options = {"base_url": server.url, "content_types": {"article": "articles"}}
            place.environment["TOKEN"] = "t"
            place.declare("cms", "strapi", options, token="env:TOKEN", admin_token="env:TOKEN")
            observer = place.observer()
            provider = composition.Provider(role="cms", name="strapi")
            hook = composition.Integration(name="hook", provider="cms", url="https://h.example/")
            content = composition.Content(type="article", provider="cms", min_count=1)
            stacks = [bench.stack(provider, hook, content, name=f"stack-{n}") for n in range(1_000)]
            began = place.clock.monotonic()
            looks = (observer.observe(pass_ports.Look(stack=each)) for each in stacks)
            seen = await asyncio.gather(*looks)
            assert place.clock.monotonic() - began < 30
            assert all(each["provider/cms"].state == "present" for each in seen)
            assert all(each["integration/hook"].state == "absent" for each in seen)
            assert all(each["content/article"].value == {"count": 0, "differs": 0} for each in seen)
            # Health, webhooks, published and drafts.
            assert len(server.asked) == 4

    run(scene)


def test_what_was_seen_lately_is_not_asked_again_unless_it_has_to_be_fresh(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        check = Check()
        observer = place.observer({"test": check})
        await look(observer, resource())
        place.clock.ahead_s += cache.TTL_S - 1
        await look(observer, resource())
        assert len(check.asked) == 1
        await look(observer, resource(), fresh=True)
        assert len(check.asked) == 2
        place.clock.ahead_s += cache.TTL_S + 1
        await look(observer, resource())
        assert len(check.asked) == 3

    run(scene)


def test_what_could_not_be_seen_is_asked_again_soon(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        check = Check(ports.unknown("away"))
        observer = place.observer({"test": check})
        assert (await look(observer, resource()))["resource/it"].state == "unknown"
        place.clock.ahead_s += cache.FAILED_S + 1
        assert (await look(observer, resource()))["resource/it"].state == "present"

    run(scene)


def test_resources_that_are_declared_otherwise_are_other_questions(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        check = Check()
        place.environment["ONE"], place.environment["TWO"] = "1", "2"
        observer = place.observer({"test": check})
        for fields in (
            {},
            {"settings": {"url": "https://a.example"}},
            {"expects": {"status": 200}},
            {"credentials": {"token": "env:ONE"}},
            {"credentials": {"token": "env:TWO"}},
        ):
            await look(observer, resource(**fields))
        assert len(check.asked) == 5
        await look(observer, resource(expects={"status": 404}))
        assert len(check.asked) == 5

    run(scene)


def test_a_check_that_is_throttled_is_left_alone(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        check = Check(ports.unknown("throttled", pause_s=60))
        observer = place.observer({"test": check})
        await look(observer, resource())
        place.clock.ahead_s += 30
        again = (await look(observer, resource(), fresh=True))["resource/it"]
        assert "left alone" in again.detail
        assert len(check.asked) == 1
        place.clock.ahead_s += 31
        assert (await look(observer, resource()))["resource/it"].state == "present"

    run(scene)


def test_what_has_to_be_fresh_is_asked_once_in_a_look(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        check = Check()
        observer = place.observer({"test": check})
        await look(observer, resource())
        hooks: list[str] = []

        def answer(request: answering.Request) -> answering.Response:
            hooks.append(request.path)
            return answering.Response(value={"data": []})

        with answering.Server(answer) as server:
            place.environment["TOKEN"] = "t"
            place.declare("cms", "strapi", {"base_url": server.url}, admin_token="env:TOKEN")
            parts = [
                composition.Integration(name=name, provider="cms", url=f"https://h.example/{name}")
                for name in ("one", "two", "three")
            ]
            provider = composition.Provider(role="cms", name="strapi")
            only = frozenset(each.address for each in parts)
            for _ in range(2):
                await look(observer, provider, *parts, only=only, fresh=True)
            assert len(hooks) == 2

    run(scene)


def test_a_look_that_is_given_up_leaves_nothing_running(run: Run) -> None:
    async def scene(place: bench.Place) -> None:
        check = Check()
        check.may_go.clear()
        observer = place.observer({"test": check})
        looking = asyncio.create_task(look(observer, resource()))
        await bench.settle()
        looking.cancel()
        await asyncio.wait([looking])
        await observer.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scene)


# The cache by itself


def caching(scene: Callable[[cache.Cache, bench.MovableClock], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = bench.MovableClock()
        made = cache.Cache(clock, lambda: 0.0)
        await scene(made, clock)
        await made.close()

    asyncio.run(main())


def test_who_gives_up_waiting_does_not_end_the_question_of_others() -> None:
    async def scene(made: cache.Cache, _: clocks.Clock) -> None:
        may_go = asyncio.Event()

        async def ask() -> cache.Kept[int]:
            await may_go.wait()
            return cache.Kept(value=1)

        first = asyncio.create_task(made.get("k", ask))
        second = asyncio.create_task(made.get("k", ask))
        await bench.settle()
        first.cancel()
        may_go.set()
        assert await second == 1
        assert first.cancelled()

    caching(scene)


def test_a_fresh_answer_is_not_replaced_by_a_slow_older_one() -> None:
    async def scene(made: cache.Cache, _: clocks.Clock) -> None:
        may_go = asyncio.Event()

        async def slow() -> cache.Kept[str]:
            await may_go.wait()
            return cache.Kept(value="old")

        async def quick() -> cache.Kept[str]:
            return cache.Kept(value="new")

        waiting = asyncio.create_task(made.get("k", slow))
        await bench.settle()
        assert await made.get("k", quick, since=made.mark()) == "new"
        may_go.set()
        assert await waiting == "old"
        assert await made.get("k", slow) == "new"

    caching(scene)


def test_an_error_is_given_to_all_who_wait_and_kept_for_a_moment() -> None:
    async def scene(made: cache.Cache, clock: clocks.Clock) -> None:
        asked = []

        async def ask() -> cache.Kept[int]:
            asked.append(1)
            raise errors.StorageError("away")

        for _ in range(2):
            found = await asyncio.gather(
                *(made.get("k", ask) for _ in range(3)), return_exceptions=True
            )
            assert all(isinstance(each, errors.StorageError) for each in found)
        assert len(asked) == 1
        assert isinstance(clock, bench.MovableClock)
        clock.ahead_s += cache.FAILED_S + 1
        with pytest.raises(errors.StorageError):
            await made.get("k", ask)
        assert len(asked) == 2

    caching(scene)


def test_the_cache_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT_MAX", 2)

    async def scene(made: cache.Cache, _: clocks.Clock) -> None:
        asked: list[int] = []

        async def one(key: int) -> int:
            async def ask() -> cache.Kept[int]:
                asked.append(key)
                return cache.Kept(value=key)

            return await made.get(key, ask)

        for key in (1, 2, 3, 2, 3, 1):
            await one(key)
        assert asked == [1, 2, 3, 1]

    caching(scene)


def test_an_answer_that_still_holds_is_too_old_for_who_looks_more_often() -> None:
    async def scene(made: cache.Cache, clock: clocks.Clock) -> None:
        assert isinstance(clock, bench.MovableClock)
        asked: list[int] = []

        async def ask() -> cache.Kept[int]:
            asked.append(1)
            return cache.Kept(value=len(asked), ttl_s=100)

        assert await made.get("k", ask, age_s_max=2.0) == 1
        clock.ahead_s += 1.5
        assert await made.get("k", ask, age_s_max=2.0) == 1
        clock.ahead_s += 1.0
        assert await made.get("k", ask) == 1
        assert await made.get("k", ask, age_s_max=2.0) == 2

    caching(scene)


def test_answers_end_at_different_moments() -> None:
    async def main() -> None:
        clock = bench.MovableClock()
        draws = iter([0.0, 1.0])
        made = cache.Cache(clock, lambda: next(draws, 0.5))
        asked: list[str] = []

        async def get(key: str) -> None:
            async def ask() -> cache.Kept[int]:
                asked.append(key)
                return cache.Kept(value=1, ttl_s=100)

            await made.get(key, ask)

        await get("late")
        await get("early")
        clock.ahead_s += 90
        await get("late")
        await get("early")
        assert asked == ["late", "early", "early"]

    asyncio.run(main())


def test_only_so_many_calls_go_to_one_place_at_a_time() -> None:
    async def main() -> None:
        gates = patience.Gates(clocks.SystemClock(), at_once=2)
        inside, most = 0, 0

        async def call(place: str) -> None:
            nonlocal inside, most
            async with gates.through(place):
                inside += 1
                most = max(most, inside)
                await bench.settle()
                inside -= 1

        await asyncio.gather(*(call("one") for _ in range(9)))
        assert most == 2
        await asyncio.gather(call("one"), call("two"), call("three"))
        assert most == 3
        assert not gates._gates

    asyncio.run(main())
