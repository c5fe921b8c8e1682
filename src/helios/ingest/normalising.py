"""What an event of the log says of content: asks the adapter of the provider it came from."""

from collections.abc import Sequence

import msgspec

from helios.eventlog import envelope
from helios.kernel import errors
from helios.providers import ports, registry


class _Metadata(msgspec.Struct):
    provider: str | None = None


_metadata = msgspec.json.Decoder(_Metadata).decode


def changes(event: envelope.Event) -> Sequence[ports.ContentChange]:
    """The content changes that an event tells of; empty when it tells of none.

    Pure but for the table of adapters: the same event gives the same answer in every replay.

    Raises:
        anything that the adapter raises for a payload it cannot read.
    """
    provider = _metadata(event.metadata).provider
    if provider is None:
        return ()
    try:
        adapter = registry.get(provider)
    except errors.NotFoundError:
        # A queue or a topic, or an adapter that is not installed any more.
        return ()
    # Asked first because it is cheap: this is done for each event there is.
    if ports.Capability.NORMALISE not in adapter.capabilities:
        return ()
    if not isinstance(adapter, ports.Normaliser):
        return ()
    source = ports.Source(name=event.source, tenant=event.tenant, provider=provider)
    return adapter.normalise(event.type, event.data(), source)
