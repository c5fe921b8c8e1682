"""All demo clouds as one: started in order, told of once all answer, stopped together."""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import msgspec

from helios.demo.clouds import drops, offers
from helios.kernel import clock as clocks
from helios.kernel import errors

_Ended: TypeAlias = "asyncio.Future[None]"

_NEEDS = {
    "aws": ("moto.server", "boto3"),
    "gcp": ("grpc", "google.pubsub_v1", "cryptography"),
    "azure": (),
}
"""What each cloud's server is made of that a plain installation does not have."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which clouds to serve, and how.

    Attributes:
        only: which of them.
        topics: made in each, with somebody subscribed.
        host: address to listen on.
        port_base: of the first port; the others follow. 0: free ones.
        drop: which events each cloud takes and does not deliver.
    """

    only: tuple[offers.Name, ...] = offers.NAMES
    topics: tuple[str, ...] = ("orders",)
    host: str = "127.0.0.1"
    port_base: int = 0
    drop: drops.Share = drops.NOTHING

    def port(self, offset: int) -> int:
        """The port at this place, or 0 for a free one."""
        return self.port_base + offset if self.port_base else 0


def check(plan: Plan) -> None:
    """See that what the clouds are made of is installed.

    Raises:
        InvalidInputError: it is not; says what to install.
    """
    for cloud in plan.only:
        for module in _NEEDS[cloud]:
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise errors.InvalidInputError(
                    f"{cloud}: {error.name or module} is not installed:"
                    " pip install 'helios[clouds]', or leave it out with --only"
                ) from error


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Clouds that are up; `ended` is done when one of them ends by itself."""

    clouds: list[offers.Cloud]
    ended: "asyncio.Future[None]"


@contextlib.asynccontextmanager
async def serve(plan: Plan, clock: clocks.Clock) -> AsyncIterator[Running]:
    """Serve these clouds while the block runs.

    Raises:
        InvalidInputError: an SDK is not installed.
        StorageError: one could not start; says why. None is left running.
    """
    check(plan)
    async with contextlib.AsyncExitStack() as stack:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        clouds = [
            await stack.enter_async_context(_START[name](plan, clock, ended)) for name in plan.only
        ]
        yield Running(clouds=clouds, ended=ended)


@contextlib.asynccontextmanager
async def _aws(plan: Plan, _clock: clocks.Clock, ended: _Ended) -> AsyncIterator[offers.Cloud]:
    from helios.demo.clouds import aws  # noqa: PLC0415 - needs an extra

    async with aws.serve(
        topics=plan.topics, host=plan.host, port=plan.port(0), drop=plan.drop, ended=ended
    ) as server:
        queues = {made.topic: msgspec.to_builtins(made) for made in server.topics}
        yield offers.aws(server.url, server.environment, queues)


@contextlib.asynccontextmanager
async def _gcp(plan: Plan, clock: clocks.Clock, _ended: _Ended) -> AsyncIterator[offers.Cloud]:
    from helios.demo.clouds import pubsub  # noqa: PLC0415 - needs an extra

    async with pubsub.serve(
        clock,
        host=plan.host,
        port=plan.port(1),
        http_port=plan.port(2),
        drop=plan.drop,
    ) as server:
        for topic in plan.topics:
            server.create(offers.PROJECT, topic, offers.subscription(topic))
        yield offers.gcp(server.address, server.url, plan.topics)


@contextlib.asynccontextmanager
async def _azure(plan: Plan, clock: clocks.Clock, _ended: _Ended) -> AsyncIterator[offers.Cloud]:
    from helios.demo.clouds import eventgrid  # noqa: PLC0415 - as the others

    async with eventgrid.serve(clock, host=plan.host, port=plan.port(3), drop=plan.drop) as server:
        for topic in plan.topics:
            server.create_subscription(topic, offers.SUBSCRIPTION)
            server.create_custom_topic(topic)
        yield offers.azure(server.url, server.key, plan.topics)


_START: dict[offers.Name, Callable[[Plan, clocks.Clock, _Ended], Any]] = {
    "aws": _aws,
    "gcp": _gcp,
    "azure": _azure,
}


async def run(
    plan: Plan,
    *,
    clock: clocks.Clock,
    started: Callable[[list[offers.Cloud]], None],
    stopping: "asyncio.Future[None]",
) -> None:
    """Serve until told to stop.

    Args:
        plan: what to serve.
        clock: what the clouds count by.
        started: called once all of them answer.
        stopping: done when it is time.

    Raises:
        InvalidInputError: an SDK is not installed.
        StorageError: one could not start; says why.
    """
    async with serve(plan, clock) as running:
        started(running.clouds)
        await asyncio.wait({stopping, running.ended}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            raise errors.StorageError("the AWS demo server ended by itself")
