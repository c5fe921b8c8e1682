"""Looks at a resource: asks the check of its kind."""

from helios.kernel import errors, jsonio
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions.observing import cache, looking, marks, ports, reaching


async def look(view: looking.View, declared: composition.Resource) -> model.Seen:
    """What is known of a resource."""
    tools = view.tools
    check = tools.checks.get(declared.kind)
    if check is None:
        known = ", ".join(sorted(tools.checks))
        return view.unknown(f"nothing here looks at resources of {declared.kind}: only {known}")
    try:
        given = {name: tools.reach.vault.find(ref) for name, ref in declared.credentials.items()}
    except errors.HeliosError as error:
        return view.unknown(looking.said(error))
    asked = ports.Asked(
        client_id=view.stack.client_id,
        stack_id=view.stack.stack_id,
        environment=view.stack.environment,
        resource=declared,
        credentials=given,
    )

    async def ask() -> cache.Kept[model.Seen]:
        seen = await _asked(view, check, asked)
        return cache.Kept(
            value=seen, ttl_s=cache.FAILED_S if seen.state == "unknown" else cache.TTL_S
        )

    return await view.ask(_key(asked, tools.key), ask)


async def _asked(view: looking.View, check: ports.ResourceCheck, asked: ports.Asked) -> model.Seen:
    began, kind = view.now(), asked.resource.kind
    place = f"{kind} {_place(asked)}"
    try:
        async with view.tools.gates.through(place):
            told = await looking.bounded(check.check(asked), view.tools.probe_s)
    except Exception as error:  # noqa: BLE001 - whatever the other side does
        return view.unknown(looking.said(error))
    if told.pause_s:
        view.tools.gates.pause(place, told.pause_s)
    if told.state == "unknown":
        return view.unknown(told.detail)
    witness = f"check:{kind}"
    evidence = model.Evidence(
        kind=told.kind or "direct_read",
        witness=witness,
        at=began,
        detail=told.detail[: looking.DETAIL_CHARS],
    )
    return model.Seen(
        state=told.state,
        as_of=began,
        value=told.value if told.state == "present" else None,
        unknown=told.unknown,
        evidence=(evidence,),
        detail=told.detail[: looking.DETAIL_CHARS],
        outlook=told.outlook,
    )


def _place(asked: ports.Asked) -> str:
    """Where the question goes."""
    url = asked.text("url", "endpoint_url", "queue_url")
    return reaching.host(url) or asked.text("host", "region") or asked.client_id


def _key(asked: ports.Asked, key: bytes) -> tuple[str, ...]:
    """The same for the same question; what only some kinds use of it is in it all the same."""
    resource = asked.resource
    said = jsonio.encode(
        [resource.kind, resource.name, resource.settings, sorted(resource.expects)]
    )
    credentials = marks.credentials(key, asked.credentials)
    return ("resource", asked.client_id, asked.environment, said.decode(), credentials)
