"""Calls to providers' APIs: one way to make them, and one way in which they fail.

An adapter builds a `Rest` for a source and asks by path and parameters. What is no success becomes
a `ProviderApiError` that names the host and the path, never a parameter or a header, and holds how
long the provider wants to be left alone.
"""

import contextlib
import decimal
import email.utils
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib import parse as urls

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, outbound, rfc3339
from helios.providers import ports

BASIC = frozenset({ports.Capability.VERIFY, ports.Capability.PARSE})
ALL = frozenset(ports.Capability)
FINAL = "99999999999999999.9"
"""Version of a deletion that tells no time, where an id is never used again."""

ATTEMPTS = 3
TIMEOUT_S = 20.0
ANSWER_BYTES_MAX = 16 << 20
LIST_PAGES_MAX = 20_000
"""Pages of one listing. Above: an error, since pages that never end would hold us for ever."""

RETRY_AFTER_S_MAX = 24 * 3600.0
_SAID_CHARS = 200

Params = Mapping[str, str | int] | Sequence[tuple[str, str | int]]


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's HTTP API as one source uses it.

    Attributes:
        api: source, client and clock.
        base_url: what paths are appended to; its host is the only one that is called.
        headers: sent with each call; they hold the credential.
    """

    api: ports.Api
    base_url: str
    headers: tuple[tuple[str, str], ...] = ()

    async def get(self, path: str, params: Params = ()) -> Any:
        """The JSON at a path.

        Raises:
            OutboundError: no answer.
            ProviderApiError: not a success, or not JSON.
        """
        return self.value(await self.send("GET", path, params=params), path)

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        body: object = None,
        idempotent: bool = True,
    ) -> outbound.Answer:
        """Call, and take nothing but success.

        `body` is sent as JSON unless None.

        Raises:
            OutboundError: no answer.
            ProviderApiError: not a success.
        """
        answer = await self.ask(method, path, params=params, body=body, idempotent=idempotent)
        if not answer.ok:
            raise self.refusal(answer, method, path)
        return answer

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        body: object = None,
        idempotent: bool = True,
    ) -> outbound.Answer:
        """Call, and take whatever status comes. Raises OutboundError: no answer."""
        headers = [*self.headers, ("Accept", "application/json")]
        if body is not None:
            headers.append(("Content-Type", "application/json"))
        call = outbound.Call(
            method=method,
            url=_joined(self.base_url, path, params),
            headers=headers,
            body=b"" if body is None else jsonio.encode(body),
            timeout_s=TIMEOUT_S,
            bytes_max=ANSWER_BYTES_MAX,
            attempts=ATTEMPTS if idempotent else 1,
            idempotent=idempotent,
            hosts=(urls.urlsplit(self.base_url).hostname or "",),
        )
        return await self.api.client.send(call)

    async def graphql(self, path: str, query: str, variables: Mapping[str, Any]) -> Any:
        """The `data` of a GraphQL query.

        Raises:
            OutboundError: no answer.
            ProviderApiError: no success, or an answer with errors; `status` 429 when it throttles.
        """
        answer = await self.send("POST", path, body={"query": query, "variables": variables})
        return self.graphql_data(answer, path)

    def graphql_data(self, answer: outbound.Answer, path: str) -> Any:
        """The `data` of an answer to a GraphQL query. Raises ProviderApiError: it has errors."""
        body = mapping(self.value(answer, path))
        faults = listed(body.get("errors"))
        if not faults and isinstance(body.get("data"), dict):
            return body["data"]
        first = mapping(faults[0] if faults else None)
        code = mapping(first.get("extensions")).get("code")
        status = _GRAPHQL.get(str(code), answer.status)
        said = str(first.get("message", "no data"))[:_SAID_CHARS]
        message = f"{self.place('POST', path)} answered: {said}{_REMEDIES.get(status, '')}"
        raise ports.ProviderApiError(message, status=status)

    def value(self, answer: outbound.Answer, path: str) -> Any:
        """The body of a good answer as JSON. Raises ProviderApiError: it is not."""
        try:
            return answer.json()
        except errors.InvalidInputError as error:
            message = f"{self.place('GET', path)} answered {answer.status} and no JSON: {error}"
            raise ports.ProviderApiError(message) from None

    def refusal(self, answer: outbound.Answer, method: str, path: str) -> ports.ProviderApiError:
        """The error that an answer is."""
        remedy = _REMEDIES.get(answer.status, "")
        said = _said(answer)
        message = f"{self.place(method, path)} answered {answer.status}{said}{remedy}"
        wait = retry_after(answer.headers.get("retry-after"), self.api.clock.now())
        return ports.ProviderApiError(message, status=answer.status, retry_after_s=wait)

    def place(self, method: str, path: str) -> str:
        """Who was asked for what, for messages; without parameters."""
        return f"{method} {urls.urlsplit(self.base_url).netloc.rpartition('@')[2]}{path}"


_GRAPHQL = {"THROTTLED": 429, "FORBIDDEN": 403, "UNAUTHENTICATED": 401, "ACCESS_DENIED": 403}
_REMEDIES = {
    401: "; is the credential of the source the right one, and still valid?",
    403: "; may the credential of the source do this?",
    404: "; are base_url and the names in the source's options right?",
    429: "; too many calls",
}


def rest(
    api: ports.Api,
    base_url: str,
    headers: Sequence[tuple[str, str]] = (),
    *,
    field: str = "base_url",
) -> Rest:
    """A `Rest`, once it is known where the API is.

    Raises:
        InvalidInputError: the source does not say.
    """
    if not base_url.startswith(("https://", "http://")):
        raise errors.InvalidInputError(
            f"source {api.source.name} does not say where to call {api.source.provider}: expected "
            "an address such as https://cms.example.com",
            field=f"spec.options.{field}",
        )
    return Rest(api=api, base_url=base_url.rstrip("/"), headers=tuple(headers))


def credential(source: ports.Source, *names: str) -> str:
    """The first of these credentials that the source has, as text.

    Raises:
        InvalidInputError: it has none of them.
    """
    for name in names:
        if name in source.credentials:
            return source.credentials[name].text
    wanted = " or ".join(names)
    raise errors.InvalidInputError(
        f"source {source.name} has no credential {wanted}: name a secret that holds it",
        field="spec.credentials",
    )


async def health(probe: Any, *, quota_header: str | None = None) -> ports.Health:
    """How a provider is, judged by one harmless call that needs the credential.

    Args:
        probe: awaitable that makes the call and gives its `Answer`.
        quota_header: of the answer, holds the calls left.
    """
    try:
        answer: outbound.Answer = await probe
    except errors.InvalidInputError as error:
        return ports.Health(detail=str(error))
    except outbound.OutboundError as error:
        return ports.Health(reachable=False, detail=str(error))
    except ports.ProviderApiError as error:
        return refused_health(error)
    left = answer.headers.get(quota_header or "", "")
    quota = int(left) if left.isdigit() else None
    return ports.Health(reachable=True, authorised=True, quota_left=quota)


def refused_health(error: ports.ProviderApiError) -> ports.Health:
    """What an error of the API says about the provider."""
    authorised = {401: False, 403: False, 429: None}.get(error.status or 0)
    quota = 0 if error.status == 429 else None
    reachable = None if error.status is None else True
    return ports.Health(
        reachable=reachable, authorised=authorised, quota_left=quota, detail=str(error)
    )


def retry_after(value: str | None, now: clocks.Timestamp) -> float | None:
    """Seconds that a `Retry-After` header asks for, whichever form it has; None: it says none."""
    if not value:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", value.strip(), re.ASCII):
        return min(float(value), RETRY_AFTER_S_MAX)
    try:
        at = clocks.from_datetime(email.utils.parsedate_to_datetime(value))
    except ValueError:
        return None
    return min(max(0.0, (at - now) / clocks.SECOND_US), RETRY_AFTER_S_MAX)


def instant(value: object) -> clocks.Timestamp | None:
    """A time as providers write it, or None when it is none. UTC where no zone is told."""
    if not isinstance(value, str) or not value:
        return None
    text = value if re.search(r"(?i:z|[+-]\d\d:\d\d)$", value) else f"{value}Z"
    try:
        return rfc3339.parse(text)
    except ValueError:
        return None


def latest(*values: object) -> clocks.Timestamp:
    """The newest of some times as providers write them; 0 when none is one."""
    return max(
        (instant(value) or clocks.Timestamp(0) for value in values), default=clocks.Timestamp(0)
    )


def version(at: clocks.Timestamp, rank: int | str = 0) -> str:
    """A version that sorts by time, then by rank."""
    return f"{max(at, 0):017d}.{rank}"


def gone_at(seen_at: clocks.Timestamp, held: str) -> clocks.Timestamp:
    """When something went, as far as versions by time go: not before the state that is held.

    Args:
        seen_at: when it was seen to be gone, by our clock.
        held: version of what was believed to be there; empty: not known.
    """
    time = held.partition(".")[0]
    known = int(time) if time.isascii() and time.isdigit() and held != FINAL else 0
    return clocks.Timestamp(max(seen_at, known))


def rfc3339_ms(at: clocks.Timestamp) -> str:
    """A time with milliseconds, rounded down: what most APIs take."""
    whole = clocks.Timestamp(at - at % 1_000_000)
    return clocks.to_rfc3339(whole).removesuffix("Z") + f".{at % 1_000_000 // 1000:03d}Z"


def text(value: object) -> str | None:
    """A scalar as text; None for None, and for what is no scalar."""
    if value is None or isinstance(value, (dict, list)):
        return None
    return str(value)


def whole(value: object) -> int | None:
    """An integer, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def lowest(prices: Iterable[object]) -> str | None:
    """The lowest of some prices as it is written; None when there is none."""
    known: list[tuple[decimal.Decimal, str]] = []
    for price in prices:
        written = text(price)
        if written:
            with contextlib.suppress(decimal.InvalidOperation):
                known.append((decimal.Decimal(written), written))
    return min(known)[1] if known else None


def mapping(value: object) -> Mapping[str, Any]:
    """An object, or an empty one for whatever else it is."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """An array, or an empty one for whatever else it is."""
    return value if isinstance(value, list) else []


def _joined(base_url: str, path: str, params: Params) -> str:
    pairs = list(params.items()) if isinstance(params, Mapping) else list(params)
    query = urls.urlencode(pairs)
    separator = "&" if "?" in path else "?"
    return f"{base_url}{path}{separator + query if query else ''}"


def _said(answer: outbound.Answer) -> str:
    """What the provider says is wrong, shortened."""
    try:
        body = mapping(answer.json())
    except errors.InvalidInputError:
        return ""
    error = body.get("error", body.get("errors"))
    if isinstance(error, list) and error:
        error = error[0]
    found = mapping(error).get("message") or body.get("message") or error
    return f" ({found[:_SAID_CHARS]})" if isinstance(found, str) and found else ""
