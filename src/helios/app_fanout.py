"""The part of the composition root that hands events on to subscribers."""

import random
from collections.abc import Callable, Mapping

from helios.drivers.aws import sns_channel
from helios.eventlog import ports as log_ports
from helios.fanout import channels, dispatcher, subscriber, worker
from helios.ingest import runners
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, outbound, secret
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.reconcile.bus import outward


def made(
    log: log_ports.EventLog,
    store: view_ports.ViewStore,
    views: catalog.Catalog,
    *,
    clock: clocks.Clock,
    id_source: ids.Ids,
    vault: secret.Vault,
    client: outbound.Outbound,
    leases: runners.Leases,
    told: Callable[[str], None],
) -> dispatcher.Dispatcher:
    """Put together what delivers; nothing runs yet."""
    # Jitter only: two processes must not draw the same numbers.
    rng = random.Random(id_source.new())  # noqa: S311
    around = worker.Around(
        log=log,
        store=store,
        wait_for=views.wait_for,
        clock=clock,
        ids=id_source,
        random=rng.random,
        told=told,
        outward=outward.Outward(),
    )
    makers: dict[type, channels.Maker] = {
        subscriber.Webhook: _webhooks(client, clock),
        subscriber.Sns: _topics(client),
        subscriber.Kafka: _kafka,
    }
    return dispatcher.Dispatcher(around, makers, vault, leases)


def _webhooks(client: outbound.Outbound, clock: clocks.Clock) -> channels.Maker:
    async def make(
        declared: subscriber.Subscriber, secrets: Mapping[str, secret.Secret]
    ) -> channels.Channel:
        assert isinstance(declared.channel, subscriber.Webhook)
        return channels.WebhookChannel(declared.channel, secrets, client, clock)

    return make


def _topics(client: outbound.Outbound) -> channels.Maker:
    async def make(
        declared: subscriber.Subscriber, secrets: Mapping[str, secret.Secret]
    ) -> channels.Channel:
        assert isinstance(declared.channel, subscriber.Sns)
        return await sns_channel.SnsChannel.opened(declared.channel, secrets, client)

    return make


async def _kafka(
    declared: subscriber.Subscriber, secrets: Mapping[str, secret.Secret]
) -> channels.Channel:
    assert isinstance(declared.channel, subscriber.Kafka)
    try:
        from helios.drivers.kafka import channel  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise errors.StorageError(
            "Kafka needs one more package: pip install 'helios[kafka]'"
        ) from error
    return channel.KafkaChannel(declared.channel, secrets)
