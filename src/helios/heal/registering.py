"""Registers a provider of a stack again: as a source of Helios, and at the integration API.

The source is declared by an event, as a person would by `helios sources apply`: what was set for it
before (secrets, polling, schemas) stays, what the stack says of it goes before that.
"""

import asyncio
import contextlib
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.heal import attempts, integration_api, reaching
from helios.ingest import declaring, directory, kinds, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, jsonio, yamldoc
from helios.projections import ports as view_ports
from helios.projections.views import sources as views
from helios.reconcile.compositions import composition, model, ports
from helios.reconcile.compositions.observing import reaching as looking

VISIBLE_S = 5.0
"""How long is waited for the doors to know what was declared."""

SETTLES_S = 1.0


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be appended for a source.

    Attributes:
        events: types with payloads; none: it is declared so already.
        undo: params that make it as it was.
        changes: for the audit.
    """

    name: str
    events: tuple[tuple[str, msgspec.Struct], ...] = ()
    undo: Mapping[str, Any] | None = None
    changes: Mapping[str, Any] = {}


class Providers:
    """Hand for `register_provider`.

    Args:
        log: where declarations are appended.
        store: where the view of sources is.
        reach: finds sources.
        api: calls integration APIs.
    """

    does: ClassVar[tuple[model.ActionKind, ...]] = ("register_provider",)

    def __init__(
        self,
        log: log_ports.EventLog,
        store: view_ports.ViewStore,
        reach: reaching.Reach,
        api: integration_api.Api,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self._log = log
        self._store = store
        self._reach = reach
        self._api = api
        self._clock = clock
        self._ids = id_source

    async def act(self, attempt: attempts.Attempt) -> ports.Acted:
        stack = attempt.job.stack
        declared = stack.component(attempt.action.target)
        if not isinstance(declared, composition.Provider):
            raise ports.HealError(
                "not_found", f"the stack declares no provider {attempt.action.target}"
            )
        kind = self._kind(declared)
        resource = self._api.of(stack)
        if kind is None and resource is None:
            raise ports.HealError(
                "unsupported",
                f"Helios knows no provider {declared.name}, and the stack has no integration API",
            )
        before = None
        plan = None
        if kind is not None:
            before = await self._before(stack, declared)
            plan = self._planned(attempt, declared, kind, before)
        if attempt.job.dry_run:
            return _would(plan, declared, resource)
        said = []
        if plan is not None:
            said.append(await self._appended(attempt, plan, before))
        if resource is not None and "unregister" not in attempt.params:
            body = {
                "client_id": stack.client_id,
                "provider_type": declared.role,
                "provider_name": declared.name,
            }
            await self._api.write(attempt, resource, "POST", "/providers/register", body)
            said.append(f"registered {declared.name} at {resource.address}")
        return ports.Acted(
            detail="; ".join(said),
            undo=None if plan is None else plan.undo,
            changes={} if plan is None else plan.changes,
            settles_s=SETTLES_S,
        )

    def _kind(self, declared: composition.Provider) -> kinds.Kind | None:
        try:
            return self._reach.table.kinds.get(declared.name)
        except errors.NotFoundError:
            return None

    async def _before(
        self, stack: composition.Composition, declared: composition.Provider
    ) -> views.Source | None:
        """The source that stood for the provider, or that has the name it would get."""
        registered = self._reach.looking.registered(stack.client_id, declared).entry
        name = source_name(stack, declared) if registered is None else registered.name
        return await views.last(self._store, stack.client_id, name)

    def _planned(
        self,
        attempt: attempts.Attempt,
        declared: composition.Provider,
        kind: kinds.Kind,
        before: views.Source | None,
    ) -> Registration:
        stack, params = attempt.job.stack, attempt.params
        name = source_name(stack, declared) if before is None else before.name
        if "unregister" in params:
            return _unregistered(name, before)
        yaml = attempt.wanted.get("declaration")
        if not isinstance(yaml, str):
            text = None if before is None else before.yaml
            document = document_of(stack, declared, kind, name=name, before=text)
            yaml = jsonio.encode(document).decode()
        (made,) = declaring.parse(yaml)
        declaring.check(made, self._reach.table.kinds)
        return _registered(made, before, paused=attempt.wanted.get("paused"))

    async def _appended(
        self, attempt: attempts.Attempt, plan: Registration, before: views.Source | None
    ) -> str:
        if not plan.events:
            return f"source {plan.name} was declared so already"
        made = [self._event(attempt, plan.name, kind, said) for kind, said in plan.events]
        expected = {made[0].aggregate: 0 if before is None else before.sequence}
        with attempt.writing():
            appended = await self._log.append(made, expected=expected)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(VISIBLE_S, attempt.left_s)):
                await self._reach.table.wait_for(appended.position)
        return f"{', '.join(kind for kind, _ in plan.events)} for source {plan.name}"

    def _event(
        self, attempt: attempts.Attempt, name: str, kind: str, payload: msgspec.Struct
    ) -> envelope.NewEvent:
        job = attempt.job
        return envelope.NewEvent(
            id=self._ids.new(),
            source=views.SOURCE,
            type=kind,
            occurred_at=self._clock.now(),
            tenant=job.stack.client_id,
            aggregate_type=views.AGGREGATE_TYPE,
            aggregate_id=name,
            actor=job.actor,
            correlation_id=job.correlation_id,
            causation_id=job.causation_id or job.action.id,
            payload=jsonio.encode(payload),
        )


def source_name(stack: composition.Composition, declared: composition.Provider) -> str:
    """What the source of a provider is called when it is declared for a stack."""
    if declared.source is not None:
        return declared.source
    wanted = re.sub(r"[^a-z0-9-]+", "-", f"{stack.stack_id}-{declared.role}".lower()).strip("-")
    return wanted[:63] if wanted[:1].isalpha() else f"s-{wanted}"[:63]


def document_of(
    stack: composition.Composition,
    declared: composition.Provider,
    kind: kinds.Kind,
    *,
    name: str,
    before: str | None,
) -> dict[str, Any]:
    """The declaration of a provider's source.

    Args:
        stack: that it belongs to; its integrations name the secrets of its webhooks.
        declared: the provider.
        kind: of it.
        name: of the source.
        before: how the source was declared; of another provider only what is everybody's stays.
    """
    spec = _spec(before, declared.name)
    spec["provider"] = declared.name
    options = looking.options(kind, declared, spec.get("options", {}))
    credentials = {**spec.get("credentials", {}), **declared.credentials}
    own = [
        each.secret_ref
        for each in stack.integrations
        if each.provider == declared.role and each.secret_ref is not None
    ]
    secrets = list(dict.fromkeys((*own, *spec.get("secrets", ()))))[: declaring.SECRETS_MAX]
    for field, value in (("options", options), ("credentials", credentials), ("secrets", secrets)):
        if value:
            spec[field] = value
    spec.pop("paused", None)
    if "environment" not in spec and before is None:
        spec["environment"] = stack.environment
    meta = {"name": name, "client_id": stack.client_id}
    return {
        "apiVersion": sources.API_VERSION,
        "kind": sources.KIND,
        "metadata": meta,
        "spec": spec,
    }


_OF_PROVIDER = ("options", "credentials", "secrets", "schemas", "origin", "poll")


def _spec(before: str | None, provider: str) -> dict[str, Any]:
    if before is None:
        return {}
    try:
        document = yamldoc.parse(before).plain()
        (said,) = declaring.parse(before)
    except errors.InvalidInputError:
        # Declared for another version of Helios: nothing of it can be kept.
        return {}
    spec = dict(document["spec"])
    if said.declared.provider != provider:
        for field in _OF_PROVIDER:
            spec.pop(field, None)
    return spec


def _registered(
    made: declaring.Declaration, before: views.Source | None, *, paused: object
) -> Registration:
    name = made.declared.name
    there = before is not None and not before.is_removed
    events: list[tuple[str, msgspec.Struct]] = []
    if before is None or not there or not _same(before, made):
        payload = views.Payload(
            name=name, provider=made.declared.provider, yaml=made.text, hash=made.hash, paused=None
        )
        events.append((views.DECLARED, payload))
    if before is not None and there and before.paused and paused is not True:
        events.append((views.RESUMED, views.Named(name=name)))
    if paused is True and not (before is not None and there and before.paused):
        events.append((views.PAUSED, views.Named(name=name)))
    undo: dict[str, Any] | None = None
    if events and before is not None and there:
        undo = {"set": {"declaration": before.yaml, "paused": before.paused}}
    elif events:
        undo = {"unregister": name}
    changed = None if before is None or not there else before.hash
    changes = {"declaration": [changed, made.hash]} if events else {}
    return Registration(name=name, events=tuple(events), undo=undo, changes=changes)


def _same(before: views.Source, made: declaring.Declaration) -> bool:
    """Whether two documents say the same, however they are written."""
    if before.hash == made.hash:
        return True
    try:
        said = directory.declared(before.yaml, version=1, paused=False)
    except errors.InvalidInputError:
        return False
    return said == msgspec.structs.replace(made.declared, version=1, paused=False)


def _unregistered(name: str, before: views.Source | None) -> Registration:
    """Takes back a declaration that an action made; asked for by a person."""
    if before is None or before.is_removed:
        return Registration(name=name)
    return Registration(
        name=name,
        events=((views.REMOVED, views.Named(name=name)),),
        undo={"set": {"declaration": before.yaml, "paused": before.paused}},
        changes={"declaration": [before.hash, None]},
    )


def _would(
    plan: Registration | None,
    declared: composition.Provider,
    resource: composition.Resource | None,
) -> ports.Acted:
    said = []
    if plan is not None:
        kinds_said = ", ".join(kind for kind, _ in plan.events) or "nothing"
        said.append(f"would append {kinds_said} for source {plan.name}")
    if resource is not None:
        said.append(f"would POST /providers/register for {declared.name} at {resource.address}")
    changes = {} if plan is None else plan.changes
    return ports.Acted(detail="; ".join(said), changes=changes)
