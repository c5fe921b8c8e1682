"""Queues of SQS as a kind of source: their settings, and how one is made.

The SDK is an extra, and comes in with `make` alone: a declaration can be checked without it.
"""

from helios.drivers.aws import messages
from helios.drivers.aws import options as aws_options
from helios.ingest import sources

PROVIDER = "aws-sqs"
Options = aws_options.Options
again = messages.again


async def make(tools: sources.Tools) -> sources.Runner:
    """A `sources.Factory`.

    Raises:
        InvalidInputError: options that are not understood, or half a credential.
        StorageError: the SDK is not installed.
    """
    from helios.drivers.aws import source  # noqa: PLC0415 - with the SDK

    return source.SqsSource(tools)
