"""The one HTTP client: checked addresses, bounded time and size, retries with jitter, traces."""

import asyncio
import email.utils
import random
import ssl
import urllib.parse
from collections.abc import Callable
from typing import Self

import httpcore
import msgspec
import structlog

from helios.drivers.outbound import network, policy
from helios.ingest import bodies
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, tracing

RETRY_BASE_S = 0.5
RETRY_MAX_S = 30.0
"""Longest pause before a further attempt, whatever the answer asks for."""

CONNECTIONS_MAX = 64
IDLE_S = 30.0
USER_AGENT = "helios"

_RETRIED = frozenset((429, 502, 503, 504))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_ORIGIN_ONLY = frozenset(("authorization", "cookie", "proxy-authorization"))

_log = structlog.get_logger("helios.outbound")


class Client:
    """`outbound.Outbound` over sockets.

    Args:
        clock: for pauses and times.
        allowed: what may be called though it is not public.
        rng: for jitter and span ids.
        resolve: how names are resolved.
        trust: extra certificate authorities, PEM; None: the system's alone.
        counted: told the outcome of each call: `2xx` … `5xx`, or the reason of the error.
    """

    def __init__(
        self,
        *,
        clock: clocks.Clock,
        allowed: policy.Allowed,
        rng: random.Random,
        resolve: network.Resolve = network.system_resolve,
        trust: str | None = None,
        counted: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._allowed = allowed
        self._rng = rng
        self._counted = counted
        self._resolve = resolve
        context = ssl.create_default_context(cadata=trust)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=CONNECTIONS_MAX,
            keepalive_expiry=IDLE_S,
            network_backend=network.CheckedBackend(resolve),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def send(self, call: outbound.Call) -> outbound.Answer:
        """See `outbound.Outbound.send`."""
        attempt = 0
        while True:
            attempt += 1
            final = attempt >= call.attempts or not call.idempotent
            try:
                answer = await self._followed(call)
            except outbound.OutboundError as error:
                self._counted(error.reason)
                if final or error.reason not in ("unreachable", "timeout"):
                    raise
                await self._clock.sleep(self._pause(attempt, None))
                continue
            self._counted(f"{answer.status // 100}xx")
            if final or answer.status not in _RETRIED:
                return answer
            await self._clock.sleep(self._pause(attempt, answer.headers.get("retry-after")))

    async def permit(self, url: str) -> None:
        """See `outbound.Outbound.permit`."""
        await self._checked(policy.target(url))

    async def addresses(self, host: str, port: int) -> list[str]:
        """See `outbound.Resolver.addresses`."""
        shown = f"[{host}]" if ":" in host else host
        return await self._checked(policy.target(f"https://{shown}:{port}"))

    async def _checked(self, where: policy.Target) -> list[str]:
        policy.check_host(where, self._allowed, None)
        try:
            addresses = await self._resolve(where.host, where.port)
        except OSError as error:
            raise _unreachable(where, error) from None
        for address in addresses:
            policy.check_address(where, address, self._allowed)
        return addresses

    def _pause(self, attempt: int, asked: str | None) -> float:
        """Full jitter: uniform up to a bound that doubles; at least what the other side asks."""
        bound = min(RETRY_MAX_S, RETRY_BASE_S * 2.0 ** (attempt - 1))
        least = retry_after(asked, self._clock.now()) or 0.0
        return min(RETRY_MAX_S, least + self._rng.random() * bound)

    async def _followed(self, call: outbound.Call) -> outbound.Answer:
        for _ in range(call.redirects + 1):
            where = policy.target(call.url)
            answer = await self._once(call, where)
            if answer.status not in _REDIRECTS or call.redirects == 0:
                return answer
            call = _redirected(call, where, answer)
        raise outbound.OutboundError(
            f"{where.origin} redirects more often than is followed", reason="protocol"
        )

    async def _once(self, call: outbound.Call, where: policy.Target) -> outbound.Answer:
        policy.check_host(where, self._allowed, call.hosts)
        trace = tracing.child(self._rng.getrandbits)
        started = self._clock.monotonic()
        status: int | str = "failed"
        try:
            async with asyncio.timeout(call.timeout_s):
                with network.checking(where, self._allowed):
                    answer = await self._exchange(call, where, trace)
            status = answer.status
        except TimeoutError:
            status = "timeout"
            raise outbound.OutboundError(
                f"{where.origin} did not answer within {call.timeout_s:g} s", reason="timeout"
            ) from None
        except (httpcore.TimeoutException, httpcore.NetworkError) as error:
            raise _unreachable(where, error) from None
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise outbound.OutboundError(
                f"{where.origin}: {type(error).__name__}", reason="protocol"
            ) from None
        finally:
            seconds = self._clock.monotonic() - started
            _log.debug(
                "called",
                method=call.method,
                origin=where.origin,
                status=status,
                seconds=round(seconds, 4),
                trace_id=trace.trace_id,
            )
        return msgspec.structs.replace(answer, seconds=seconds)

    async def _exchange(
        self, call: outbound.Call, where: policy.Target, trace: tracing.Trace
    ) -> outbound.Answer:
        url = httpcore.URL(
            scheme=where.scheme.encode(),
            host=where.host.encode(),
            port=where.port,
            target=where.target.encode(),
        )
        async with self._pool.stream(
            call.method, url, headers=_headers(call, where, trace), content=call.body
        ) as response:
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in response.headers
            }
            parts: list[bytes] = []
            size = 0
            async for chunk in response.aiter_stream():
                size += len(chunk)
                if size > call.bytes_max:
                    raise _too_large(where, call.bytes_max)
                parts.append(chunk)
        body = _plain(b"".join(parts), headers.get("content-encoding"), where, call.bytes_max)
        return outbound.Answer(status=response.status, headers=headers, body=body)


