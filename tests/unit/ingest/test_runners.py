"""The manager of runners, on a loop whose time and order are its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import msgspec
import pytest

from helios.ingest import directory, kinds, runners, sources
from helios.kernel import errors, secret
from helios.providers import ports as providers
from helios.testing import simloop, simports

SEEDS = range(6)
Scenario = Callable[["Bench"], Awaitable[None]]


class NoOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing to set."""


class Adapter:
    """A provider that can be polled."""

    name: ClassVar[str] = "shop"
    title: ClassVar[str] = "Shop"
    capabilities: ClassVar[frozenset[providers.Capability]] = frozenset(
        {providers.Capability.VERIFY, providers.Capability.LIST_CHANGES}
    )
    trust: ClassVar[providers.Trust] = providers.Trust.SIGNED_ID
    answers: ClassVar[providers.AnswerPolicy] = providers.AnswerPolicy()
    Options: ClassVar[type[msgspec.Struct]] = NoOptions


class Careless(Adapter):
    """Its own check fails."""

    def check(self, source: providers.Source) -> None:
        raise KeyError(source.name)


class Registry:
    def names(self) -> Sequence[str]:
        return ["shop", "broken", "careless"]

    def get(self, name: str, /) -> Any:
        if name == "broken":
            raise SyntaxError("what a package")
        return Careless() if name == "careless" else Adapter()


class Vault:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def find(self, reference: str) -> secret.Secret:
        if reference not in self.values:
            raise errors.StorageError(f"{reference}: it is not there")
        return secret.Secret(self.values[reference])


class Leases:
    """Leases of several processes, and whether anyone can say who has them."""

    def __init__(self) -> None:
        self.held: dict[str, Lease] = {}
        self.away = False

    async def acquire(self, name: str) -> runners.Lease | None:
        await asyncio.sleep(0)
        if self.away:
            raise errors.StorageError("the database is away")
        if name in self.held:
            return None
        self.held[name] = Lease(self, name)
        return self.held[name]


class Lease:
    def __init__(self, leases: Leases, name: str) -> None:
        self._leases = leases
        self._name = name
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def lost(self) -> None:
        await asyncio.shield(self.gone)

    def lose(self) -> None:
        del self._leases.held[self._name]
        self.gone.set_result(None)

    async def release(self) -> None:
        if self._leases.held.get(self._name) is self:
            del self._leases.held[self._name]


class Runner:
    """Does as it is told, and remembers what it was told."""

    def __init__(self, bench: "Bench", tools: sources.Tools) -> None:
        self.bench = bench
        self.tools = tools
        self.paused = False
        self.running = False
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.deaf = False
        self.polled = 0

    async def run(self) -> None:
        self.running = True
        try:
            while True:
                try:
                    await asyncio.shield(self.broken)
                except asyncio.CancelledError:
                    if not self.deaf:
                        raise
                else:
                    return
        finally:
            self.running = False

    def pause(self) -> None:
        if self.bench.stubborn:
            raise RuntimeError("not now")
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    async def status(self) -> sources.Status:
        if self.deaf:
            await asyncio.sleep(1e6)
        return sources.Status(state="running", lag=3, fetched=5)

    async def replay(self, what: sources.Replay) -> sources.Replayed:
        return sources.Replayed(fetched=len(what.ids), stored=len(what.ids))

    def poll_now(self) -> None:
        self.polled += 1

    async def poll(self) -> None:
        self.polled += 1


class Bench:
    """One process with a manager; a second one may share its leases."""

    def __init__(self, loop: simloop.SimLoop, leases: Leases | None = None) -> None:
        self.clock = simports.SimClock(loop)
        self.vault = Vault()
        self.made: list[Runner] = []
        self.refuse: Exception | None = None
        self.stubborn = False
        self.leases = leases or Leases()
        fetcher = kinds.Fetcher(name="queue", title="Queue", extra="queue", module="queue")
        module = type("Module", (), {"Options": NoOptions, "make": staticmethod(self.make)})
        known = kinds.Kinds(Registry(), [fetcher], load=lambda _: module)
        self.table = directory.Sources(known, self.vault, self.clock)
        rng = loop.rng("jitter")
        around = runners.Surroundings(
            table=self.table,
            gate=None,  # type: ignore[arg-type]  # nothing is handed in here
            client=None,  # type: ignore[arg-type]  # nor called
            leases=self.leases,
            clock=self.clock,
            random=rng.random,
            poller=self.make,
        )
        self.manager = runners.Manager(around, self)
        self.manager.open()

    def refusals(self, name: str) -> dict[str, int]:
        del name
        return {}

    def results(self, name: str) -> dict[str, int]:
        return {"stored": 1} if name == "orders" else {}

    async def make(self, tools: sources.Tools) -> sources.Runner:
        if self.refuse is not None:
            raise self.refuse
        self.made.append(Runner(self, tools))
        return self.made[-1]

    def declare(self, *declared: sources.Declared) -> None:
        entries = [
            directory.Entry(client_id=d.client_id, name=d.name, provider=d.provider, declared=d)
            for d in declared
        ]
        self.table.update(entries, 1)
        self.manager.update(entries)

    @property
    def running(self) -> list[Runner]:
        return [runner for runner in self.made if runner.running]

    async def state(self, name: str = "orders") -> tuple[str, str]:
        now = await self.manager.status("default", name)
        return now.state, now.status.detail


