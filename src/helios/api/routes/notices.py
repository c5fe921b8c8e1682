"""Whether people would be told: test messages."""

from collections.abc import Sequence

import msgspec

from helios.api import services, web
from helios.api.routes import stack_desk as desks
from helios.heal.notices import trial
from helios.reconcile.compositions import reading

PATH = f"{desks.PATH}/notify-test"


class Try(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which channel to try, by its name in the policy; null: all."""

    channel: str | None = None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a test message, channel by channel."""

    client_id: str
    stack_id: str
    channels: Sequence[trial.Outcome]


def routes(parts: services.Services) -> list[web.Route]:
    """The operation that sends test messages."""
    return [
        desks.route(
            method="POST",
            path=PATH,
            handler=_Notices(parts).test,
            summary="Send a test message to the channels of a stack",
            replies={200: web.Reply("What became of it, channel by channel.", Tried)},
            parameters=(desks.ACTOR,),
            body=desks.json(Try),
        )
    ]


class _Notices(desks.Desk):
    async def test(self, request: web.Request) -> web.Response:
        asked, _ = await desks.body(request, Try)
        client_id, stack_id = desks.name(request)
        await reading.stack_of(self.parts.store, client_id, stack_id)
        if self.parts.notify is None:
            raise services.NotRunningError("nothing here tells people: start `helios serve`")
        found = await self.parts.notify(client_id, stack_id, asked.channel)
        return web.answer(Tried(client_id=client_id, stack_id=stack_id, channels=found))
