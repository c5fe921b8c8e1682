"""Long work that goes on without whoever asked for it: watched, paused, and cancelled, by its id.

A job lives in the process that runs it. What it does is in the log like everything else, so when a
process ends nothing is lost but the counting; the same work asked for again goes on where it was.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Literal, TypeAlias

import msgspec
import structlog

from helios.access import model
from helios.api import links, problems, scoping, showing
from helios.kernel import acting, errors, ids, limits, tenancy
from helios.kernel import clock as clocks

State: TypeAlias = Literal["running", "paused", "done", "stopped", "cancelled", "failed"]
"""`stopped`: too much failed, so it did not go on; `failed`: it could not go on."""

_CANCELLED = "somebody cancelled it"
_UNDER_WAY: tuple[State, ...] = ("running", "paused")
_log = structlog.get_logger("helios.api")


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that it did not succeed with."""

    id: str
    client_id: str
    reason: str
    detail: str
    link: str


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job.

    Attributes:
        kind: such as `dead-letters.retry`.
        client_id: whose data it is about; null: all that who asked may operate.
        total: things it is about; done: how many of them are done.
        counts: what became of them, by outcome.
        rate: things a second so far.
        left_s: seconds that the rest will take at that rate; null: not known.
        failures: the first of them, at most 20.
        detail: why it ended before all was done; empty: it did not.
        asked_by: actor; started_at, ended_at: RFC 3339.
        link: page of what it works on.
    """

    id: str
    kind: str
    title: str
    client_id: str | None
    state: State
    total: int
    done: int
    counts: dict[str, int]
    rate: float | None
    left_s: float | None
    failures: list[Failure]
    detail: str
    asked_by: str
    started_at: str
    ended_at: str | None
    link: str


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs of this process, newest first."""

    jobs: list[JobView]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is done: its outcome, and what failed if it did."""

    outcome: str
    failure: Failure | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done.

    Attributes:
        failures_max: failures after which it stops; None: it does not.
    """

    kind: str
    title: str
    client_id: str | None
    total: int
    failures_max: int | None = None
    link: str = links.DEAD_LETTERS


class _Job:
    def __init__(self, job_id: str, asked: Asked, clock: clocks.Clock) -> None:
        self.id = job_id
        self.asked = asked
        self.scope = tenancy.current()
        self.actor = acting.current()
        self.state: State = "running"
        self.counts: dict[str, int] = {}
        self.failures: list[Failure] = []
        self.failed = 0
        self.detail = ""
        self.started_at = clock.now()
        self.begun = clock.monotonic()
        self.ended_at: clocks.Timestamp | None = None
        self.took_s: float | None = None
        self.task: asyncio.Task[None] | None = None
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.paused_at: float | None = None
        self.paused_s = 0.0

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    def is_seen_by(self, scope: tenancy.Scope) -> bool:
        """Whether all that it is about may be seen."""
        if scope.tenants is None:
            return True
        if self.asked.client_id is not None:
            return self.asked.client_id in scope.tenants
        return self.scope.tenants is not None and self.scope.tenants <= scope.tenants