def retry_after(value: str | None, now: clocks.Timestamp) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110, section 10.2.3), or None."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        return None
    return max(0.0, (clocks.from_datetime(when) - now) / clocks.SECOND_US)


def _headers(
    call: outbound.Call, where: policy.Target, trace: tracing.Trace
) -> list[tuple[bytes, bytes]]:
    named = {name.lower() for name, _ in call.headers}
    host = where.origin.partition("://")[2]
    made = [("host", host), ("user-agent", USER_AGENT), ("accept-encoding", "identity")]
    made.append(("traceparent", trace.traceparent))
    if call.body or call.method in ("POST", "PUT", "PATCH"):
        made.append(("content-length", str(len(call.body))))
    headers = [pair for pair in made if pair[0] not in named]
    for name, value in call.headers:
        if "\r" in value or "\n" in value or "\0" in value:
            raise outbound.OutboundError(f"the header {name} holds a line break", reason="protocol")
        headers.append((name, value))
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]


def _redirected(
    call: outbound.Call, where: policy.Target, answer: outbound.Answer
) -> outbound.Call:
    if "location" not in answer.headers:
        raise outbound.OutboundError(f"{where.origin} redirects to nowhere", reason="protocol")
    url = urllib.parse.urljoin(where.origin + where.target, answer.headers["location"])
    there = policy.target(url)
    if where.scheme == "https" and there.scheme == "http":
        raise outbound.OutboundError(
            f"{where.origin} redirects from https to http", reason="forbidden_host"
        )
    headers = call.headers
    if there.origin != where.origin:
        headers = [pair for pair in headers if pair[0].lower() not in _ORIGIN_ONLY]
    if answer.status == 303 or (answer.status in (301, 302) and call.method == "POST"):
        return msgspec.structs.replace(call, method="GET", url=url, headers=headers, body=b"")
    return msgspec.structs.replace(call, url=url, headers=headers)


def _plain(body: bytes, encoding: str | None, where: policy.Target, bytes_max: int) -> bytes:
    """We ask for no encoding; some send one all the same."""
    try:
        return bodies.inflate(body, encoding and encoding.lower(), bytes_max=bytes_max)
    except errors.TooLargeError:
        raise _too_large(where, bytes_max) from None
    except errors.InvalidInputError as error:
        raise outbound.OutboundError(f"{where.origin}: {error}", reason="protocol") from None


def _too_large(where: policy.Target, bytes_max: int) -> outbound.OutboundError:
    return outbound.OutboundError(
        f"{where.origin} answers with more than {bytes_max} bytes", reason="too_large"
    )


def _unreachable(where: policy.Target, error: Exception) -> outbound.OutboundError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return outbound.OutboundError(f"{where.origin}: TLS: {error}", reason="tls")
    return outbound.OutboundError(
        f"{where.origin} cannot be reached ({str(error) or type(error).__name__})",
        reason="unreachable",
    )
