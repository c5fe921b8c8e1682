"""Webhooks at providers: made when they are missing, mended where they are not as declared.

Whatever the provider told while a webhook was broken is lost at our door, so after each mend the
source is asked again (`catching_up`). A webhook that others made is never touched.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast
from urllib import parse as urls

from helios.heal import attempts, catching_up, hook_plans, reaching
from helios.ingest import directory
from helios.kernel import secret
from helios.providers import ports as providers
from helios.reconcile.compositions import composition, model, ports

SETTLES_S = 1.0


class Hooks:
    """Hand for `create_webhook` and `update_webhook`.

    Args:
        reach: finds providers.
        catching: brings what was missed.
        address: tells that of this server as providers see it, such as `https://helios.example`.
    """

    does: ClassVar[tuple[model.ActionKind, ...]] = ("create_webhook", "update_webhook")

    def __init__(
        self, reach: reaching.Reach, catching: catching_up.CatchingUp, *, address: Callable[[], str]
    ) -> None:
        self._reach = reach
        self._catching = catching
        self._address = address

    async def act(self, attempt: attempts.Attempt) -> ports.Acted:
        integration = _integration(attempt)
        reached = self._reach.provider(integration.provider, attempt)
        manager = _manager(reached)
        if "delete" in attempt.params:
            return await self._undone(attempt, integration, reached, manager)
        wanted = self._wanted(attempt, integration, reached)
        plan = await self._planned(attempt, wanted, reached, manager)
        if attempt.job.dry_run:
            return ports.Acted(detail=_would(plan, reached), changes=plan.changes)
        hook = await _written(attempt, plan, reached, manager)
        missed = ""
        if hook.enabled:
            missed = await self._catching.after_mend(attempt, reached, integration)
        return ports.Acted(
            detail="; ".join(filter(None, (_did(plan, hook, reached), missed))),
            undo={"delete": hook.id} if plan.action == "create" else plan.undo,
            changes=plan.changes,
            settles_s=SETTLES_S,
        )

    async def _planned(
        self,
        attempt: attempts.Attempt,
        wanted: hook_plans.Wanted,
        reached: reaching.Reached,
        manager: providers.HookManager,
    ) -> hook_plans.Plan:
        found = await manager.list_hooks(reached.api)
        if attempt.action.kind == "create_webhook":
            return hook_plans.created(found, wanted)
        declared = self._wanted_url(attempt.job.stack, reached, _integration(attempt))
        there = hook_plans.ours(found, url=declared, name=wanted.name, hook_id=_seen_id(attempt))
        if there is None:
            raise ports.HealError(
                "precondition_failed",
                f"{reached.provider.name} has no webhook of {attempt.action.target} any more",
            )
        return hook_plans.changed(there, wanted, hook_plans.fields(attempt.wanted))

    def _wanted(
        self,
        attempt: attempts.Attempt,
        integration: composition.Integration,
        reached: reaching.Reached,
    ) -> hook_plans.Wanted:
        """As declared, or as the params say; those of an undo name what was before."""
        said: Mapping[str, Any] = attempt.wanted
        url = said.get("url") or self._wanted_url(attempt.job.stack, reached, integration)
        events = said.get("events") or integration.events
        headers = {
            name.lower(): attempt.header(value) for name, value in integration.headers.items()
        }
        # An adapter whose webhooks carry headers of one's own says so by this attribute.
        if headers and not getattr(reached.adapter, "hook_headers", False):
            raise ports.HealError(
                "unsupported", f"webhooks of {reached.provider.name} carry no headers of one's own"
            )
        return hook_plans.Wanted(
            name=composition.hook_name(attempt.job.stack, integration),
            url=str(url),
            events=tuple(map(str, events)),
            enabled=bool(said.get("enabled", integration.enabled)),
            headers=headers,
            secret=_signing(attempt, integration, reached, headers),
        )

    def _wanted_url(
        self,
        stack: composition.Composition,
        reached: reaching.Reached,
        integration: composition.Integration,
    ) -> str:
        if integration.url is not None:
            return integration.url
        found = reached.found
        path = None
        if found is not None:
            path = directory.door(found.declared, self._reach.table.kinds)
        address = self._address().rstrip("/")
        if path is None or not address:
            raise ports.HealError(
                "unsupported",
                f"stack {stack.stack_id} does not say where {integration.address} leads, and no "
                "door of Helios is known for it; declare its url",
            )
        return address + path

    async def _undone(
        self,
        attempt: attempts.Attempt,
        integration: composition.Integration,
        reached: reaching.Reached,
        manager: providers.HookManager,
    ) -> ports.Acted:
        """Takes a webhook away that an action made; asked for by a person, never by a pass."""
        hook_id = str(attempt.params["delete"])
        name = composition.hook_name(attempt.job.stack, integration)
        listed = await manager.list_hooks(reached.api)
        # What was planned names the integration, what was done the webhook.
        by_name = hook_id == integration.address
        found = [each for each in listed if (each.name == name if by_name else each.id == hook_id)]
        if not found:
            return ports.Acted(detail=f"webhook {hook_id} is gone already")
        url = self._wanted_url(attempt.job.stack, reached, integration)
        if hook_plans.ours(found, url=url, name=name) is None:
            raise ports.HealError(
                "precondition_failed", f"webhook {hook_id} is not the one that was made"
            )
        if attempt.job.dry_run:
            return ports.Acted(detail=f"would delete webhook {hook_id} that was made here")
        with attempt.writing():
            await manager.delete_hook(reached.api, found[0].id or hook_id)
        return ports.Acted(
            detail=f"deleted webhook {found[0].id} that was made here",
            changes={"url": [shown(found[0].url), None]},
        )


async def _written(
    attempt: attempts.Attempt,
    plan: hook_plans.Plan,
    reached: reaching.Reached,
    manager: providers.HookManager,
) -> providers.Hook:
    if plan.action == "none":
        return plan.hook
    with attempt.writing():
        if plan.action == "create":
            return await manager.create_hook(reached.api, plan.hook)
        return await manager.update_hook(reached.api, plan.hook)


def _integration(attempt: attempts.Attempt) -> composition.Integration:
    found = attempt.job.stack.component(attempt.action.target)
    if not isinstance(found, composition.Integration):
        raise ports.HealError(
            "not_found", f"the stack declares no integration {attempt.action.target}"
        )
    return found


def _manager(reached: reaching.Reached) -> providers.HookManager:
    adapter = reached.adapter
    if adapter is None or providers.Capability.WEBHOOKS not in adapter.capabilities:
        raise ports.HealError(
            "unsupported",
            f"the webhooks of {reached.provider.name} cannot be managed from here; set them up "
            "there",
        )
    return cast("providers.HookManager", adapter)


def _seen_id(attempt: attempts.Attempt) -> str | None:
    """The provider's id of the webhook that was seen."""
    seen = attempt.job.seen
    managed = (seen.value or {}).get("_") if seen is not None else None
    found = managed.get("id") if isinstance(managed, Mapping) else None
    return None if found is None else str(found)


