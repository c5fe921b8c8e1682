"""The way to Event Grid: credentials, and what its errors mean."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from azure.core import credentials as azure_credentials
from azure.core import exceptions
from azure.eventgrid.aio import EventGridConsumerClient
from azure.identity import aio as identity

from helios.drivers.azure import options as azure_options
from helios.kernel import errors, outbound, secret

ACCESS_KEY = "access_key"
ENTRA = ("tenant_id", "client_id", "client_secret")
SAS = "dead_letters_sas"

CONNECT_S = 5.0
ANSWER_S = 15.0
"""Longest wait for an answer beyond what the call was told to wait."""

RETRIES = 2
_LASTING = frozenset((400, 401, 403, 404, 405))
_CHARS = 500


def check(credentials: Mapping[str, secret.Secret]) -> None:
    """See that the credentials are whole.

    Raises:
        InvalidInputError: they are not.
    """
    given = [name for name in ENTRA if name in credentials]
    if given and len(given) < len(ENTRA):
        raise errors.InvalidInputError(
            f"{', '.join(ENTRA)} belong together", field=f"credentials.{given[0]}"
        )


@contextlib.asynccontextmanager
async def client(
    options: azure_options.Options,
    credentials: Mapping[str, secret.Secret],
    guard: outbound.Outbound,
) -> AsyncIterator[EventGridConsumerClient]:
    """The official client.

    Raises:
        OutboundError: the address may not be called.
    """
    await guard.permit(options.endpoint)
    async with (
        credential(credentials) as proof,
        EventGridConsumerClient(
            options.endpoint,
            proof,
            namespace_topic=options.topic,
            subscription=options.subscription,
            connection_timeout=CONNECT_S,
            read_timeout=options.wait_s + ANSWER_S,
            retry_total=RETRIES,
        ) as made,
    ):
        yield made


@contextlib.asynccontextmanager
async def credential(credentials: Mapping[str, secret.Secret]) -> AsyncIterator[Any]:
    """What proves who we are: the key, an application of Entra, or what the machine has."""
    if ACCESS_KEY in credentials:
        yield azure_credentials.AzureKeyCredential(credentials[ACCESS_KEY].text.strip())
        return
    made: Any
    if ENTRA[0] in credentials:
        made = identity.ClientSecretCredential(*(credentials[name].text.strip() for name in ENTRA))
    else:
        made = identity.DefaultAzureCredential()
    async with made:
        yield made


@contextlib.contextmanager
def told() -> Iterator[None]:
    """What the SDK raises, in the words of Helios."""
    try:
        yield
    except exceptions.AzureError as error:
        status = getattr(error, "status_code", None)
        said = str(getattr(error, "message", None) or error).partition("\n")[0]
        text = f"Event Grid: {status or type(error).__name__}: {said}"[:_CHARS]
        is_refused = isinstance(error, exceptions.ClientAuthenticationError)
        if status in _LASTING or is_refused:
            raise errors.InvalidInputError(text) from error
        raise errors.StorageError(text) from error
