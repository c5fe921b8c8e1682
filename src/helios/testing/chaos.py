"""Does real drift to a real stack, and sees to it that what has to follow does follow.

A `Case` is one drift done to one stack. `Chaos.follow` waits for it to be found, plays the people
(who agree, or mend what is theirs), and asks the real system itself at the end. `run` does many,
drawn from a seed, at the same time. Nothing here tells Helios what was done.
"""

import dataclasses
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helios.kernel import clock as clocks
from helios.testing import chaos_deeds, chaos_kinds
from helios.testing.chaos_kinds import KINDS, Kind
from helios.testing.real_stack import FLEET, MAIN, Name, NotSoError, RealStack

FOUND_S = 60.0
"""Longest time from a change to its drift; on a busy machine."""

ENDED_S = 120.0
"""Longest time from then to its end."""

OF_COMPONENT = 4
"""Drifts of one component within an hour: one less than Helios may heal."""

OF_KIND = 2
"""Drifts of one kind of one stack within an hour: at the third Helios sees a fight."""

AT_ONCE = 6
_OPEN = frozenset(("confirmed", "planned", "awaiting_approval", "healing", "verifying", "failed"))
_WRITTEN = frozenset(("started", "acted", "succeeded", "failed", "unverified"))


@dataclasses.dataclass
class Case:
    """One drift done to one stack.

    Attributes:
        began, ended: when it was done, and when all was well again; UTC, as the API writes times.
        found_s, ended_s: seconds from its beginning.
        trouble: what was not as it has to be; empty: nothing.
    """

    kind: Kind
    name: Name
    began: str = ""
    ended: str = ""
    memory: Any = None
    found_s: float = 0.0
    ended_s: float = 0.0
    trouble: str = ""

    def __str__(self) -> str:
        return f"{self.kind.name} of {'/'.join(self.name)}"


