"""Looks at a type of content: how much is published, how old is the newest, is it as we believe?

The provider is asked for all it has (`IdLister`), which many stacks share; what Helios believes is
compared with that as a poller does it (`polling.compare`), only that nothing is done about it.
"""

from typing import cast

import msgspec

from helios.ingest import polling
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio
from helios.projections.views import content_believed
from helios.providers import ports as providers
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions.observing import cache, looking, reaching, witnesses

LISTING_TTL_S = 120.0
"""How long a listing holds: it may be many calls."""

LISTING_S = 240.0
"""Longest listing. A look does not wait that long: the next one finds it done."""

CONTENTS_MAX = 200_000
"""Contents of one source that are compared. Above: how many differ is unknown."""

WIDER = 4
"""How much further back the next look for the newest change goes."""

PUBLISHED = "published"


class _Listing(msgspec.Struct, frozen=True, kw_only=True):
    """All contents of a provider, with their versions."""

    there: dict[polling.Content, str]
    at: clocks.Timestamp


class _Newest(msgspec.Struct, frozen=True, kw_only=True):
    """When published content last changed; None: never, as far as the provider tells."""

    changed_at: clocks.Timestamp | None
    at: clocks.Timestamp


class _Known(msgspec.Struct, kw_only=True):
    value: dict[str, int]
    unknown: list[str]
    details: list[str]
    as_of: clocks.Timestamp

    def lack(self, field: str, detail: str) -> None:
        """A field could not be seen."""
        self.unknown.append(field)
        if detail and detail not in self.details:
            self.details.append(detail)


async def look(view: looking.View, declared: composition.Content) -> model.Seen:
    """What is known of a type of content, as far as something is declared of it."""
    provider = view.stack.provider(declared.provider)
    if provider is None:
        return view.unknown(f"the stack has no provider {declared.provider}")
    try:
        reached = view.tools.reach.reach(view.stack.client_id, provider)
    except errors.HeliosError as error:
        return view.unknown(looking.said(error))
    known = _Known(value={}, unknown=[], details=[], as_of=view.now())
    await _listed(view, declared, reached, known)
    await _aged(view, declared, reached, known)
    detail = "; ".join(known.details)
    if not known.value:
        return view.unknown(detail or "nothing is declared of it that could be looked at")
    recent = await witnesses.events(view, reached.source)
    probe = looking.read(f"probe:{reached.adapter.name}", known.as_of)
    return looking.present(
        known.value,
        as_of=known.as_of,
        unknown=tuple(known.unknown),
        evidence=(probe, *recent),
        detail=detail,
    )


async def _listed(
    view: looking.View,
    declared: composition.Content,
    reached: reaching.Reached,
    known: _Known,
) -> None:
    """Fill in how many there are, and how many are not as we believe."""
    wanted = ("count", "differs") if declared.matches_cache else ("count",)
    adapter = reached.adapter
    if not isinstance(adapter, providers.IdLister):
        for field in wanted:
            known.lack(field, f"{adapter.title} cannot list its content")
        return
    try:
        _check_listed(declared, reached, adapter)
        listing = await _listing(view, reached, adapter)
    except Exception as error:  # noqa: BLE001 - an adapter may be anyone's code
        for field in wanted:
            known.lack(field, looking.said(error))
        return
    known.as_of = min(known.as_of, listing.at)
    there = {key: each for key, each in listing.there.items() if key[0] == declared.type}
    known.value["count"] = len({key[1] for key in there if key[3] == PUBLISHED})
    if declared.matches_cache:
        await _compared(view, declared, reached, there, known)


def _check_listed(
    declared: composition.Content, reached: reaching.Reached, lister: providers.IdLister
) -> None:
    """Refuse a type that is not listed: that none of it is in a listing would say nothing."""
    if declared.type not in lister.listed_types(reached.api.source):
        raise errors.InvalidInputError(
            f"{reached.adapter.title} does not list {declared.type}: name it in the options of its "
            "source"
        )


async def _listing(
    view: looking.View, reached: reaching.Reached, lister: providers.IdLister
) -> _Listing:
    async def ask() -> cache.Kept[_Listing]:
        began = view.now()
        there = await looking.bounded(_all(lister, reached.api), LISTING_S)
        return cache.Kept(value=_Listing(there=there, at=began), ttl_s=LISTING_TTL_S)

    return await view.ask(("listing", *reached.key), ask)


async def _all(lister: providers.IdLister, api: providers.Api) -> dict[polling.Content, str]:
    there: dict[polling.Content, str] = {}
    async for page in lister.list_ids(api):
        there.update((polling.content(each), each.version) for each in page)
        if len(there) > CONTENTS_MAX:
            raise errors.TooLargeError(f"more than {CONTENTS_MAX} contents: not compared")
    return there


