"""Calls that Helios makes to others: one port for all of them.

The implementation (`helios.drivers.outbound`) resolves a name once, refuses addresses that are not
public unless allowed, connects to the address it checked, follows no redirect unless told to,
bounds time and size, retries what may be retried with jitter, and carries the trace along.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import msgspec

from helios.kernel import errors, jsonio


class OutboundError(errors.HeliosError):
    """A call out did not bring an answer: refused by policy, not reachable, too slow, too large.

    Attributes:
        reason: `forbidden_address`, `forbidden_host`, `unreachable`, `timeout`, `too_large`,
            `tls`, `protocol`; the message says more, and never holds a header or a query.
    """

    code: ClassVar[str] = "outbound_failed"
    retryable: ClassVar[bool] = True

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request to make.

    Attributes:
        method, url: `https://…`; `http` only to hosts that are allowed privately.
        headers: in order; secrets in them are never logged.
        body: bytes to send.
        timeout_s: for the whole call, one attempt.
        bytes_max: of the answer's body. Above: `OutboundError`.
        attempts: at most so many, with growing pauses; only for answers 429, 502, 503, 504 and for
            connections that broke, and only if `idempotent`.
        idempotent: doing it twice does no harm.
        hosts: if given, only these host names may be called (exact, or `.example.com` for all
            below it); the check comes before any name is resolved.
        redirects: how many to follow; each is checked like the first.
    """

    method: str = "GET"
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    timeout_s: float = 10.0
    bytes_max: int = 4 << 20
    attempts: int = 1
    idempotent: bool = True
    hosts: tuple[str, ...] | None = None
    redirects: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, whatever its status.

    Attributes:
        headers: names in lower case; of a repeated one the last.
        seconds: from the call to the last byte.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> object:
        """The body, parsed strictly.

        Raises:
            InvalidInputError: it is not strict JSON.
        """
        return jsonio.parse(self.body)


class Outbound(Protocol):
    """Makes calls."""

    async def send(self, call: Call) -> Answer:
        """Make the call.

        Raises:
            OutboundError: no answer.
        """
        ...

    async def permit(self, url: str) -> None:
        """Check an address that an SDK is going to connect to by itself.

        Raises:
            OutboundError: it may not be called, or its name cannot be resolved.
        """
        ...


@runtime_checkable
class Resolver(Protocol):
    """May come with `Outbound`: for connections that speak no HTTP."""

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host that may be connected to, checked; in the order to try.

        Raises:
            OutboundError: it may not be called, or its name cannot be resolved.
        """
        ...
