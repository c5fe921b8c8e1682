"""Delivers events to a Kafka topic, as CloudEvents in binary mode, keyed by their aggregate.

The key keeps the events of one aggregate in order in one partition, as the Kafka protocol binding
of CloudEvents has it.
"""

from collections.abc import Mapping

import msgspec

from helios.drivers.kafka import binding, sink
from helios.drivers.kafka import options as kafka_options
from helios.eventlog import cloudevents, envelope
from helios.fanout import channels, subscriber
from helios.kernel import clock as clocks
from helios.kernel import errors, secret


class KafkaChannel:
    """`channels.Channel` for `subscriber.Kafka`.

    Raises:
        InvalidInputError: settings of the connection that are not understood.
    """

    def __init__(self, declared: subscriber.Kafka, secrets: Mapping[str, secret.Secret]) -> None:
        try:
            connection = msgspec.convert(declared.connection, kafka_options.Connection)
        except msgspec.ValidationError as error:
            raise errors.InvalidInputError(str(error), field="spec.deliver.connection") from None
        self._topic = declared.topic
        self._sink = sink.KafkaSink(connection, credentials=secrets, delivery_s=channels.TIMEOUT_S)

    async def deliver(self, message: channels.Message) -> None:
        event = message.event
        key = f"{event.aggregate_type}/{event.aggregate_id}"
        if message.outgoing is None:
            headers, body = binding.to_binary(cloudevents.from_event(event))
        else:
            headers, body = _outgoing(event, message.outgoing)
            key = message.outgoing.key
        try:
            await self._sink.send(
                self._topic,
                key=key.encode(),
                value=body,
                headers=headers,
            )
        except errors.HeliosError as error:
            raise channels.DeliveryError(str(error)) from error

    async def close(self) -> None:
        await self._sink.close()


def _outgoing(
    event: envelope.Event, outgoing: channels.Outgoing
) -> tuple[list[tuple[str, bytes]], bytes]:
    """What is told of an event, as a CloudEvent; its attributes are headers of their own."""
    attributes: dict[str, cloudevents.Value] = {
        "specversion": "1.0",
        "id": outgoing.id,
        "source": f"/{event.source}/{outgoing.topic}",
        "type": outgoing.type,
        "time": clocks.to_rfc3339(event.occurred_at),
        "datacontenttype": "application/json",
    }
    told = cloudevents.CloudEvent(attributes=attributes, kind="json", data=outgoing.body)
    headers, body = binding.to_binary(told)
    named = [(name, value.encode()) for name, value in outgoing.attributes.items()]
    return [*headers, *named], body or b""
