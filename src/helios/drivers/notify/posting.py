"""Slack, PagerDuty and plain webhooks, through the one client for calls out."""

from collections.abc import Callable, Sequence

from helios.fanout import channels as signing
from helios.heal.notices import message, rendering, sending
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
ANSWER_BYTES_MAX = 64 << 10

Look = Callable[[message.Message], str]
"""Where everything about a message is to be seen; empty: nowhere."""


class Slack:
    """Posts to an incoming webhook of Slack, or of what understands the same."""

    def __init__(self, client: outbound.Outbound, clock: clocks.Clock, look: Look) -> None:
        self._post = _Post(client, clock)
        self._look = look

    async def send(self, place: sending.Place, said: message.Message) -> None:
        """See `sending.Sender`."""
        body = rendering.slack(said, self._look(said))
        await self._post(_url(place.url), body)


class PagerDuty:
    """Opens and resolves incidents by the Events API v2."""

    def __init__(self, client: outbound.Outbound, clock: clocks.Clock, look: Look) -> None:
        self._post = _Post(client, clock)
        self._look = look

    async def send(self, place: sending.Place, said: message.Message) -> None:
        """See `sending.Sender`."""
        if place.routing_key is None:
            raise errors.InvalidInputError("no routing key is declared", field="routing_key")
        body = rendering.pagerduty(said, _text(place.routing_key), self._look(said))
        url = PAGERDUTY_URL if place.url is None else _url(place.url)
        await self._post(url, body)


class Webhook:
    """Posts JSON; signed as Standard Webhooks has it where the policy names a secret."""

    def __init__(self, client: outbound.Outbound, clock: clocks.Clock, look: Look) -> None:
        self._post = _Post(client, clock)
        self._clock = clock
        self._look = look

    async def send(self, place: sending.Place, said: message.Message) -> None:
        """See `sending.Sender`."""
        body = rendering.webhook(said, self._look(said))
        headers = [("idempotency-key", said.key)]
        if place.signing is not None:
            headers += self._signed(place.signing, said.key, body)
        await self._post(_url(place.url), body, headers)

    def _signed(self, value: secret.Secret, key: str, body: bytes) -> list[tuple[str, str]]:
        stamp = str(self._clock.now() // clocks.SECOND_US)
        try:
            signature = signing.sign(signing.signing_key(value), key, stamp, body)
        except signing.DeliveryError as error:
            raise errors.InvalidInputError(error.detail, field="secret") from None
        return [
            ("webhook-id", key),
            ("webhook-timestamp", stamp),
            ("webhook-signature", signature),
        ]


class _Post:
    def __init__(self, client: outbound.Outbound, clock: clocks.Clock) -> None:
        self._client = client
        self._clock = clock

    async def __call__(
        self, url: str, body: bytes, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        answer = await self._client.send(
            outbound.Call(
                method="POST",
                url=url,
                headers=[("content-type", "application/json"), *headers],
                body=body,
                timeout_s=sending.TIMEOUT_S,
                bytes_max=ANSWER_BYTES_MAX,
                idempotent=False,
            )
        )
        sending.judge(answer, self._clock.now())


def _url(value: secret.Secret | None) -> str:
    if value is None:
        raise errors.InvalidInputError("no address is declared", field="url")
    return _text(value)


def _text(value: secret.Secret) -> str:
    """What a reference leads to; files and prompts leave a line end behind."""
    try:
        return value.text.strip()
    except ValueError:
        raise errors.InvalidInputError("the secret is not text") from None
