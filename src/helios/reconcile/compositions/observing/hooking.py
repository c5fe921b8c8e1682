"""Looks at an integration: its webhook at the provider, its settings at the integration API."""

from collections import OrderedDict
from typing import Any, cast

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, secret
from helios.providers import ports as providers
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions.observing import (
    cache,
    hook_matching,
    integration_api,
    looking,
    marks,
    reaching,
    witnesses,
)
from helios.reconcile.compositions.predicting import dates

TRIED_S = 900.0
"""A webhook that delivers is tried again after so long."""

FAILING_S = 60.0
"""One that does not, after so long."""

UNTOLD_S = 300.0
"""One of which the provider did not say, after so long."""

IDS_MAX = 20_000
"""Ids that are remembered. Above: the oldest is forgotten, and found by address or name."""


class _Listed(msgspec.Struct, frozen=True, kw_only=True):
    hooks: tuple[providers.Hook, ...]
    at: clocks.Timestamp


class _Tried(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a delivery arrived; None: that is not told."""

    delivering: bool | None
    at: clocks.Timestamp
    detail: str = ""


class Hooks:
    """Looks at integrations, and remembers the ids of their webhooks."""

    def __init__(self) -> None:
        self._ids: OrderedDict[tuple[str, str, str], str] = OrderedDict()

    async def look(self, view: looking.View, declared: composition.Integration) -> model.Seen:
        """What is known of an integration."""
        seen = await self._webhook(view, declared) if declared.is_webhook else None
        if not declared.configuration or (seen is not None and seen.state != "present"):
            return seen if seen is not None else view.unknown("nothing is declared of it")
        return await _configured(view, declared, seen)

    async def _webhook(self, view: looking.View, declared: composition.Integration) -> model.Seen:
        provider = view.stack.provider(declared.provider)
        if provider is None:
            return view.unknown(f"the stack has no provider {declared.provider}")
        try:
            reached = view.tools.reach.reach(view.stack.client_id, provider)
        except errors.HeliosError as error:
            return view.unknown(looking.said(error))
        recent = await witnesses.events(view, reached.source)
        if providers.Capability.WEBHOOKS not in reached.adapter.capabilities:
            title = reached.adapter.title
            seen = view.unknown(f"the webhooks of {title} cannot be looked at from here")
            return msgspec.structs.replace(seen, evidence=recent)
        try:
            listed = await _listed(view, reached)
        except Exception as error:  # noqa: BLE001 - an adapter may be anyone's code
            return _unlisted(view, reached, error)
        return await self._found(view, declared, reached, listed, recent)

    async def _found(
        self,
        view: looking.View,
        declared: composition.Integration,
        reached: reaching.Reached,
        listed: _Listed,
        recent: tuple[model.Evidence, ...],
    ) -> model.Seen:
        url = declared.url or _door(view, reached)
        match = self._match(view, declared, reached, listed, url)
        witness = looking.read(f"probe:{reached.adapter.name}", listed.at)
        if match.hook is None:
            detail = f"{len(listed.hooks)} webhooks are registered there, and none is this one"
            return model.Seen(state="absent", as_of=listed.at, evidence=(witness,), detail=detail)
        value, unknown = hook_matching.shown(match.hook, declared, url), []
        details = [_doubled(match)]
        headers = _headers(view, declared, match.hook)
        if headers.value is None:
            unknown.append("headers")
            details.append(headers.detail)
        else:
            value["headers"] = dict(headers.value)
        evidence = [witness]
        tried = await _delivering(view, reached, match.hook, url, recent)
        if tried.delivering is None:
            unknown.append("delivering")
        else:
            value["delivering"] = tried.delivering
            evidence += _tested(reached, tried, recent)
        details.append(tried.detail)
        value["_"] = _managed(match)
        return looking.present(
            value,
            as_of=listed.at,
            unknown=tuple(unknown),
            evidence=tuple(evidence),
            detail="; ".join(each for each in details if each),
            outlook=dates.of_hook(reached.adapter.name, match.hook.detail),
        )

    def _match(
        self,
        view: looking.View,
        declared: composition.Integration,
        reached: reaching.Reached,
        listed: _Listed,
        url: str | None,
    ) -> hook_matching.Match:
        key = (view.stack.client_id, view.stack.stack_id, declared.address)
        others = [each for each in view.stack.integrations if each.name != declared.name]
        match = hook_matching.ours(
            listed.hooks,
            declared,
            url=url,
            name=composition.hook_name(view.stack, declared),
            known_id=self._ids.get(key),
            taken=[each.url for each in others if each.url is not None],
            is_others=lambda found: _is_others(view, reached, found, url),
        )
        if match.hook is not None and match.hook.id is not None:
            self._ids[key] = match.hook.id
            self._ids.move_to_end(key)
            if len(self._ids) > IDS_MAX:
                self._ids.popitem(last=False)
        return match


async def _listed(view: looking.View, reached: reaching.Reached) -> _Listed:
    manager = cast("providers.HookManager", reached.adapter)

    async def ask() -> cache.Kept[_Listed]:
        began = view.now()
        found = await looking.bounded(manager.list_hooks(reached.api), view.tools.probe_s)
        return cache.Kept(value=_Listed(hooks=tuple(found), at=began))

    return await view.ask(("hooks", *reached.key), ask)


def _unlisted(view: looking.View, reached: reaching.Reached, error: Exception) -> model.Seen:
    """A listing that failed says nothing of the webhook, whatever it says of the credential."""
    seen = view.unknown(looking.said(error))
    if not looking.is_refused(error):
        return seen
    refusal = looking.failed(f"probe:{reached.adapter.name}", seen.as_of, seen.detail)
    return msgspec.structs.replace(seen, evidence=(refusal,))


def _door(view: looking.View, reached: reaching.Reached) -> str | None:
    """Where our own door for the provider's source is."""
    try:
        mine = view.tools.reach.table.of_client(view.stack.client_id)
    except errors.StorageError:
        return None
    entry = next((each for each in mine if each.name == reached.source), None)
    return None if entry is None else view.tools.door(entry)


def _is_others(view: looking.View, reached: reaching.Reached, found: str, url: str | None) -> bool:
    """Whether an address is the door of a source of ours that is not this integration's."""
    door = reaching.door_of(found)
    if door is None or door == (None if url is None else reaching.door_of(url)):
        return False
    name, client_id = door
    client_id = client_id or composition.Composition(stack_id="").client_id
    if (client_id, name) == (view.stack.client_id, reached.source):
        return False
    try:
        theirs = view.tools.reach.table.of_client(client_id)
    except errors.StorageError:
        return True
    return any(each.name == name for each in theirs)


def _headers(
    view: looking.View, declared: composition.Integration, hook: providers.Hook
) -> hook_matching.Headers:
    wanted: dict[str, secret.Secret | None] = {}
    for name, text in declared.headers.items():
        try:
            wanted[name] = marks.header_value(view.tools.reach.vault, text)
        except errors.HeliosError:
            wanted[name] = None
    return hook_matching.headers(hook, wanted, view.tools.key)


async def _delivering(
    view: looking.View,
    reached: reaching.Reached,
    hook: providers.Hook,
    url: str | None,
    recent: tuple[model.Evidence, ...],
) -> _Tried:
    """Whether what the provider sends arrives; asked seldom, since asking is a delivery."""
    nobody = _Tried(delivering=None, at=view.now())
    if not hook_matching.is_right(hook, url or hook.url):
        return nobody
    if not isinstance(reached.adapter, providers.HookTrigger):
        arrived = True if recent else None
        return _Tried(delivering=arrived, at=view.now())
    key = ("tried", *reached.key, hook.id, hook.url)
    refused = view.tools.refusals(view.stack.client_id, reached.source or "")

    async def ask() -> cache.Kept[_Tried]:
        return await _tried(view, reached, hook)

    try:
        tried: _Tried = await view.tools.cache.get(key, ask, since=view.since)
        if refused is not None and refused > tried.at + FAILING_S * clocks.SECOND_US:
            now = view.tools.cache.mark()
            tried = await view.tools.cache.get(key, ask, since=now)
    except Exception as error:  # noqa: BLE001 - an adapter may be anyone's code
        return msgspec.structs.replace(nobody, detail=looking.said(error))
    return tried


async def _tried(
    view: looking.View, reached: reaching.Reached, hook: providers.Hook
) -> cache.Kept[_Tried]:
    trigger = cast("providers.HookTrigger", reached.adapter)
    began = view.now()
    call = trigger.trigger_hook(reached.api, str(hook.id))
    told = await looking.bounded(call, view.tools.probe_s)
    # That we are busy is no fault of the webhook.
    is_told = told.status is not None and told.status not in (429, 503)
    if not is_told:
        return cache.Kept(value=_Tried(delivering=None, at=began), ttl_s=UNTOLD_S)
    delivering = told.status is not None and told.status < 400
    said = f" ({told.detail[:200]})" if told.detail else ""
    detail = "" if delivering else f"a delivery that was tried was answered {told.status}{said}"
    tried = _Tried(delivering=delivering, at=began, detail=detail)
    return cache.Kept(value=tried, ttl_s=TRIED_S if delivering else FAILING_S)


def _tested(
    reached: reaching.Reached, tried: _Tried, recent: tuple[model.Evidence, ...]
) -> tuple[model.Evidence, ...]:
    witness = f"trigger:{reached.adapter.name}"
    if not isinstance(reached.adapter, providers.HookTrigger):
        return recent
    if tried.delivering:
        return (looking.read(witness, tried.at),)
    return (looking.failed(witness, tried.at, tried.detail),)


def _doubled(match: hook_matching.Match) -> str:
    if not match.twins:
        return ""
    return f"webhooks {', '.join(match.twins)} lead to the same address: events come twice"


def _managed(match: hook_matching.Match) -> dict[str, Any]:
    """What the provider says besides; never compared."""
    hook = match.hook
    assert hook is not None
    shown: dict[str, Any] = {"id": hook.id, "name": hook.name, "detail": dict(hook.detail)}
    shown["found_by"] = match.by
    if match.twins:
        shown["duplicates"] = list(match.twins)
    return shown


async def _configured(
    view: looking.View, declared: composition.Integration, seen: model.Seen | None
) -> model.Seen:
    """Add what the integration API says, of the fields that are declared."""
    names = tuple(declared.configuration)
    value = {} if seen is None or seen.value is None else dict(seen.value)
    unknown = () if seen is None else seen.unknown
    evidence = () if seen is None else seen.evidence
    as_of, detail = (view.now(), "") if seen is None else (seen.as_of, seen.detail)
    try:
        found = await integration_api.configuration(view, declared.name)
    except Exception as error:  # noqa: BLE001 - whatever the other side does
        if seen is None:
            return view.unknown(looking.said(error))
        return msgspec.structs.replace(
            seen, unknown=(*unknown, *names), detail=f"{detail} {looking.said(error)}".strip()
        )
    witness = looking.read("check:integration_api", view.now())
    if found is None and seen is None:
        return model.Seen(state="absent", as_of=as_of, evidence=(witness,))
    value |= {name: (found or {}).get(name) for name in names}
    return looking.present(
        value,
        as_of=as_of,
        unknown=unknown,
        evidence=(*evidence, witness),
        detail=detail,
        outlook=None if seen is None else seen.outlook,
    )