def queue(name: str = "orders", **given: Any) -> sources.Declared:
    return sources.Declared(name=name, provider="queue", **given)


@pytest.fixture(params=SEEDS)
def play(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Run a scenario; nothing of it may be left behind."""

    def run(scenario: Scenario) -> None:
        loop = simloop.SimLoop(request.param, time_max_s=1e5)

        async def main() -> None:
            bench = Bench(loop)
            await scenario(bench)
            await bench.manager.close()
            assert bench.leases.held == {}
            assert [r for r in bench.running if not r.deaf] == []
            for runner in bench.made:
                if runner.deaf:
                    runner.broken.set_result(None)

        simloop.run(loop, main())

    return run


def test_a_declared_queue_runs_and_a_removed_one_does_not(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.declare(queue(), queue("other"))
        await bench.clock.sleep(0.1)
        assert len(bench.running) == 2
        assert await bench.state() == ("running", "")
        now = await bench.manager.status("default", "orders")
        assert (now.status.lag, now.results) == (3, {"stored": 1})
        bench.declare(queue("other"))
        await bench.clock.sleep(0.1)
        assert [r.tools.declared.name for r in bench.running] == ["other"]
        bench.declare(queue("other"), queue())
        await bench.clock.sleep(0.1)
        assert len(bench.running) == 2

    play(scenario)


def test_a_changed_declaration_starts_anew_and_an_equal_one_does_not(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.declare(queue())
        await bench.clock.sleep(0.1)
        bench.declare(queue())
        await bench.clock.sleep(0.1)
        assert len(bench.made) == 1
        for version in (2, 3, 4):
            bench.declare(queue(version=version))
        await bench.clock.sleep(1)
        assert [r.tools.declared.version for r in bench.running] == [4]

    play(scenario)


def test_pause_and_resume_reach_the_runner_without_starting_it_anew(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.declare(queue())
        await bench.clock.sleep(0.1)
        bench.declare(queue(paused=True))
        assert [each.paused for each in bench.made] == [True]
        assert await bench.state() == ("paused", "")
        bench.declare(queue())
        assert [each.paused for each in bench.made] == [False]
        assert len(bench.made) == 1

    play(scenario)


def test_a_source_that_is_paused_at_the_start_is_not_started_before_it_is_resumed(
    play: Any,
) -> None:
    async def scenario(bench: Bench) -> None:
        bench.declare(queue(paused=True))
        await bench.clock.sleep(60)
        assert bench.made == []
        assert await bench.state() == ("paused", "")
        assert bench.leases.held == {}
        bench.declare(queue())
        await bench.clock.sleep(0.1)
        assert len(bench.running) == 1

    play(scenario)


def test_a_runner_that_breaks_off_is_started_again_later_each_time(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.declare(queue(), queue("other"))
        await bench.clock.sleep(0.1)
        pauses = []
        for _ in range(9):
            before = len(bench.made)
            (mine,) = [r for r in bench.running if r.tools.declared.name == "orders"]
            mine.broken.set_exception(ValueError("boom"))
            begun = bench.clock.monotonic()
            while len(bench.made) == before:
                await bench.clock.sleep(0.05)
                if len(bench.made) == before:
                    assert await bench.state() in (("waiting", "boom"), ("starting", ""))
            pauses.append(bench.clock.monotonic() - begun)
        assert pauses[0] <= 1.2
        assert 30 <= pauses[-1] <= 61
        now = await bench.manager.status("default", "orders")
        assert now.restarts == 9
        assert [r.tools.declared.name for r in bench.made].count("other") == 1
        await bench.clock.sleep(runners.STEADY_S)
        (mine,) = [r for r in bench.running if r.tools.declared.name == "orders"]
        mine.broken.set_result(None)
        await bench.clock.sleep(1.2)
        assert len(bench.running) == 2

    play(scenario)


def test_settings_that_the_runner_does_not_understand_wait_for_a_person(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.refuse = errors.InvalidInputError("no such topic")
        bench.declare(queue())
        await bench.clock.sleep(1e4)
        assert await bench.state() == ("failed", "no such topic")
        bench.refuse = None
        bench.declare(queue(version=2))
        await bench.clock.sleep(0.1)
        assert await bench.state() == ("running", "")

    play(scenario)


def test_a_missing_secret_is_waited_for_and_a_changed_one_is_taken_up(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.declare(queue(credentials={"password": "env:P"}))
        await bench.clock.sleep(10)
        state, detail = await bench.state()
        assert (state, "env:P: it is not there" in detail) == ("waiting", True)
        bench.vault.values["env:P"] = "one"
        await bench.clock.sleep(60)
        assert len(bench.running) == 1
        bench.vault.values["env:P"] = "two"
        await bench.clock.sleep(runners.SECRETS_S + 2)
        (runner,) = bench.running
        assert runner.tools.source.credentials["password"].text == "two"
        del bench.vault.values["env:P"]
        await bench.clock.sleep(60)
        assert bench.running == [runner], "what runs with a good secret goes on"

    play(scenario)


def test_a_runner_that_will_not_stop_is_left_behind(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.declare(queue())
        await bench.clock.sleep(0.1)
        bench.made[0].deaf = True
        begun = bench.clock.monotonic()
        state, detail = await bench.state()
        assert (state, "does not say within" in detail) == ("running", True)
        bench.declare(queue(version=2))
        await bench.clock.sleep(3 * runners.STOP_S)
        assert len(bench.running) == 2
        assert bench.clock.monotonic() - begun < 4 * runners.STOP_S + runners.STATUS_S

    play(scenario)


def test_one_of_two_processes_runs_a_source_and_the_other_takes_over(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, simloop.SimLoop)
        other = Bench(loop, bench.leases)
        bench.declare(queue())
        await bench.clock.sleep(0.1)
        other.declare(queue())
        await bench.clock.sleep(5)
        assert (len(bench.running), len(other.running)) == (1, 0)
        assert await other.state() == ("standby", "another process runs it")
        await bench.manager.close()
        await bench.clock.sleep(1.5 * runners.STANDBY_S)
        assert (len(bench.running), len(other.running)) == (0, 1)
        await other.manager.close()

    play(scenario)


def test_who_loses_the_lease_stops_at_once(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.declare(queue())
        await bench.clock.sleep(0.1)
        bench.leases.held["default/orders"].lose()
        bench.leases.away = True
        await bench.clock.sleep(0.1)
        assert bench.running == []
        assert await bench.state() == ("waiting", "another process took it over")
        bench.leases.away = False
        await bench.clock.sleep(60)
        assert len(bench.running) == 1

    play(scenario)


def test_a_runner_that_cannot_be_paused_is_stopped_and_others_are_not_held_up(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.declare(queue())
        await bench.clock.sleep(0.1)
        bench.stubborn = True
        bench.declare(queue(paused=True), queue("other"))
        await bench.clock.sleep(2)
        assert [r.tools.declared.name for r in bench.running] == ["other"]
        assert (await bench.state())[0] == "paused"
        bench.declare(queue(), queue("other"))
        await bench.clock.sleep(2)
        assert len(bench.running) == 2

    play(scenario)


def test_a_source_whose_provider_is_gone_or_broken_does_not_hold_up_the_others(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        gone = sources.Declared(name="gone", provider="uninstalled")
        broken = sources.Declared(name="broken", provider="broken", poll=sources.Polling())
        careless = sources.Declared(name="careless", provider="careless")
        bench.declare(gone, broken, careless, queue())
        await bench.clock.sleep(0.1)
        assert await bench.state() == ("running", "")
        for name, says in (
            ("gone", "no provider is called"),
            ("broken", "what a package"),
            ("careless", "its adapter failed"),
        ):
            state, detail = await bench.state(name)
            assert (state, says in detail) == ("unreadable", True)
        assert len(await bench.manager.all()) == 4

    play(scenario)


def test_only_a_source_that_says_so_is_polled(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        shop = sources.Declared(name="orders", provider="shop")
        bench.declare(shop)
        await bench.clock.sleep(0.1)
        assert await bench.state() == ("idle", "waits for webhooks")
        bench.declare(msgspec.structs.replace(shop, poll=sources.Polling()))
        await bench.clock.sleep(0.1)
        assert await bench.state() == ("running", "")

    play(scenario)


def test_a_replay_asks_the_runner_or_one_made_for_it(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        what = sources.Replay(ids=("a", "b"))
        bench.declare(queue(), sources.Declared(name="shop", provider="shop"))
        await bench.clock.sleep(0.1)
        assert (await bench.manager.replay("default", "orders", what)).stored == 2
        assert len(bench.made) == 1
        assert (await bench.manager.replay("default", "shop", what)).stored == 2
        assert bench.made[1].tools.declared.poll == sources.Polling()
        polled = await bench.manager.poll("default", "shop")
        assert (polled.fetched, polled.complete, bench.made[-1].polled) == (5, True, 1)
        polled = await bench.manager.poll("default", "orders")
        assert (polled.complete, bench.made[0].polled) == (False, 1)
        with pytest.raises(errors.NotFoundError):
            await bench.manager.replay("default", "none", what)

    play(scenario)


def test_before_it_is_opened_nothing_starts(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.manager.close()
        bench.declare(queue())
        await bench.clock.sleep(10)
        assert bench.made == []
        assert await bench.state() == ("stopped", "no server runs here")

    play(scenario)
