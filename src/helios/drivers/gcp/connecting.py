"""The way to Pub/Sub: address, credentials, and what its errors mean."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import google.auth
import grpc
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.pubsub_v1 import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber import transports

from helios.drivers.gcp import options as gcp_options
from helios.kernel import errors, jsonio, outbound, secret

EMULATOR = "PUBSUB_EMULATOR_HOST"
CREDENTIAL = "service_account"
SCOPES = ("https://www.googleapis.com/auth/pubsub",)
MESSAGE_BYTES_MAX = 32 << 20

_auth: Any = google.auth
_KINDS = ("service_account", "authorized_user")
_CHANNEL = (("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),)
_LASTING = (
    exceptions.NotFound,
    exceptions.PermissionDenied,
    exceptions.Unauthenticated,
    exceptions.InvalidArgument,
    exceptions.FailedPrecondition,
    exceptions.MethodNotImplemented,
    auth_exceptions.DefaultCredentialsError,
)
_FAILURES = (exceptions.GoogleAPICallError, auth_exceptions.GoogleAuthError, grpc.RpcError)
_CHARS = 500


def check(credentials: Mapping[str, secret.Secret]) -> None:
    """See that the credentials are of a kind that is taken.

    Raises:
        InvalidInputError: they are not; the message does not hold them.
    """
    if CREDENTIAL in credentials:
        _info(credentials[CREDENTIAL])


@contextlib.asynccontextmanager
async def client(
    options: gcp_options.Options,
    credentials: Mapping[str, secret.Secret],
    guard: outbound.Outbound,
) -> AsyncIterator[SubscriberAsyncClient]:
    """The official client.

    Raises:
        InvalidInputError: there are no credentials, or none that are taken.
        OutboundError: the address may not be called.
    """
    address = options.endpoint or os.environ.get(EMULATOR)
    channel: Any
    if address is not None and not gcp_options.is_google(address):
        await guard.permit(f"http://{address}")
        channel = grpc.aio.insecure_channel(address, options=_CHANNEL)
    else:
        found = await _credentials(credentials)
        channel = transports.SubscriberGrpcAsyncIOTransport.create_channel(
            address or SubscriberAsyncClient.DEFAULT_ENDPOINT,
            credentials=found,
            scopes=SCOPES,
            options=_CHANNEL,
        )
    transport = transports.SubscriberGrpcAsyncIOTransport(channel=channel)
    closing: Any = transport
    try:
        yield SubscriberAsyncClient(transport=transport)
    finally:
        await closing.close()


@contextlib.contextmanager
def told() -> Iterator[None]:
    """What the SDK raises, in the words of Helios."""
    try:
        yield
    except _FAILURES as error:
        said = getattr(error, "message", None) or str(error)
        text = f"Pub/Sub: {type(error).__name__}: {said}"[:_CHARS]
        if isinstance(error, _LASTING):
            raise errors.InvalidInputError(text) from error
        raise errors.StorageError(text) from error


async def _credentials(given: Mapping[str, secret.Secret]) -> Any:
    with told():
        if CREDENTIAL in given:
            info = _info(given[CREDENTIAL])
            found, _ = _auth.load_credentials_from_dict(info, scopes=SCOPES)
        else:
            # It may ask the machine's metadata server, and waits for it.
            found, _ = await asyncio.to_thread(_auth.default, scopes=SCOPES)
        return found


def _info(kept: secret.Secret) -> dict[str, Any]:
    problem = errors.InvalidInputError(
        f"expected the JSON of a key, of type {' or '.join(_KINDS)}",
        field=f"credentials.{CREDENTIAL}",
    )
    try:
        info = jsonio.parse_object(kept.reveal())
    except errors.InvalidInputError:
        raise problem from None
    if info.get("type") not in _KINDS:
        raise problem
    return info