@dataclasses.dataclass(frozen=True)
class Heal:
    """An action that Helios began to carry out."""

    name: Name
    target: str
    kind: str
    status: str
    started: str
    approved_by: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of many drifts.

    Attributes:
        false_heals: what was written where nobody had changed anything.
    """

    cases: Sequence[Case]
    false_heals: Sequence[Heal]

    @property
    def healable(self) -> list[Case]:
        """Those that Helios may heal."""
        return [each for each in self.cases if each.kind.ends in chaos_kinds.HEALABLE]

    @property
    def healed(self) -> list[Case]:
        """Those of them that it did."""
        return [each for each in self.healable if not each.trouble]

    @property
    def share(self) -> float:
        """Part of the healable ones that were healed."""
        return len(self.healed) / len(self.healable) if self.healable else 1.0


class Chaos:
    """Does drift to a stack.

    Args:
        world: the stack.
        tell: hears what happens, for people.
        patience: bounds of waiting are multiplied with it.
    """

    def __init__(
        self,
        world: RealStack,
        *,
        tell: Callable[[str], None] = lambda _: None,
        patience: float = 1.0,
    ) -> None:
        self.world = world
        self._tell = tell
        self._patience = patience
        # Who speaks with the CMS holds it, so that nobody stops it meanwhile.
        self._cms = threading.RLock()
        self._done: list[tuple[Kind, Name]] = []
        self._groups: dict[tuple[Name, str], threading.Lock] = {}
        self._agreeing = threading.Lock()

    def now(self) -> str:
        """The present time, comparable with times of the API."""
        return clocks.to_rfc3339(self.world.clock.now())

    def do(self, kind: Kind, name: Name = MAIN) -> Case:
        """Do a drift to a stack.

        Raises:
            ImpossibleError: it cannot be done as things are.
        """
        case = Case(kind=kind, name=name, began=self.now())
        with self._cms:
            case.memory = kind.do(self.world, name)
        self._done.append((kind, name))
        self._tell(f"{case}: somebody {kind.says}")
        return case

    def follow(self, case: Case) -> Case:
        """Wait until it has ended as it has to.

        Raises:
            NotSoError: it did not, within the time that it has.
        """
        begin = self.world.clock.monotonic()
        steps = {
            "healed": self._healed,
            "approved": self._approved,
            "told": self._told,
            "unknown": self._unknown,
            "agreed": self._agreed,
        }
        steps[case.kind.ends](case, begin)
        self._until(case, lambda: self._is_right(case), "the system itself to be as declared")
        case.ended_s = self.world.clock.monotonic() - begin
        case.ended = self.now()
        self._tell(f"{case}: {case.kind.ends}, {case.ended_s:.1f} s")
        return case

    def one(self, kind: Kind, name: Name = MAIN) -> Case:
        """Do it, and follow it to its end; then its group is free for the next."""
        with self._group(kind, name):
            return self.follow(self.do(kind, name))

    def mend(self, case: Case) -> None:
        """Do what people do."""
        with self._cms:
            case.kind.mend(self.world, case.name, case.memory)

    # -- how they end ---------------------------------------------------------------------------

    def _healed(self, case: Case, begin: float) -> None:
        self._found(case, begin)
        self._until(case, lambda: self._was_healed(case), "it to be healed and verified")

    def _approved(self, case: Case, begin: float) -> None:
        self._found(case, begin)
        self._until(case, lambda: self._asked(case), "somebody to be asked")
        if self.heals(case.name, case.kind.component, since=case.began):
            raise NotSoError(f"{case}: something was done before anybody agreed")
        self.mend(case)
        self._until(case, lambda: self._agree(case), "it to be healed and verified")

    def _told(self, case: Case, begin: float) -> None:
        self._found(case, begin)
        self.mend(case)
        self._until(case, lambda: not self._open(case), "the drift to be closed")
        done = self.heals(case.name, case.kind.component, since=case.began)
        if done:
            raise NotSoError(f"{case}: something was done that is for people to do: {done}")

    def _unknown(self, case: Case, begin: float) -> None:
        def is_unknown() -> bool:
            found = self.unknown(case.name)
            return any(each.partition("#")[0] == case.kind.component for each in found)

        self._until(case, is_unknown, "it to be unknown", FOUND_S)
        case.found_s = self.world.clock.monotonic() - begin
        self.mend(case)
        self._until(case, lambda: not is_unknown(), "it to be known again")
        drifts = self.drifts(case.name, case.kind.component, since=case.began)
        if drifts:
            raise NotSoError(f"{case}: what cannot be seen was called drift: {drifts}")

    def _agreed(self, case: Case, begin: float) -> None:
        fuse = self._until(case, self.blown, "the fuse to blow", FOUND_S)
        case.found_s = self.world.clock.monotonic() - begin
        stacks = chaos_deeds.half(self.world)

        def are_found() -> bool:
            return all(self.drifts(n, case.kind.component, since=case.began) for n in stacks)

        self._until(case, are_found, "each of them to be found", FOUND_S)
        reason = "we know why: somebody tidied up"
        self.world.cli(
            "guards", "fuse", "reset", fuse["fuse_id"], "--client-id", FLEET, "--reason", reason
        )

        def are_healed() -> bool:
            return all(self._is_healed(name, case) for name in stacks)

        self._until(case, are_healed, "all of them to be healed")

    # -- what Helios says -----------------------------------------------------------------------

    def drifts(self, name: Name, component: str = "", *, since: str = "") -> list[dict[str, Any]]:
        """Drifts of a stack that were confirmed since a time, open or not, newest first."""
        found = self.world.of_stack(name, "/drifts", limit=1000)["drifts"]
        return [
            each
            for each in found
            if (each["confirmed_at"] or "") > since
            and (not component or each["component"] == component)
        ]

    def heals(self, name: Name, component: str = "", *, since: str = "") -> list[Heal]:
        """Actions that were begun on a stack since a time, and wrote or may have, newest first."""
        found = self.world.of_stack(name, "/history", limit=1000)["heals"]
        return [
            Heal(
                name,
                each["target"],
                each["kind"],
                each["status"],
                each["started_at"],
                tuple(each["approved_by"]),
            )
            for each in found
            if each["started_at"] > since
            and each["status"] in _WRITTEN
            and (not component or each["target"] == component)
        ]

    def unknown(self, name: Name) -> list[str]:
        """What could not be looked at lately."""
        query = {"client_id": name[0], "stack_id": name[1]}
        (found,) = self.world.get("/api/v1/drift/check", **query)["stacks"]
        unknown: list[str] = found["unknown"]
        return unknown

    def approvals(self, name: Name, status: str = "pending") -> list[dict[str, Any]]:
        """What waits for somebody's agreement."""
        found = self.world.get("/api/v1/approvals", client_id=name[0], status=status, limit=1000)[
            "approvals"
        ]
        return [each for each in found if each["stack_id"] == name[1]]

    def fuses(self) -> list[dict[str, Any]]:
        """The fuses of the fleet that have ever blown."""
        found: list[dict[str, Any]] = self.world.get("/api/v1/guards", client_id=FLEET)["fuses"]
        return found

    def blown(self) -> dict[str, Any] | None:
        """A fuse that is blown now."""
        return next((each for each in self.fuses() if each["reset_at"] is None), None)

    # -- steps ----------------------------------------------------------------------------------

    def _found(self, case: Case, begin: float) -> None:
        def look() -> bool:
            found = self.drifts(case.name, case.kind.component, since=case.began)
            return any(each["cause"] in case.kind.causes for each in found)

        self._until(case, look, f"{' or '.join(case.kind.causes)} to be found", FOUND_S)
        case.found_s = self.world.clock.monotonic() - begin

    def _open(self, case: Case) -> list[dict[str, Any]]:
        found = self.world.of_stack(case.name, "/drift")["drift_details"]
        return [each for each in found if each["component"] == case.kind.component]

    def _was_healed(self, case: Case) -> bool:
        return self._is_healed(case.name, case)

    def _is_healed(self, name: Name, case: Case) -> bool:
        found = self.world.of_stack(name, "/drift")["drift_details"]
        if any(each["component"] == case.kind.component for each in found):
            return False
        done = self.heals(name, case.kind.component, since=case.began)
        return any(each.status == "succeeded" for each in done)

    def _asked(self, case: Case) -> dict[str, Any] | None:
        return next(
            (
                each
                for each in self.approvals(case.name)
                if any(a["target"] == case.kind.component for a in each["shown"]["actions"])
            ),
            None,
        )

    def _agree(self, case: Case) -> bool:
        """Agree to whatever is asked of it, as often as it changes meanwhile."""
        with self._agreeing:
            asked = self._asked(case)
            if asked is not None:
                self.world.cli(
                    *("approve", asked["approval_id"], "--client-id", case.name[0]),
                    *("--digest", asked["digest"], "--reason", "as it was", "--yes"),
                    *("--as", "ada"),
                    # What was asked may have changed since; then it is asked anew.
                    ok=False,
                )
        return self._was_healed(case)

    def _is_right(self, case: Case) -> bool:
        with self._cms:
            return case.kind.is_right(self.world, case.name, case.memory)

    def _until(
        self, case: Case, look: Callable[[], Any], what: str, seconds: float = ENDED_S
    ) -> Any:
        return self.world.until(look, f"{case}: {what}", seconds * self._patience)

    def _group(self, kind: Kind, name: Name) -> threading.Lock:
        return self._groups.setdefault((name, kind.group or kind.component), threading.Lock())

    # -- many -----------------------------------------------------------------------------------

    def draw(self, rng: random.Random, count: int) -> list[tuple[Kind, Name]]:
        """So many drifts as an hour may bring: no more of one thing than anybody would heal.

        What was done before counts.
        """
        kinds = [each for each in KINDS.values() if each.ends != "agreed"]
        places = [(kind, name) for kind in kinds for name in self._places(kind)]
        drawn: list[tuple[Kind, Name]] = []
        of_kind = Counter((kind.name, name) for kind, name in self._done)
        of_component = Counter((kind.component, name) for kind, name in self._done)
        while len(drawn) < count and places:
            kind, name = some = rng.choice(places)
            most = 1 if kind.ends in ("unknown", "told") else OF_KIND
            if of_kind[kind.name, name] >= most or of_component[kind.component, name] >= (
                OF_COMPONENT
            ):
                places.remove(some)
                continue
            of_kind[kind.name, name] += 1
            of_component[kind.component, name] += 1
            drawn.append(some)
        return drawn

    def _places(self, kind: Kind) -> list[Name]:
        main = [MAIN] if "main" in kind.where else []
        return main + (self.world.branches if "branch" in kind.where else [])

    def run(self, drawn: Sequence[tuple[Kind, Name]], *, pause_s: float = 0.0) -> Result:
        """Do all of them, several at the same time, and follow each to its end.

        Args:
            drawn: what is done to which stack.
            pause_s: between the beginnings of two.
        """
        since = self.now()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = []
            for kind, name in drawn:
                waiting.append(pool.submit(self._tried, kind, name))
                threading.Event().wait(pause_s)
            cases = [case for each in waiting if (case := each.result()) is not None]
        self.world.until(
            lambda: all(self.world.is_well(name) for name in self.world.stacks),
            "all stacks to be as declared after the run",
            ENDED_S * self._patience,
        )
        return Result(cases, self.false_heals(cases, since=since))

    def _tried(self, kind: Kind, name: Name) -> Case | None:
        with self._group(kind, name):
            try:
                if kind.name == "provider_stopped":
                    # Nobody can speak with the CMS until it is there again.
                    with self._cms:
                        case = self.do(kind, name)
                        return self.follow(case)
                case = self.do(kind, name)
            except chaos_deeds.ImpossibleError as error:
                self._tell(f"{kind.name} of {'/'.join(name)}: not now: {error}")
                return None
            try:
                return self.follow(case)
            except NotSoError as error:
                case.trouble = str(error)
                case.ended = self.now()
                self.mend(case)
                self._tell(f"{case}: {error}")
                return case

    def false_heals(self, cases: Sequence[Case], *, since: str) -> list[Heal]:
        """What was written since a time where nobody had changed anything."""
        return [
            heal
            for name in self.world.stacks
            for heal in self.heals(name, since=since)
            if not any(_explains(case, heal, self.world) for case in cases)
        ]


def stacks_of(case: Case, world: RealStack) -> list[Name]:
    """The stacks that a drift was done to."""
    return chaos_deeds.half(world) if case.kind.ends == "agreed" else [case.name]


def _explains(case: Case, heal: Heal, world: RealStack) -> bool:
    return (
        heal.name in stacks_of(case, world)
        and heal.target == case.kind.component
        and case.kind.ends in chaos_kinds.HEALABLE
        and case.began <= heal.started <= (case.ended or heal.started)
    )


def told(result: Result) -> str:
    """What came of many drifts, for people."""
    lines = [
        json.dumps(
            {
                "kind": each.kind.name,
                "stack": "/".join(each.name),
                "ends": each.kind.ends,
                "found_s": round(each.found_s, 1),
                "ended_s": round(each.ended_s, 1),
                "trouble": each.trouble.partition("\n")[0],
            }
        )
        for each in result.cases
    ]
    lines.append(
        f"{len(result.healed)} of {len(result.healable)} healed ({result.share:.0%}), "
        f"{len(result.false_heals)} false heals, {len(result.cases)} drifts in all"
    )
    return "\n".join(lines)
