"""Subscriptions of Pub/Sub as a kind of source: their settings, and how one is made.

The SDK is an extra, and comes in with `make` alone: a declaration can be checked without it.
"""

from helios.drivers.gcp import messages
from helios.drivers.gcp import options as gcp_options
from helios.ingest import sources
from helios.kernel import errors

PROVIDER = "gcp-pubsub-pull"
Options = gcp_options.Options
again = messages.again


async def make(tools: sources.Tools) -> sources.Runner:
    """A `sources.Factory`.

    Raises:
        InvalidInputError: options or credentials that are not understood.
        StorageError: the SDK is not installed.
    """
    try:
        from helios.drivers.gcp import source  # noqa: PLC0415 - with the SDK
    except ImportError as error:
        raise errors.StorageError(
            "Google Cloud needs one more package: pip install 'helios[gcp]'"
        ) from error
    return source.PubSubSource(tools)
