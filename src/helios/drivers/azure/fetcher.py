"""Topics of Event Grid namespaces as a kind of source: their settings, and how one is made.

The SDK is an extra, and comes in with `make` alone: a declaration can be checked without it.
"""

from helios.drivers.azure import messages
from helios.drivers.azure import options as azure_options
from helios.ingest import sources
from helios.kernel import errors

PROVIDER = "azure-eventgrid-pull"
Options = azure_options.Options
again = messages.again


async def make(tools: sources.Tools) -> sources.Runner:
    """A `sources.Factory`.

    Raises:
        InvalidInputError: options or credentials that are not understood.
        StorageError: the SDK is not installed.
    """
    try:
        from helios.drivers.azure import source  # noqa: PLC0415 - with the SDK
    except ImportError as error:
        raise errors.StorageError(
            "Azure needs one more package: pip install 'helios[azure]'"
        ) from error
    return source.EventGridSource(tools)