async def _compared(
    view: looking.View,
    declared: composition.Content,
    reached: reaching.Reached,
    there: dict[polling.Content, str],
    known: _Known,
) -> None:
    """Fill in how many contents are otherwise at the provider than we believe."""
    if reached.source is None:
        known.lack("differs", "no declared source takes in what this provider tells")
        return
    stages = {PUBLISHED, *(key[3] for key in there)}
    # What changed just now may still be on its way to us.
    settled_before = known.as_of - _grace(view, reached.source)
    settled: dict[polling.Content, str] = {}
    young: set[polling.Content] = set()
    believed = content_believed.Believed(view.tools.store)
    try:
        async for key, version, changed_at, _ in believed.believed(
            view.stack.client_id, reached.source
        ):
            if key[0] != declared.type or key[3] not in stages:
                continue
            if changed_at < settled_before:
                settled[key] = version
            else:
                young.add(key)
            if len(settled) > CONTENTS_MAX:
                raise errors.TooLargeError(f"more than {CONTENTS_MAX} contents: not compared")
    except errors.HeliosError as error:
        known.lack("differs", looking.said(error))
        return
    compared = polling.compare(settled, there, (declared.type,), None, young=young)
    if compared.doubt is None and compared.detail:
        known.lack("differs", compared.detail)
        return
    doubt = compared.doubt or polling.Doubt(listings=0)
    differing = {*doubt.missing, *(key for key, _ in doubt.changed)}
    known.value["differs"] = len({key[:3] for key in differing})
    if differing:
        shown = ", ".join(sorted({key[1] for key in differing})[:5])
        known.details.append(f"not as it is believed to be: {shown}")


def _grace(view: looking.View, source: str) -> int:
    """How long a webhook of a source may take."""
    try:
        mine = view.tools.reach.table.of_client(view.stack.client_id)
    except errors.StorageError:
        return polling.GRACE_US
    entry = next((each for each in mine if each.name == source), None)
    poll = entry.declared.poll if entry is not None and entry.declared is not None else None
    return polling.GRACE_US if poll is None else poll.grace


async def _aged(
    view: looking.View,
    declared: composition.Content,
    reached: reaching.Reached,
    known: _Known,
) -> None:
    """Fill in how old the newest published content is."""
    most = declared.max_age
    if most is None:
        return
    if known.value.get("count") == 0:
        # Nothing is too old where nothing is; whether there may be nothing is another question.
        known.value["age_s"] = 0
        return
    adapter = reached.adapter
    if not isinstance(adapter, providers.ChangeLister):
        known.lack("age_s", f"{adapter.title} cannot list what changed")
        return
    key = ("newest", *reached.key, declared.type, most)

    async def ask() -> cache.Kept[_Newest]:
        began = view.now()
        at = await looking.bounded(_newest(reached, declared.type, most, began), LISTING_S)
        return cache.Kept(value=_Newest(changed_at=at, at=began), ttl_s=LISTING_TTL_S)

    try:
        newest = await view.ask(key, ask)
    except Exception as error:  # noqa: BLE001 - an adapter may be anyone's code
        known.lack("age_s", looking.said(error))
        return
    known.as_of = min(known.as_of, newest.at)
    if newest.changed_at is None:
        known.lack("age_s", "the provider does not tell when content changed")
        return
    known.value["age_s"] = _age(view.now() - newest.changed_at, most)


def _age(age: int, most: int) -> int:
    """Seconds; coarse once it is too old, lest it be another value at each look."""
    if age <= most:
        return max(0, age // clocks.SECOND_US)
    step = max(60 * clocks.SECOND_US, most // 10)
    return max(age // step * step, most + clocks.SECOND_US) // clocks.SECOND_US


async def _newest(
    reached: reaching.Reached, kind: str, most: int, now: clocks.Timestamp
) -> clocks.Timestamp | None:
    """When published content of a type last changed; looks further back until some did."""
    lister = cast("providers.ChangeLister", reached.adapter)
    back = most
    while True:
        since = clocks.Timestamp(max(0, now - back))
        found: clocks.Timestamp | None = None
        async for page in lister.list_changes(reached.api, since):
            for event in page.events:
                at = _published(reached, kind, event)
                found = at if found is None or (at or 0) > found else found
        if found is not None or since == 0:
            return found
        back *= WIDER


def _published(
    reached: reaching.Reached, kind: str, event: providers.Received
) -> clocks.Timestamp | None:
    """When an event says that published content of a type changed."""
    adapter = reached.adapter
    if event.occurred_at is None or not isinstance(adapter, providers.Normaliser):
        return None
    said = jsonio.parse_object(event.payload)
    for change in adapter.normalise(event.type, said, reached.api.source):
        content = change.content
        if change.type == kind and content is not None and content.status == PUBLISHED:
            return event.occurred_at
    return None