def _signing(
    attempt: attempts.Attempt,
    integration: composition.Integration,
    reached: reaching.Reached,
    headers: Mapping[str, secret.Secret],
) -> secret.Secret | None:
    """The secret of deliveries, unless a declared header holds it."""
    where = getattr(reached.api.source.options, "header", None)
    if isinstance(where, str) and where.lower() in headers:
        return None
    if integration.secret_ref is not None:
        return attempt.kept(integration.secret_ref)
    return next(iter(reached.api.source.secrets), None)


def _would(plan: hook_plans.Plan, reached: reaching.Reached) -> str:
    name = reached.provider.name
    if plan.action == "none":
        return f"would do nothing: the webhook of {name} is as declared"
    if plan.action == "create":
        return f"would create {_about(plan.hook, name)}"
    fields = ", ".join(plan.changed) or "its secret"
    return f"would update {fields} of webhook {plan.hook.id} of {name}: {_about(plan.hook, name)}"


def _did(plan: hook_plans.Plan, hook: providers.Hook, reached: reaching.Reached) -> str:
    name = reached.provider.name
    if plan.action == "none":
        return f"the webhook of {name} was as declared"
    if plan.action == "create":
        return f"created {_about(hook, name)}"
    fields = ", ".join(plan.changed) or "the secret"
    return f"updated {fields} of webhook {hook.id} of {name}"


def _about(hook: providers.Hook, name: str) -> str:
    events = ", ".join(sorted(hook.events)) or "all events"
    return f"a webhook of {name} to {shown(hook.url)} for {events}"


def shown(url: str) -> str:
    """An address without what may be confidential in it."""
    parts = urls.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urls.urlunsplit((parts.scheme, host, parts.path, "", ""))
