"""Kafka as a kind of source: its settings, and how one is made.

The client library is an extra, and comes in with `make` alone: a declaration can be checked
without it.
"""

from collections.abc import Sequence

from helios.drivers.kafka import options as kafka_options
from helios.drivers.kafka import records
from helios.ingest import sources
from helios.kernel import errors
from helios.providers import ports as providers

PROVIDER = "kafka"
Options = kafka_options.Options


def again(
    options: kafka_options.Options,
    origin: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
) -> tuple[providers.Received, ...] | providers.UnprocessableError:
    """A `sources.Again`."""
    return records.read(records.restored(origin, headers, body), options).received


async def make(tools: sources.Tools) -> sources.Runner:
    """A `sources.Factory`.

    Raises:
        InvalidInputError: options that are not understood, or a credential that is missing.
        StorageError: the client library is not installed.
    """
    try:
        from helios.drivers.kafka import source  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise errors.StorageError(
            "Kafka needs one more package: pip install 'helios[kafka]'"
        ) from error
    return source.KafkaSource(tools)
