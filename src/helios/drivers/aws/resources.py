"""Resources at AWS: what is looked at of them.

Settings of all: `name` (else the resource's), `region`, `endpoint_url`; further ones in
`resource_reads`. Credentials `access_key_id` and `secret_access_key` (and `session_token`); without
them those of the machine. A field of `expects` is one of ours (see `resource_reads`) or one that
AWS describes, in any way of writing its name; one that AWS has not set is null.

What AWS says is not there is absent; what it does not let us see, and what cannot be reached, is
unknown.
"""

from typing import Any, Self

from helios.drivers.aws import resource_clients, resource_reads, resource_shapes, sessions
from helios.kernel import outbound
from helios.reconcile.compositions.observing import ports

PAUSE_S = 30.0
_THROTTLED = frozenset(
    (
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ProvisionedThroughputExceededException",
        "SlowDown",
    )
)


class AwsCheck:
    """`ports.ResourceCheck` for one kind.

    Args:
        reader: how it is read.
        clients: to read it with.
    """

    def __init__(self, reader: resource_reads.Reader, clients: resource_clients.Clients) -> None:
        self._reader = reader
        self._clients = clients

    async def check(self, asked: ports.Asked) -> ports.Told:
        """See `ports.ResourceCheck`."""
        failures = sessions.failures()
        region = _region(asked) or self._reader.region or sessions.usual_region()
        if region is None:
            return ports.unknown("neither its settings nor the machine's name a region")
        try:
            async with self._clients.client(
                self._reader.service,
                region=region,
                credentials=asked.credentials,
                endpoint_url=asked.text("endpoint_url"),
            ) as client:
                found = await self._reader.read(client, asked)
        except failures as error:
            return self._failed(error)
        if found is None:
            return ports.absent(f"AWS knows no such {asked.resource.kind} in {region}")
        return _told(asked, found)

    def _failed(self, error: Exception) -> ports.Told:
        code = _code(error)
        if code in self._reader.missing:
            return ports.absent(sessions.said(error))
        if code in _THROTTLED:
            return ports.unknown(sessions.said(error), pause_s=PAUSE_S)
        if code:
            return ports.unknown(sessions.said(error))
        # What is no answer of AWS may show more than we want of the request.
        return ports.unknown(f"AWS cannot be asked ({type(error).__name__})")


class AwsResources:
    """The checks of resources at AWS, with the clients that they share; a context manager.

    Args:
        guard: checks endpoints of one's own.
    """

    def __init__(self, guard: outbound.Outbound) -> None:
        self._clients = resource_clients.Clients(guard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the clients."""
        await self._clients.close()

    def checks(self) -> dict[str, ports.ResourceCheck]:
        """The checks, by kind. The SDK is loaded when one is asked."""
        return {
            kind: AwsCheck(reader, self._clients) for kind, reader in resource_reads.READERS.items()
        }


def _told(asked: ports.Asked, found: resource_reads.Found) -> ports.Told:
    expects = {
        name: each for name, each in asked.resource.expects.items() if name not in found.lacking
    }
    value: dict[str, Any] = resource_shapes.picked(expects, found.described, found.own)
    unknown = [name for name in asked.resource.expects if name in found.lacking]
    if found.healthy is None:
        unknown.append("healthy")
    else:
        value["healthy"] = found.healthy
    details = [found.why] if found.healthy is False else []
    details += [f"{name} cannot be read ({code})" for name, code in found.lacking.items()]
    return ports.Told(
        state="present", value=value, unknown=tuple(unknown), detail="; ".join(details)
    )


def _region(asked: ports.Asked) -> str | None:
    """The region that settings name, or an ARN in them."""
    region = asked.text("region")
    if region is not None:
        return region
    parts = (asked.text("arn", "topic_arn") or "").split(":")
    return parts[3] or None if len(parts) > 4 else None


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    problem = response.get("Error", {}) if isinstance(response, dict) else {}
    return str(problem.get("Code", ""))
