"""The demo as a whole: a server and a shop in one process, ended by one signal."""

import asyncio
import contextlib
import functools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from helios import app, client
from helios.access import local
from helios.demo import board as boards
from helios.demo import doors, drive
from helios.demo.world import script as scripts
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.kernel import settings as config

FOLDER = "demo"
"""Folder below that of the data, with the files of the stacks and the keys of senders."""


def root(settings: config.Settings) -> Path:
    """The folder with the files of the world, which sites are built below."""
    return settings.builds_root or settings.data_dir / FOLDER


def access(url: str, data_dir: Path) -> client.Client:
    """The client that all of the demo speaks through."""
    return client.Client(url, token=local.read(data_dir))


def page(served: app.Served) -> str:
    """The address to open in a browser: of the page, with what lets its reader in."""
    return served.link or served.url


async def run(
    settings: config.Settings,
    plan: drive.Plan,
    *,
    clock: clocks.Clock,
    screen: drive.Screen,
    started: Callable[[app.Served], None],
) -> boards.Board:
    """Serve, sell until the plan's end or the first signal, follow the open orders to their end.

    The second signal does not wait for them.

    Args:
        settings: what to serve, and where.
        plan: the load.
        clock: whose time passes.
        screen: who shows it.
        started: called once the server answers.

    Returns:
        The last board; orders that are still `open` in its score were left alone.

    Raises:
        StorageError: the server could not be started, or stopped by itself; says why.
    """
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[None] = loop.create_future()
    announced: asyncio.Future[app.Served] = loop.create_future()
    serving = asyncio.ensure_future(
        app.serve(settings, announce=announced.set_result, stopping=stopping)
    )
    first: list[asyncio.Future[Any]] = [serving, announced]
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        raise _stopped(serving)
    try:
        url = announced.result().url
        started(announced.result())
        keys = root(settings) / "keys"
        async with (
            access(url, settings.data_dir) as helios,
            doors.Senders(url, keys, clock=clock) as senders,
        ):
            driver = drive.Driver(
                helios,
                plan,
                clock=clock,
                screen=screen,
                senders=senders,
                world=functools.partial(
                    scripts.played, root(settings), helios, clock=clock, seed=plan.seed
                ),
            )
            return await _driven(driver, serving)
    finally:
        if not serving.done():
            stopping.set_result(None)
            await serving


async def _driven(driver: drive.Driver, serving: "asyncio.Future[int]") -> boards.Board:
    leaving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    driving = asyncio.ensure_future(driver.run())
    with _signals(driver.close, leaving):
        any_of: list[asyncio.Future[Any]] = [driving, serving, leaving]
        await asyncio.wait(any_of, return_when=asyncio.FIRST_COMPLETED)
    if driving.done():
        return driving.result()
    driving.cancel()
    await asyncio.wait([driving])
    if serving.done():
        raise _stopped(serving)
    return await driver.look()


@contextlib.contextmanager
def _signals(close: Callable[[], None], leaving: "asyncio.Future[None]") -> Iterator[None]:
    """The first SIGINT or SIGTERM closes the shop, the second leaves at once."""
    loop = asyncio.get_running_loop()
    told: list[signal.Signals] = []

    def act(number: signal.Signals) -> None:
        told.append(number)
        if len(told) == 1:
            close()
        elif not leaving.done():
            leaving.set_result(None)

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, act, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _stopped(serving: "asyncio.Future[int]") -> errors.HeliosError:
    """Why the server has ended that nobody had told to."""
    error = serving.exception()
    if isinstance(error, errors.HeliosError):
        return error
    if error is not None:
        raise error
    return errors.StorageFailedError("the server stopped by itself; its log says why")
