"""Sends a test message, to see whether people would be told."""

import asyncio

import msgspec

from helios.heal.notices import message, notice, sending
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.projections import ports as view_ports
from helios.reconcile.compositions import policy, reading


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a test message on one channel.

    Attributes:
        detail: why it did not arrive; empty: it did.
        seconds: how long it took.
    """

    channel: str
    channel_type: str
    delivered: bool
    detail: str = ""
    seconds: float = 0.0


class Trial:
    """Tries the channels of a stack."""

    def __init__(
        self,
        store: view_ports.ViewStore,
        senders: sending.Senders,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self._store = store
        self._senders = senders
        self._clock = clock
        self._ids = id_source

    async def __call__(
        self, client_id: str, stack_id: str, channel: str | None = None
    ) -> list[Outcome]:
        """Send a test message to the channels of a stack, side by side.

        Args:
            client_id: whose stack.
            stack_id: which one.
            channel: the name of one channel; None: all of them, whatever their threshold.

        Raises:
            NotFoundError: no such stack, or no such channel.
            InvalidInputError: its policy cannot be read by this version of Helios.
        """
        known = await reading.stack_of(self._store, client_id, stack_id)
        if known.policy is None:
            raise errors.InvalidInputError(f"the policy of stack {stack_id[:80]} cannot be read")
        found = known.policy.channels
        if channel is not None:
            found = tuple(each for each in found if each.name == channel)
            if not found:
                named = ", ".join(each.name for each in known.policy.channels) or "none"
                raise errors.NotFoundError(
                    f"the policy of stack {stack_id[:80]} has no channel {channel[:80]}; "
                    f"it has: {named}"
                )
        return list(await asyncio.gather(*(self._one(client_id, stack_id, each) for each in found)))

    async def _one(self, client_id: str, stack_id: str, channel: policy.Channel) -> Outcome:
        began = self._clock.monotonic()
        detail = ""
        try:
            for said in self._messages(client_id, stack_id, channel):
                await self._senders.send(channel, said)
        except sending.NotToldError as error:
            detail = error.detail
        return Outcome(
            channel=channel.name,
            channel_type=channel.type,
            delivered=not detail,
            detail=detail,
            seconds=round(self._clock.monotonic() - began, 3),
        )

    def _messages(
        self, client_id: str, stack_id: str, channel: policy.Channel
    ) -> list[message.Message]:
        """The message; where it opens an incident, one more that ends it."""
        name = self._ids.new()
        at = clocks.to_rfc3339(self._clock.now())
        said = notice.Notice(
            kind="test",
            does="tell",
            client_id=client_id,
            stack_id=stack_id,
            subject=f"test:{name}",
            item=f"test/{name}",
            severity="low",
            level="info",
            at=at,
            headline=f"a test of channel {channel.name}: nothing is wrong",
        )
        made = message.Message(
            key=f"ntc_{name}",
            incident=message.incident(client_id, said.subject),
            status="firing" if channel.type == "pagerduty" else "info",
            client_id=client_id,
            stack_id=stack_id,
            severity="low",
            title=notice.line(f"[test] {client_id}/{stack_id}: {said.headline}", 250),
            at=at,
            lines=(said,),
        )
        if channel.type != "pagerduty":
            return [made]
        return [made, msgspec.structs.replace(made, status="resolved")]
