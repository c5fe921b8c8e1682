"""Deliveries that cannot be taken, of several kinds, and an operator who mends some.

Each is what really arrives: a key that is not the right one, a body that is no JSON, a field of
another type, two events that share an id. What proves nothing is refused and only counted; what is
authentic and cannot be taken becomes a dead letter.
"""

from typing import Literal, TypeAlias

import msgspec

from helios import client as clients
from helios.demo import board as boards
from helios.demo import doors, envelopes, shop
from helios.kernel import clock as clocks

Kind: TypeAlias = Literal[
    "bad signature", "malformed", "not as its schema says", "unknown source", "conflict"
]
EVERY_S = 4.0
MEND_EVERY = 3
"""Of so many letters of a schema one is mended and tried again."""

_LOOKS, _LOOK_S = 20, 0.1
_JSON = {"content-type": "application/json; charset=utf-8"}
_TURN: tuple[Kind, ...] = (
    "not as its schema says",
    "bad signature",
    "malformed",
    "conflict",
    "bad signature",
    "unknown source",
)


class Letters:
    """Sends them, one after the other.

    Args:
        senders: who posts.
        helios: for what goes by the API.
        clock: for times and ids.
    """

    def __init__(
        self, senders: doors.Senders, helios: clients.Client, *, clock: clocks.Clock
    ) -> None:
        self.tally = boards.Tally()
        self._senders = senders
        self._helios = helios
        self._clock = clock
        self._started = clock.now()
        self._sent = 0
        self._counted = 0

    async def next(self) -> None:
        """Send the next one in turn."""
        kind = _TURN[self._sent % len(_TURN)]
        self._sent += 1
        match kind:
            case "bad signature":
                await self._badly_signed()
            case "malformed":
                body = b'{"id": "' + self._id("cut").encode() + b'", "detail-type": "OrderPl'
                self._kept(await self._senders.send("aws", body, _JSON))
            case "not as its schema says":
                await self._miscounted()
            case "unknown source":
                answer = await self._senders.post("/webhook/legacy-erp", b"{}", _JSON)
                self._refused(answer)
            case "conflict":
                await self._conflicting()

    async def _badly_signed(self) -> None:
        cloud = envelopes.CLOUDS[self._sent // 2 % len(envelopes.CLOUDS)]
        wrong = {
            "aws": {envelopes.KEY_HEADER: "rotated-away"},
            "gcp": {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
            "azure": {"code": "rotated-away"},
        }
        self._refused(await self._senders.send(cloud, b"{}", {**_JSON, **wrong[cloud]}))

    async def _miscounted(self) -> None:
        self._counted += 1
        answer = await self._senders.send("azure", self._count("seven"), _JSON)
        self._kept(answer)
        if self._counted % MEND_EVERY != 1 or not answer.position:
            return
        letter = await self._letter(self._id("count"))
        if letter is None:
            return
        await self._helios.edit_dead_letter(
            letter, self._count(7), client_id=shop.CLIENT, note="a number, not a word"
        )
        tried = await self._helios.retry_dead_letter(letter, client_id=shop.CLIENT)
        self.tally.retried += tried.result == "stored"

    async def _letter(self, event_id: str) -> str | None:
        """The dead letter of an event, once it is shown."""
        for _ in range(_LOOKS):
            found = await self._helios.dead_letters(client_id=shop.CLIENT, source="azure", limit=20)
            wanted = [each.id for each in found.letters if each.event_id == event_id]
            if wanted:
                return wanted[0]
            await self._clock.sleep(_LOOK_S)
        return None

    def _count(self, qty: object) -> bytes:
        event = {
            "id": self._id("count"),
            "eventType": envelopes.COUNTED,
            "subject": "warehouse/north",
            "eventTime": clocks.to_rfc3339(self._clock.now()),
            "topic": envelopes.TOPIC,
            "data": {"sku": "SKU-101", "qty": qty},
            "dataVersion": "1.0",
            "metadataVersion": "1",
        }
        return msgspec.json.encode([event])

    async def _conflicting(self) -> None:
        event = {
            "id": self._id("invoice"),
            "source": "erp",
            "eventType": "InvoiceWritten",
            "client_id": shop.CLIENT,
        }
        for amount in ("18.90", "1890"):
            told = await self._helios.append(event | {"payload": {"amount": amount}})
        self.tally.kept += told.conflict
        self.tally.unexpected += not told.conflict

    def _refused(self, answer: doors.Answer) -> None:
        is_refused = 400 <= answer.status < 500
        self.tally.refused += is_refused
        self.tally.unexpected += not is_refused

    def _kept(self, answer: doors.Answer) -> None:
        is_kept = answer.status < 300 and "dead" in answer.results
        self.tally.kept += is_kept
        self.tally.unexpected += not is_kept

    def _id(self, name: str) -> str:
        """Another one in each run: the data of a demo may be kept."""
        return f"{name}-{self._started // clocks.SECOND_US}-{self._sent}"
