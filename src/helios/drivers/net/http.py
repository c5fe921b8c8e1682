"""`http`: asks an address and looks at the answer.

Settings: `url`; `method` (GET, HEAD), `status` (one that is right, or several; else 200 to 399),
`contains` (text of the body), `headers` (literals), `timeout_s`. With the credential `token` it is
sent as a bearer token.

Of `expects` it knows:

    status          of the answer
    content_type    without parameters
    location        where it redirects to
    sha256          of the body, hex
    headers         those that are named, by lower-case name
    json            values of a JSON body by dotted path, such as {"build.version": "1.2"}
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from helios.drivers.net import tcp
from helios.kernel import errors, outbound
from helios.reconcile.compositions.observing import ports

KIND = "http"
TIMEOUT_S = 8.0
BYTES_MAX = 4 << 20
_SHOWN_CHARS = 2_000


class HttpCheck:
    """`ports.ResourceCheck`.

    Args:
        client: makes calls.
        doors: tells a closed port from a way that is blocked.
    """

    def __init__(self, client: outbound.Outbound, doors: tcp.Connector) -> None:
        self._client = client
        self._doors = doors

    async def check(self, asked: ports.Asked) -> ports.Told:
        """See `ports.ResourceCheck`.

        An answer that is not the right one is unhealthy, and so are a port that is closed and a
        certificate that is not valid; no answer in time is unknown.
        """
        url = asked.text("url")
        if url is None:
            return ports.unknown("its settings have no url")
        try:
            answer = await self._client.send(_call(url, asked))
        except outbound.OutboundError as error:
            return await self._failed(url, error, asked)
        if answer.status == 429:
            return ports.unknown(f"{tcp.shown(url)} answered 429: too many calls")
        value, unknown = _fields(asked.resource.expects, answer)
        wrong = _wrong(asked.resource.settings, answer)
        value["healthy"] = not wrong
        return ports.Told(state="present", value=value, unknown=unknown, detail=wrong)

    async def _failed(
        self, url: str, error: outbound.OutboundError, asked: ports.Asked
    ) -> ports.Told:
        fields = tuple(asked.resource.expects)
        bad = {"healthy": False}
        if error.reason == "tls":
            return ports.Told(state="present", value=bad, unknown=fields, detail=str(error))
        if error.reason == "protocol":
            return ports.Told(
                state="present", value=bad, unknown=fields, detail=str(error), kind="failed_call"
            )
        if error.reason == "unreachable":
            host, port = tcp.host_and_port(url)
            if await self._doors.is_closed(host, port):
                detail = f"{tcp.shown(url)} refuses connections"
                return ports.Told(
                    state="present", value=bad, unknown=fields, detail=detail, kind="failed_call"
                )
        return ports.unknown(str(error))


def _call(url: str, asked: ports.Asked) -> outbound.Call:
    settings = asked.resource.settings
    given = settings.get("headers")
    headers = [(str(n), str(v)) for n, v in given.items()] if isinstance(given, Mapping) else []
    if "token" in asked.credentials:
        headers.append(("Authorization", f"Bearer {asked.credentials['token'].text}"))
    wanted = settings.get("timeout_s")
    seconds = float(wanted) if isinstance(wanted, (int, float)) else TIMEOUT_S
    return outbound.Call(
        method="HEAD" if settings.get("method") == "HEAD" else "GET",
        url=url,
        headers=headers,
        timeout_s=max(0.1, min(seconds, TIMEOUT_S)),
        bytes_max=BYTES_MAX,
    )


def _wrong(settings: Mapping[str, Any], answer: outbound.Answer) -> str:
    """What is wrong with an answer; empty: nothing."""
    right = settings.get("status")
    accepted = right if isinstance(right, (list, tuple)) else [right]
    is_right = answer.status in accepted if right is not None else 200 <= answer.status < 400
    if not is_right:
        return f"it answered {answer.status}"
    text = settings.get("contains")
    if isinstance(text, str) and text.encode() not in answer.body:
        return f"the answer does not contain {text[:80]!r}"
    return ""


def _fields(
    expects: Mapping[str, Any], answer: outbound.Answer
) -> tuple[dict[str, Any], tuple[str, ...]]:
    value: dict[str, Any] = {}
    unknown: list[str] = []
    for name, expected in expects.items():
        if name == "status":
            value[name] = answer.status
        elif name == "content_type":
            value[name] = answer.headers.get("content-type", "").partition(";")[0].strip()
        elif name == "location":
            value[name] = answer.headers.get("location")
        elif name == "sha256":
            value[name] = hashlib.sha256(answer.body).hexdigest()
        elif name == "headers" and isinstance(expected, Mapping):
            value[name] = {str(each): answer.headers.get(str(each).lower()) for each in expected}
        elif name == "json" and isinstance(expected, Mapping):
            value[name] = _json(answer, [str(each) for each in expected])
        elif name != "healthy":
            unknown.append(name)
    return value, tuple(unknown)


def _json(answer: outbound.Answer, paths: list[str]) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except errors.InvalidInputError:
        return None
    return {path: _at(body, path) for path in paths}


def _at(body: object, path: str) -> Any:
    for step in path.split("."):
        if isinstance(body, dict):
            body = body.get(step)
        elif isinstance(body, list) and step.isdecimal() and int(step) < len(body):
            body = body[int(step)]
        else:
            return None
    return body[:_SHOWN_CHARS] if isinstance(body, str) else body