class Jobs:
    """The jobs of this process.

    Args:
        clock: when they began.
        id_source: names them.
    """

    def __init__(self, clock: clocks.Clock, id_source: ids.Ids) -> None:
        self._clock = clock
        self._ids = id_source
        self._jobs: dict[str, _Job] = {}

    def start(self, asked: Asked, work: Callable[[], AsyncIterator[Step]]) -> JobView:
        """Have something done, in the scope and by the name of who asks.

        Raises:
            OverloadError: too many are under way.
        """
        running = sum(each.state in _UNDER_WAY for each in self._jobs.values())
        if running >= limits.JOBS_RUNNING_MAX:
            raise errors.OverloadError(
                f"{running} jobs are under way already; cancel one, or wait", retry_after_s=10.0
            )
        job = _Job(self._ids.new(), asked, self._clock)
        self._jobs[job.id] = job
        self._forget()
        job.task = asyncio.create_task(self._run(job, work), name=f"job-{asked.kind}")
        job.task.add_done_callback(lambda _: self._close(job))
        return self._view(job)

    def listed(self, tenants: scoping.Tenants) -> JobList:
        """Those that may be seen and are of these clients, newest first."""
        scope = tenancy.current()
        found = [
            each
            for each in self._jobs.values()
            if each.is_seen_by(scope)
            and (each.asked.client_id is None or scoping.holds(tenants, each.asked.client_id))
        ]
        return JobList(jobs=[self._view(each) for each in reversed(found)])

    def one(self, job_id: str) -> JobView:
        """A job.

        Raises:
            NotFoundError: there is none, or not in this process any more.
        """
        return self._view(self._find(job_id))

    def pause(self, job_id: str) -> JobView:
        """Hold a job before its next thing; one that has ended stays as it is.

        Raises:
            NotFoundError: there is none, or not in this process any more.
        """
        job = self._find(job_id)
        if job.state == "running":
            job.state = "paused"
            job.paused_at = self._clock.monotonic()
            job.may_go_on.clear()
        return self._view(job)

    def resume(self, job_id: str) -> JobView:
        """Have a paused job go on.

        Raises:
            NotFoundError: there is none, or not in this process any more.
        """
        job = self._find(job_id)
        if job.state == "paused":
            job.state = "running"
            self._waited(job)
            job.may_go_on.set()
        return self._view(job)

    async def cancel(self, job_id: str) -> JobView:
        """End a job between two things; one that has ended stays as it is.

        Raises:
            NotFoundError: there is none, or not in this process any more.
        """
        job = self._find(job_id)
        if job.task is not None and not job.task.done():
            job.task.cancel()
            await asyncio.wait([job.task], timeout=limits.JOB_STOP_S)
        return self._view(job)

    def require(self, job_id: str, who: model.Principal) -> None:
        """Refuse whoever neither asked for a job nor may operate all that it is about.

        Raises:
            ForbiddenError: it is another's.
            NotFoundError: there is none, or not in this process any more.
        """
        job = self._find(job_id)
        if job.actor == who.actor:
            return
        about = job.scope.tenants if job.asked.client_id is None else (job.asked.client_id,)
        for tenant in (model.ALL,) if about is None else sorted(about):
            who.require(model.Permission.OPERATE, tenant)

    def _find(self, job_id: str) -> _Job:
        found = self._jobs.get(job_id)
        if found is None or not found.is_seen_by(tenancy.current()):
            raise errors.NotFoundError(
                f"no job {job_id[:80]} is known here; jobs are forgotten when their process ends"
            )
        return found

    def _forget(self) -> None:
        ended = [each.id for each in self._jobs.values() if each.state not in _UNDER_WAY]
        for job_id in ended[: max(0, len(self._jobs) - limits.JOBS_KEPT_MAX)]:
            del self._jobs[job_id]

    async def _run(self, job: _Job, work: Callable[[], AsyncIterator[Step]]) -> None:
        steps = work()
        try:
            async for step in steps:
                self._count(job, step)
                most = job.asked.failures_max
                if most is not None and job.failed >= most:
                    job.state, job.detail = "stopped", f"{job.failed} have failed"
                    break
                await job.may_go_on.wait()
            else:
                job.state = "done"
        except asyncio.CancelledError:
            # Whoever cancels it looks at what is done; that it ended is no error of anybody.
            job.state, job.detail = "cancelled", _CANCELLED
        except Exception as error:  # noqa: BLE001 - whatever it is, who watches is told
            job.state = "failed"
            job.detail = msgspec.json.decode(problems.of(error).body)["detail"]
            if not isinstance(error, errors.HeliosError):
                _log.error("job_failed", kind=job.asked.kind, exc_info=error)
        finally:
            close = getattr(steps, "aclose", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    await close()

    def _close(self, job: _Job) -> None:
        """Note the end of a job, also of one that was cancelled before it began."""
        if job.state in _UNDER_WAY:
            job.state, job.detail = "cancelled", _CANCELLED
        self._waited(job)
        job.ended_at = self._clock.now()
        job.took_s = self._clock.monotonic() - job.begun - job.paused_s

    def _waited(self, job: _Job) -> None:
        """Leave the time of a pause out of the rate."""
        if job.paused_at is not None:
            job.paused_s += self._clock.monotonic() - job.paused_at
            job.paused_at = None

    def _count(self, job: _Job, step: Step) -> None:
        job.counts[step.outcome] = job.counts.get(step.outcome, 0) + 1
        if step.failure is not None:
            job.failed += 1
            if len(job.failures) < limits.JOB_FAILURES_SHOWN:
                job.failures.append(step.failure)

    def _view(self, job: _Job) -> JobView:
        took = job.took_s
        if took is None:
            upto = self._clock.monotonic() if job.paused_at is None else job.paused_at
            took = upto - job.begun - job.paused_s
        rate = job.done / took if took > 0 and job.done else None
        left = max(0, job.asked.total - job.done)
        has_ended = job.ended_at is not None
        return JobView(
            id=job.id,
            kind=job.asked.kind,
            title=job.asked.title,
            client_id=job.asked.client_id,
            # What is still being let go of has not ended.
            state=job.state if has_ended or job.state in _UNDER_WAY else "running",
            total=job.asked.total,
            done=job.done,
            counts=dict(job.counts),
            rate=rate,
            left_s=left / rate if rate and job.state == "running" else None,
            failures=list(job.failures),
            detail=job.detail,
            asked_by=job.actor,
            started_at=clocks.to_rfc3339(job.started_at),
            ended_at=showing.at(job.ended_at),
            link=job.asked.link,
        )
