"""Looks at a provider: is there a source of it, where does that lead, is the credential valid?"""

from typing import Any, cast

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, outbound
from helios.providers import ports as providers
from helios.reconcile.builds import view as builds
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions.observing import (
    cache,
    integration_api,
    looking,
    reaching,
    witnesses,
)
from helios.reconcile.compositions.predicting import dates

BUILDS = "helios:sites"
"""Witness: our own table of declared sites."""


class _Access(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a credential is taken; None: that could not be told."""

    authorised: bool | None
    at: clocks.Timestamp
    detail: str = ""
    expires_at: clocks.Timestamp | None = None
    quota_left: int | None = None


class _Known(msgspec.Struct, kw_only=True):
    """What is gathered of one provider."""

    value: dict[str, Any]
    unknown: list[str]
    evidence: list[model.Evidence]
    details: list[str]
    as_of: clocks.Timestamp
    outlook: model.Outlook | None = None

    def seen(self) -> model.Seen:
        return looking.present(
            self.value,
            as_of=self.as_of,
            unknown=tuple(self.unknown),
            evidence=tuple(self.evidence),
            detail="; ".join(each for each in self.details if each),
            outlook=self.outlook,
        )


async def look(view: looking.View, declared: composition.Provider) -> model.Seen:
    """What is known of a provider."""
    known = _Known(value={}, unknown=[], evidence=[], details=[], as_of=view.now())
    if declared.build is not None or declared.name not in view.tools.reach.kinds.names:
        return await _generator(view, declared, known)
    found = await _registered(view, declared, known)
    reached: reaching.Reached | None = None
    try:
        reached = view.tools.reach.reach(view.stack.client_id, declared)
    except errors.HeliosError as error:
        known.details.append(looking.said(error))
    source = found.entry.name if found is not None and found.entry is not None else None
    recent = await witnesses.events(view, source)
    if reached is None:
        known.unknown.append("authorised")
    else:
        await _authorised(view, reached, known, recent)
    if known.value.get("authorised") is not False and known.value.get("registered"):
        known.evidence += recent
    return known.seen()


async def _registered(
    view: looking.View, declared: composition.Provider, known: _Known
) -> reaching.Registered | None:
    """Fill in whether there is a source, and where it leads."""
    try:
        found = view.tools.reach.registered(view.stack.client_id, declared)
    except errors.StorageError as error:
        known.unknown += ["registered", "url"]
        known.details.append(looking.said(error))
        return None
    known.evidence.append(looking.read(looking.REGISTRY, known.as_of))
    is_there = bool(found.names) or await _elsewhere(view, declared, known)
    if is_there is None:
        known.unknown.append("registered")
    else:
        known.value["registered"] = is_there
    _place(declared, found, known)
    if found.entry is not None:
        known.value["_"] = {"source": found.entry.name, "adapter": found.entry.provider}
    elif found.other is not None:
        known.value["_"] = {"source": declared.source, "adapter": found.other}
        known.details.append(f"source {declared.source} is of {found.other}")
    elif len(found.names) > 1:
        named = ", ".join(found.names[:5])
        known.details.append(f"several sources are of {declared.name} ({named}): name one")
    return found


def _place(declared: composition.Provider, found: reaching.Registered, known: _Known) -> None:
    url = None if found.entry is None else reaching.source_url(found.entry)
    if url is None:
        known.unknown.append("url")
        if found.entry is not None and declared.url is not None:
            known.details.append(f"source {found.entry.name} does not say where its API is")
    elif reaching.same_url(url, declared.url):
        known.value["url"] = declared.url
    else:
        known.value["url"] = url


async def _elsewhere(
    view: looking.View, declared: composition.Provider, known: _Known
) -> bool | None:
    """Whether it is registered at the integration API of the stack; False: there is no such API."""
    resource = integration_api.of(view.stack)
    if resource is None:
        return False
    try:
        names = await integration_api.providers(view, resource)
    except errors.HeliosError as error:
        known.details.append(looking.said(error))
        return None
    known.evidence.append(looking.read("check:integration_api", known.as_of))
    return declared.name in names


async def _authorised(
    view: looking.View,
    reached: reaching.Reached,
    known: _Known,
    recent: tuple[model.Evidence, ...],
) -> None:
    """Fill in whether the provider takes the credential."""
    adapter = reached.adapter
    if providers.Capability.HEALTH not in adapter.capabilities:
        # Nobody can be asked; what arrives verified is all there is to know.
        if recent:
            known.value["authorised"] = True
            return
        known.unknown.append("authorised")
        known.details.append(f"{adapter.title} cannot be asked whether it lets us in")
        return
    access = await _access(view, reached)
    witness = f"probe:{adapter.name}"
    known.as_of = min(known.as_of, access.at)
    known.details.append(access.detail)
    known.outlook = _outlook(reached, access)
    if access.authorised is None:
        known.unknown.append("authorised")
        return
    known.value["authorised"] = access.authorised
    made = looking.read if access.authorised else looking.failed
    known.evidence.append(made(witness, access.at, access.detail))


def _outlook(reached: reaching.Reached, access: _Access) -> model.Outlook | None:
    """How long the credential lasts, as the provider or the credential itself says."""
    given = reached.api.source.credentials.values()
    ends = [access.expires_at, *(dates.token_expiry(each.text) for each in given)]
    known = [each for each in ends if each is not None]
    if not known and access.quota_left is None:
        return None
    runs_out = {"credential": min(known)} if known else {}
    return model.Outlook(runs_out=runs_out, quota_left=access.quota_left)


async def _access(view: looking.View, reached: reaching.Reached) -> _Access:
    checker = cast("providers.HealthChecker", reached.adapter)

    async def ask() -> cache.Kept[_Access]:
        found = await _health(checker, reached.api, view.tools.probe_s)
        authorised = None if found.reachable is False else found.authorised
        told = _Access(
            authorised=authorised,
            at=view.now(),
            detail=found.detail,
            expires_at=found.expires_at,
            quota_left=found.quota_left,
        )
        return cache.Kept(value=told, ttl_s=cache.FAILED_S if authorised is None else cache.TTL_S)

    return await view.ask(("health", *reached.key), ask)


async def _health(
    checker: providers.HealthChecker, api: providers.Api, seconds: float
) -> providers.Health:
    try:
        return await looking.bounded(checker.health(api), seconds)
    except (outbound.OutboundError, errors.DeadlineError) as error:
        return providers.Health(reachable=False, detail=str(error))
    except providers.ProviderApiError as error:
        authorised = False if looking.is_refused(error) else None
        return providers.Health(reachable=True, authorised=authorised, detail=str(error))
    except Exception as error:  # noqa: BLE001 - an adapter may be anyone's code
        return providers.Health(detail=looking.said(error))


async def _generator(
    view: looking.View, declared: composition.Provider, known: _Known
) -> model.Seen:
    """A site generator stands for a declared site, or for what the integration API lists under its
    name; it has no credential that could be refused.
    """
    try:
        sites = await builds.sites(view.tools.store, view.stack.client_id)
    except errors.HeliosError as error:
        return view.unknown(looking.said(error))
    named = site_name(view.stack, declared, [each.name for each in sites])
    known.evidence.append(looking.read(BUILDS, known.as_of))
    is_there = True if named is not None else await _elsewhere(view, declared, known)
    if is_there is None:
        known.unknown.append("registered")
    else:
        known.value["registered"] = is_there
    known.value["authorised"] = True
    if declared.url is not None:
        known.value["url"] = declared.url
    if named is not None:
        known.value["_"] = {"site": named}
    return known.seen()


def site_name(
    stack: composition.Composition, declared: composition.Provider, names: list[str]
) -> str | None:
    """The site that a generator of a stack stands for: the one it names, the stack's, its role's,
    or the only one of the client.
    """
    named = declared.options.get("site") or declared.source
    if named is not None:
        return named if named in names else None
    for name in (stack.stack_id, f"{stack.stack_id}-{declared.role}", declared.role):
        if name in names:
            return name
    return names[0] if len(names) == 1 else None
