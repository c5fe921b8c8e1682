"""The Pub/Sub server as a whole: its gRPC port, its keys over HTTP, its pushes.

The unmodified SDK finds it through `PUBSUB_EMULATOR_HOST`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import httpx
from google.protobuf import duration_pb2
from starlette import applications, requests, responses, routing

from helios.demo.clouds import drops, http_server, pubsub_push, pubsub_rpc, pubsub_stream, tokens
from helios.demo.clouds import pubsub_specs as specs
from helios.demo.clouds import pubsub_state as states
from helios.kernel import clock as clocks
from helios.kernel import errors

JWKS_PATH = "/oauth2/v3/certs"
MESSAGE_BYTES_MAX = 20 << 20
STOP_S = 0.2
"""How long calls under way get at the end."""


class Server:
    """A running server.

    Attributes:
        address: `host:port` for `PUBSUB_EMULATOR_HOST`.
        url: of its HTTP side: keys, and what was dropped.
        jwks_url: where receivers of pushes find the keys.
        state: all it holds.
        signer: who signs its tokens.
    """

    def __init__(self, address: str, url: str, state: states.State, signer: tokens.Signer) -> None:
        self.address = address
        self.url = url
        self.jwks_url = url + JWKS_PATH
        self.state = state
        self.signer = signer

    def create(self, project: str, topic: str, subscription: str, **options: Any) -> str:
        """Make a topic that keeps its messages for a week, if there is none, and a subscription.

        Args:
            project: its id.
            topic: short name of the topic.
            subscription: short name of the subscription.
            options: fields of the API's `Subscription`.

        Returns:
            Full name of the subscription.

        Raises:
            ConflictError: there is such a subscription.
            InvalidInputError: an option is out of bounds.
        """
        topic_name = f"projects/{project}/topics/{topic}"
        name = f"projects/{project}/subscriptions/{subscription}"
        if topic_name not in self.state.topics:
            week = duration_pb2.Duration(seconds=specs.RETENTION_DEFAULT_S)
            self.state.describe_topic(specs.Topic(name=topic_name, message_retention_duration=week))
        if name in self.state.subscriptions:
            raise errors.ConflictError(f"subscription {name} exists")
        self.state.describe_subscription(specs.Subscription(name=name, topic=topic_name, **options))
        return name

    @property
    def dropped(self) -> Sequence[drops.Dropped]:
        """Events that were taken and not delivered."""
        return tuple(self.state.broker.dropped)


@contextlib.asynccontextmanager
async def serve(
    clock: clocks.Clock,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    http_port: int = 0,
    drop: drops.Share = drops.NOTHING,
) -> AsyncIterator[Server]:
    """Serve Pub/Sub while the block runs.

    Args:
        clock: what deadlines, retention and pauses are counted by.
        host: address to listen on.
        port: of gRPC; 0 takes a free one.
        http_port: of the keys; 0 takes a free one.
        drop: which events to take and not deliver.

    Raises:
        StorageError: an address cannot be had; says why.
    """
    state = states.State(clock, drop)
    signer = await asyncio.to_thread(tokens.Signer, clock)
    async with contextlib.AsyncExitStack() as stack:
        site = _site(state, signer)
        url = await stack.enter_async_context(http_server.serving(site, host=host, port=http_port))
        # A proxy of the environment has no part in what stays on this machine.
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        address = await stack.enter_async_context(_grpc(state, host=host, port=port))
        pushing = asyncio.ensure_future(pubsub_push.Pushing(state, signer, client).run())
        try:
            yield Server(address, url, state, signer)
        finally:
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)


@contextlib.asynccontextmanager
async def _grpc(state: states.State, *, host: str, port: int) -> AsyncIterator[str]:
    server = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
            ("grpc.so_reuseport", 0),
        )
    )
    streaming = pubsub_stream.Streaming(state).handle
    server.add_generic_rpc_handlers(pubsub_rpc.handlers(state, streaming))
    try:
        bound = server.add_insecure_port(http_server.address(host, port))
    except RuntimeError as error:
        raise errors.StorageError(
            f"{host}:{port}: cannot listen there: choose another --port-base"
        ) from error
    await server.start()
    try:
        yield http_server.address(host, bound)
    finally:
        await server.stop(STOP_S)


def _site(state: states.State, signer: tokens.Signer) -> applications.Starlette:
    async def keys(_request: requests.Request) -> responses.Response:
        return responses.JSONResponse(signer.jwks())

    async def dropped(_request: requests.Request) -> responses.Response:
        return drops.answer(state.broker.dropped)

    routes: list[Any] = [
        routing.Route(JWKS_PATH, keys),
        routing.Route(drops.PATH, dropped),
    ]
    return applications.Starlette(routes=routes)
