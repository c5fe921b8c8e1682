"""`helios demo-clouds`."""

import asyncio
import signal
from collections.abc import Sequence

import click

from helios import app
from helios.cli import output as outputs
from helios.cli import serve
from helios.demo.clouds import drops, offers, run
from helios.kernel import clock as clocks
from helios.kernel import errors, logs

PORT_BASE = 8440
PORT_MAX = 65_535 - 3


def _only(_context: click.Context, _option: click.Parameter, value: str) -> tuple[str, ...]:
    """Names of clouds, in the order in which they are started."""
    asked = {name.strip() for name in value.split(",") if name.strip()}
    if not asked or not asked <= set(offers.NAMES):
        raise click.BadParameter(f"expected some of {','.join(offers.NAMES)}")
    return tuple(name for name in offers.NAMES if name in asked)


def _drop(_context: click.Context, _option: click.Parameter, value: str) -> drops.Share:
    """A share of events."""
    try:
        return drops.parse(value)
    except errors.InvalidInputError as error:
        raise click.BadParameter(str(error)) from None


@click.command("demo-clouds")
@click.option(
    "--only",
    default=",".join(offers.NAMES),
    show_default=True,
    callback=_only,
    help="Which clouds.",
)
@click.option(
    "--topic",
    "topics",
    multiple=True,
    default=("orders",),
    show_default=True,
    help="A topic that each of them gets, with a subscription. May be repeated.",
)
@click.option(
    "--drop",
    default="0",
    show_default=True,
    callback=_drop,
    metavar="SHARE",
    help="Take and do not deliver so many events of each topic, such as 1/100.",
)
@click.option(
    "--port-base",
    type=click.IntRange(0, PORT_MAX),
    default=PORT_BASE,
    show_default=True,
    help="First of four ports; 0 takes free ones.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@outputs.option
def demo_clouds(
    *,
    only: tuple[offers.Name, ...],
    topics: tuple[str, ...],
    drop: drops.Share,
    port_base: int,
    host: str,
    output: outputs.Format,
) -> int:
    """Try AWS, Google Cloud and Azure without an account.

    Serves EventBridge with SQS, Pub/Sub, and Event Grid on this machine until Ctrl-C. The vendors'
    own SDKs talk to them. What they hold is gone when they stop. Needs `pip install
    'helios[clouds]'`.

    Dropped events are not lost: a replay in EventBridge, a seek in Pub/Sub and the dead letters of
    Event Grid have them.

    \b
    Examples:
      helios demo-clouds
      helios demo-clouds --only gcp --topic orders --topic payments
      helios demo-clouds --drop 1/100 --port-base 0 -o json
    """  # noqa: D301 - click reads \b as the character
    logs.configure("warning", "auto")
    plan = run.Plan(only=only, topics=topics, host=host, port_base=port_base, drop=drop)
    try:
        app.on_loop(_until_told(plan, output))
    except errors.StorageError as error:
        click.echo(f"helios: {' '.join(str(error).splitlines())}", err=True)
        return serve.EXIT_NOT_STARTED
    return 0


async def _until_told(plan: run.Plan, output: outputs.Format) -> None:
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopping.done():
            stopping.set_result(None)

    def started(clouds: list[offers.Cloud]) -> None:
        _show(clouds, output)

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        await run.run(plan, clock=clocks.SystemClock(), started=started, stopping=stopping)
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _show(clouds: Sequence[offers.Cloud], output: outputs.Format) -> None:
    if output != "table":
        outputs.show(clouds, output, rows=(), columns=())
        return
    for cloud in clouds:
        click.echo(f"{_TITLES[cloud.name]} at {cloud.endpoint}")
        for name, value in cloud.environment.items():
            click.echo(f"  export {name}={value}")
        for what, lines in (("publish to", cloud.publish), ("fetch from", cloud.sources)):
            for topic, line in lines.items():
                click.echo(f"  # {what} {topic}:\n  {line}")
        click.echo(f"  # alive, and what was dropped: {cloud.dropped}\n")
    click.echo("A server calls addresses of this machine only if it is told so:")
    click.echo("  HELIOS_OUTBOUND_ALLOW=127.0.0.0/8 helios serve\n")
    click.echo("Ctrl-C stops them.")


_TITLES: dict[offers.Name, str] = {
    "aws": "AWS (EventBridge, SQS)",
    "gcp": "Google Cloud Pub/Sub",
    "azure": "Azure Event Grid",
}
