"""All that is looked at of a stack, at once and in time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from helios.ingest import directory, kinds
from helios.kernel import clock as clocks
from helios.kernel import outbound, secret
from helios.projections import ports as view_ports
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions import ports as pass_ports
from helios.reconcile.compositions.observing import (
    cache,
    contents,
    hooking,
    integration_api,
    looking,
    patience,
    ports,
    providing,
    reaching,
    resourcing,
    sites,
)
from helios.reconcile.compositions.predicting import ports as foresight

COMPONENT_S = 10.0
"""Longest look at one component. Then it is unknown."""

WHOLE_S = 25.0
"""Longest look at one stack: less than a pass may take. What is not seen by then is unknown."""

_log = structlog.get_logger("helios.compositions")


class Composite:
    """`ports.Observer` over those who look at one component each.

    Args:
        tools: see `looking.Tools`.
        component_s, whole_s: bounds, in seconds.
        recorder: hears of each component that was really looked at.
    """

    def __init__(
        self,
        tools: looking.Tools,
        *,
        component_s: float = COMPONENT_S,
        whole_s: float = WHOLE_S,
        recorder: foresight.Recorder = foresight.NOTHING,
    ) -> None:
        self._tools = tools
        self._recorder = recorder
        self._component_s = component_s
        self._whole_s = whole_s
        self._hooks = hooking.Hooks()

    @property
    def reach(self) -> reaching.Reach:
        """Finds providers; for those who act where this has looked."""
        return self._tools.reach

    async def observe(self, look: pass_ports.Look) -> model.Observation:
        """See `ports.Observer`."""
        since = self._tools.cache.mark() if look.fresh else cache.ALWAYS
        view = looking.View(
            tools=self._tools, stack=look.stack, since=since, age_s_max=look.age_s_max
        )
        wanted = [
            each
            for each in look.stack.components()
            if look.only is None or each.address in look.only
        ]
        tasks = {each.address: asyncio.create_task(self._timed(view, each)) for each in wanted}
        if not tasks:
            return {}
        try:
            await asyncio.wait(tasks.values(), timeout=self._whole_s)
        finally:
            for task in tasks.values():
                task.cancel()
        late = view.unknown(f"it was not looked at within the {self._whole_s:g} s of a pass")
        return {
            address: task.result() if task.done() and not task.cancelled() else late
            for address, task in tasks.items()
        }

    async def close(self) -> None:
        """End what is being asked."""
        await self._tools.cache.close()

    async def _timed(self, view: looking.View, declared: composition.Component) -> model.Seen:
        """Look, and have it recorded, unless it was seen before and kept."""
        clock = self._tools.clock
        began, now = clock.monotonic(), clock.now()
        seen = await self._one(view, declared)
        if seen.as_of >= now:
            took_s = clock.monotonic() - began
            self._recorder.looked(view.stack, declared, seen, took_s=took_s, now=clock.now())
        return seen

    async def _one(self, view: looking.View, declared: composition.Component) -> model.Seen:
        try:
            async with asyncio.timeout(self._component_s):
                return await self._look(view, declared)
        except TimeoutError:
            return view.unknown(f"no answer within {self._component_s:g} s")
        except Exception as error:  # noqa: BLE001 - one component must not hide the others
            _log.warning(
                "component_not_observed",
                stack=view.stack.stack_id,
                component=declared.address,
                error=looking.said(error),
            )
            return view.unknown(looking.said(error))

    def _look(self, view: looking.View, declared: composition.Component) -> Awaitable[model.Seen]:
        if isinstance(declared, composition.Provider):
            return providing.look(view, declared)
        if isinstance(declared, composition.Integration):
            return self._hooks.look(view, declared)
        if isinstance(declared, composition.Resource):
            return resourcing.look(view, declared)
        return contents.look(view, declared)


def made(
    *,
    store: view_ports.ViewStore,
    known: kinds.Kinds,
    table: directory.Sources,
    vault: secret.Vault,
    client: outbound.Outbound,
    clock: clocks.Clock,
    jitter: Callable[[], float],
    key: bytes,
    checks: Mapping[str, ports.ResourceCheck],
    door: Callable[[directory.Entry], str | None] = lambda _: None,
    refusals: looking.Refusals = lambda _client, _source: None,
    recorder: foresight.Recorder = foresight.NOTHING,
    component_s: float = COMPONENT_S,
    whole_s: float = WHOLE_S,
) -> Composite:
    """Put together what looks at stacks.

    Args:
        store: the views of sources, sites, content and events.
        known: adapters of providers.
        table: the declared sources.
        vault: values of secrets.
        client: makes calls.
        clock: for times and pauses.
        jitter: draws from [0, 1).
        key: for keyed hashes of what is secret; the same in every process over one log, and never
            shown. Another key makes other hashes of the same value.
        checks: of resources, by kind; `site` and `integration_api` are there already.
        door: the whole address at which a source takes webhooks, to find webhooks by for which no
            url is declared; None: not known.
        refusals: when a door last refused a delivery, by client and source.
        recorder: hears of each component that was really looked at.
        component_s: longest look at one component, in seconds.
        whole_s: longest look at one stack.
    """
    gates = patience.Gates(clock)
    patient = patience.Client(client, gates, clock)
    own: dict[str, ports.ResourceCheck] = {
        sites.KIND: sites.Check(store, clock),
        integration_api.KIND: integration_api.Check(patient),
    }
    tools = looking.Tools(
        store=store,
        reach=reaching.Reach(known, table, vault, client=patient, clock=clock, key=key),
        client=patient,
        clock=clock,
        cache=cache.Cache(clock, jitter),
        gates=gates,
        checks={**own, **checks},
        key=key,
        door=door,
        refusals=refusals,
        probe_s=min(looking.PROBE_S, component_s * 0.9),
    )
    return Composite(tools, component_s=component_s, whole_s=whole_s, recorder=recorder)
