"""Clients of AWS services."""

import contextlib
import importlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

from helios.kernel import errors, outbound, secret

CONNECT_S = 5.0
READ_S = 70.0
"""A little more than the longest long poll of SQS and three times that of others."""

ATTEMPTS = 5


@contextlib.asynccontextmanager
async def client(
    service: str,
    *,
    region: str,
    credentials: Mapping[str, secret.Secret],
    guard: outbound.Outbound,
    endpoint_url: str | None = None,
    read_s: float = READ_S,
    attempts: int = ATTEMPTS,
) -> AsyncIterator[Any]:
    """A client of one service.

    Args:
        service: as the SDK calls it, such as `sqs`.
        region: such as `eu-central-1`.
        credentials: `access_key_id` and `secret_access_key` (and `session_token`); empty: those
            that the machine has.
        guard: checks an address of one's own before anything is sent there.
        endpoint_url: another address than AWS's.
        read_s: longest wait for an answer.
        attempts: how often the SDK tries before it gives up; few, for who tries again anyway.

    Raises:
        StorageError: the SDK is not installed.
        OutboundError: the address may not be called.
    """
    sdk, boto = _module("aioboto3"), _module("botocore.config")
    if endpoint_url is not None:
        await guard.permit(endpoint_url)
    keys = {
        f"aws_{name}": credentials[name].text
        for name in ("access_key_id", "secret_access_key", "session_token")
        if name in credentials
    }
    settings = boto.Config(
        connect_timeout=CONNECT_S,
        read_timeout=read_s,
        retries={"max_attempts": attempts, "mode": "standard"},
        user_agent_extra="helios",
    )
    session = sdk.Session(region_name=region, **keys)
    async with session.client(service, endpoint_url=endpoint_url, config=settings) as found:
        yield found


def usual_region() -> str | None:
    """The region that the machine's own settings name (`AWS_REGION`, a profile); None: none.

    Raises:
        StorageError: the SDK is not installed.
    """
    # The SDK for Python knows the older name alone; the other SDKs know both.
    found: str | None = os.environ.get("AWS_REGION") or _module(
        "botocore.session"
    ).Session().get_config_variable("region")
    return found or None


def failures() -> tuple[type[Exception], ...]:
    """What the SDK raises when AWS refuses or cannot be reached.

    Raises:
        StorageError: the SDK is not installed.
    """
    found = _module("botocore.exceptions")
    return (found.ClientError, found.BotoCoreError)


def _module(name: str) -> Any:
    """A module of the SDK, which is an extra: whoever has no AWS does without it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise errors.StorageError(
            "AWS needs one more package: pip install 'helios[aws]'"
        ) from error


def said(error: Exception) -> str:
    """What AWS said, without the request's particulars."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        problem = response.get("Error", {})
        return f"{problem.get('Code', 'error')}: {problem.get('Message', '')}".strip()
    return f"{type(error).__name__}: {error}"
