"""Taking note of all open drifts that a filter holds of."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from helios.access import model as access
from helios.api import drift_reading, facets, jobs, links, scoping, services, web
from helios.api import drifts as shown
from helios.api.routes import stack_desk as desks
from helios.ingest import incoming
from helios.kernel import acting, errors, filtering, jsonio
from helios.reconcile.compositions import commanding, view

PATH = "/api/v1/drifts/acknowledge"
_SAMPLE = 10
_TRIES = 3


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open drifts to take note of.

    Attributes:
        client_id: of this client only; null: of all that one may operate.
        filter: which; required, so that nobody means all by saying nothing. `state:*` is all.
        reason: why; kept with each.
        dry_run: say how many there are, and some of them, and do nothing.
    """

    filter: str
    reason: str
    client_id: str | None = None
    dry_run: bool = False


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """How many drifts an order would be about, and the newest of them."""

    total: int
    sample: list[shown.DriftView]


def routes(parts: services.Services) -> list[web.Route]:
    """The operations."""
    desk = _Desk(parts)
    return [
        web.Route(
            method="POST",
            path=PATH,
            handler=desk.acknowledge,
            summary="Take note of all open drifts of a filter, as a job",
            tag="stacks",
            body={"application/json": Wanted},
            replies={
                200: web.Reply("With `dry_run`: what it would be about.", Preview),
                202: web.Reply("The job that does it.", jobs.JobView),
            },
        ),
    ]


class _Desk(desks.Desk):
    async def acknowledge(self, request: web.Request) -> web.Response:
        request.query()
        asked = await _asked(request)
        if asked.client_id is not None:
            scoping.tenants(asked.client_id)
        await self.parts.views.wait_for(view.NAME, await self.parts.log.head())
        chosen = await drift_reading.chosen(
            self.parts.store, scoping.tenants(asked.client_id), _expression(asked.filter)
        )
        if asked.dry_run:
            sample = [shown.drift(e.client_id, e.stack_id, e.drift) for e in chosen[:_SAMPLE]]
            return web.answer(Preview(total=len(chosen), sample=sample))
        assert self.parts.jobs is not None, "an application has jobs"
        job = jobs.Asked(
            kind="drifts.acknowledge",
            title=f"acknowledge {len(chosen)} drifts",
            client_id=asked.client_id,
            total=len(chosen),
            link=links.DRIFTS,
        )
        who = request.principal
        made = self.parts.jobs.start(job, lambda: self._steps(chosen, asked.reason, who))
        return web.answer(made, status=202)

    async def _steps(
        self, chosen: Sequence[drift_reading.Found], reason: str, who: access.Principal
    ) -> AsyncIterator[jobs.Step]:
        for each in chosen:
            try:
                outcome = await self._one(each, reason, who)
            except (errors.StorageError, errors.OverloadError):
                raise
            except errors.HeliosError as error:
                failure = jobs.Failure(
                    id=each.drift.drift_id,
                    client_id=each.client_id,
                    reason=error.code,
                    detail=str(error),
                    link=links.drift(each.client_id, each.stack_id, each.drift.drift_id),
                )
                yield jobs.Step(outcome="refused", failure=failure)
            else:
                yield jobs.Step(outcome=outcome)

    async def _one(self, each: drift_reading.Found, reason: str, who: access.Principal) -> str:
        """Take note of one drift; tells `acknowledged`, or that nothing was to be done."""
        for last in (False,) * (_TRIES - 1) + (True,):
            known = await self.at_hand(each.client_id, each.stack_id, anew=False)
            state, actor = known.state, acting.current()
            who.require(access.Permission.OPERATE, each.client_id, state.environment)
            said = commanding.acknowledge(state, each.drift.drift_id, actor=actor, reason=reason)
            made = [
                self.event(each.client_id, each.stack_id, *one, actor=actor, state=state)
                for one in said
            ]
            if not made:
                return "unchanged"
            try:
                done = await self.parts.log.append(made, expected={state.key: state.sequence})
            except errors.ConflictError:
                if last:
                    raise
            else:
                self.parts.compositions.wake(each.client_id, each.stack_id)
                # The next drift of the stack is decided on what this one made of it.
                await self.parts.views.wait_for(view.NAME, done.position)
                return "acknowledged"
            await self.parts.views.wait_for(view.NAME, await self.parts.log.head())
        raise AssertionError(each)


def _expression(text: str) -> filtering.Expression:
    expression = filtering.parse(text)
    facets.check(expression, "drifts")
    return expression


async def _asked(request: web.Request) -> Wanted:
    body = await request.body(64 << 10)
    jsonio.parse_object(body)
    try:
        asked = msgspec.json.decode(body, type=Wanted)
    except msgspec.ValidationError as error:
        incoming.refuse_shape(error)
    if not asked.filter.strip():
        raise errors.InvalidInputError("required; `state:*` is all", field="filter")
    if not asked.reason.strip() or len(asked.reason) > 1_000:
        raise errors.InvalidInputError("1 to 1000 characters", field="reason")
    return asked
