"""An integration API: where providers and integrations of a client are registered.

`GET {url}/providers?client_id=` lists providers, `GET {url}/integrations/{name}?client_id=` shows
the configuration of one integration. What it does not answer is unknown.
"""

from collections.abc import Mapping
from typing import Any
from urllib import parse as urls

from helios.kernel import errors, outbound, secret
from helios.providers import calling
from helios.providers import ports as provider_ports
from helios.reconcile.compositions import composition
from helios.reconcile.compositions.observing import cache, looking, marks, ports, reaching

KIND = "integration_api"
_BYTES_MAX = 1 << 20


def of(stack: composition.Composition) -> composition.Resource | None:
    """The integration API of a stack; None: it has none."""
    return next((each for each in stack.resources if each.kind == KIND), None)


async def providers(view: looking.View, resource: composition.Resource) -> frozenset[str]:
    """Names of the providers that are registered there.

    Raises:
        HeliosError: it does not say.
    """
    found = await _get(view, resource, "/providers")
    listed = found.get("providers") if isinstance(found, dict) else found
    return frozenset(_names(listed))


async def configuration(view: looking.View, name: str) -> Mapping[str, Any] | None:
    """The configuration of an integration; None: there is no such integration.

    Raises:
        HeliosError: it does not say, or the stack has no such API.
    """
    resource = of(view.stack)
    if resource is None:
        raise errors.NotFoundError("the stack has no integration API that shows configuration")
    try:
        found = await _get(view, resource, f"/integrations/{urls.quote(name, safe='')}")
    except provider_ports.ProviderApiError as error:
        if error.status == 404:
            return None
        raise
    said = calling.mapping(found)
    return calling.mapping(said.get("configuration", said))


class Check:
    """`ports.ResourceCheck`: healthy when it lists its providers.

    Args:
        client: calls.
        seconds: longest wait.
    """

    def __init__(self, client: outbound.Outbound, *, seconds: float = looking.PROBE_S) -> None:
        self._client = client
        self._seconds = seconds

    async def check(self, asked: ports.Asked) -> ports.Told:
        """See `ports.ResourceCheck`. Of `expects`: `providers`, the names it lists, sorted."""
        url = asked.text("url")
        if url is None:
            return ports.unknown("its settings have no url")
        call = _call(url, "/providers", asked.client_id, asked.credentials, self._seconds)
        answer = await self._client.send(call)
        if answer.status in (401, 403):
            return ports.unknown(f"{reaching.host(url)} answered {answer.status}")
        if answer.status >= 500:
            return ports.Told(
                state="present",
                value={"healthy": False},
                unknown=tuple(asked.resource.expects),
                detail=f"{reaching.host(url)} answered {answer.status}",
            )
        if not answer.ok:
            return ports.unknown(f"{reaching.host(url)}/providers answered {answer.status}")
        value: dict[str, Any] = {"healthy": True}
        if "providers" in asked.resource.expects:
            found = answer.json()
            listed = found.get("providers") if isinstance(found, dict) else found
            value["providers"] = sorted(_names(listed))
        left = tuple(each for each in asked.resource.expects if each not in value)
        return ports.Told(state="present", value=value, unknown=left)


async def _get(view: looking.View, resource: composition.Resource, path: str) -> Any:
    tools, client_id = view.tools, view.stack.client_id
    url = str(resource.settings.get("url") or "")
    given = {name: tools.reach.vault.find(ref) for name, ref in resource.credentials.items()}

    async def ask() -> cache.Kept[Any]:
        answer = await tools.client.send(_call(url, path, client_id, given, tools.probe_s))
        if not answer.ok:
            raise provider_ports.ProviderApiError(
                f"GET {reaching.host(url)}{path} answered {answer.status}", status=answer.status
            )
        return cache.Kept(value=answer.json())

    key = (KIND, url, path, client_id, marks.credentials(tools.key, given))
    return await view.ask(key, ask)


def _call(
    url: str, path: str, client_id: str, given: Mapping[str, secret.Secret], seconds: float
) -> outbound.Call:
    headers = [("Accept", "application/json")]
    if "token" in given:
        headers.append(("Authorization", f"Bearer {given['token'].text}"))
    query = urls.urlencode({"client_id": client_id})
    return outbound.Call(
        url=f"{url.rstrip('/')}{path}?{query}",
        headers=headers,
        timeout_s=seconds,
        bytes_max=_BYTES_MAX,
    )


def _names(listed: object) -> set[str]:
    """Providers are listed by name, or as objects that have one."""
    found = set()
    for each in calling.listed(listed):
        if isinstance(each, str):
            found.add(each)
        said = calling.mapping(each)
        for field in ("provider_name", "name"):
            if isinstance(said.get(field), str):
                found.add(said[field])
    return found
