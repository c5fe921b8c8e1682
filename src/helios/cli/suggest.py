"""`helios contracts suggest`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence

import click

from helios import app
from helios.cli import output as outputs
from helios.cli import reconcile, session
from helios.drivers.files import readers
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import durations, errors
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import lines as feeds
from helios.reconcile.streams import live, offline, program
from helios.reconcile.streams import suggest as suggestions

_COLUMNS = ["leg", "keys", "missing", "p50", "p90", "p95", "p99", "max", "within", "late", "fits"]


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "-c", "--contract", "contract_path", required=True, metavar="YAML", help="The contract."
)
@click.option(
    "--leg",
    "bindings",
    multiple=True,
    metavar="NAME=FILE",
    help="A file all of whose rows are events of this leg; may be given several times.",
)
@session.options
@outputs.option
def suggest(
    where: session.Where,
    output: outputs.Format,
    files: tuple[str, ...],
    contract_path: str,
    bindings: tuple[str, ...],
) -> None:
    """See how long legs take in FILEs, or in the log, and propose windows that fit.

    For each leg the delay after the anchor is shown by quantiles, with the share that comes later
    than the contract waits now. Proposed is what 99 of 100 keys need, rounded up.

    \b
    Examples:
      helios contracts suggest -c shop.yaml orders.jsonl.zst payments.csv
      helios contracts suggest -c shop.yaml --leg order=shop.csv --leg payment=bank.csv
      helios contracts suggest -c shop.yaml --data-dir helios-data
    """  # noqa: D301 - click reads \b as the character
    contract = reconcile.read_contract(contract_path)
    if files or bindings:
        found = _of_files(contract, files, bindings)
    else:
        found = asyncio.run(_of_log(contract, where))
    if not found.keys:
        raise errors.InvalidInputError("no event that the contract wants was found")
    outputs.show(found, output, rows=[_row(leg) for leg in found.legs], columns=_COLUMNS)
    if output == "table":
        sampled = "" if found.share == 1 else f", a sample of {found.share:.3%} of all"
        click.echo(f"\n{found.keys:,} keys{sampled}; delays after {found.anchor}\n")
        click.echo(found.patch or "too few keys to propose anything", nl=not found.patch)


def _of_files(
    contract: contracts.Contract, files: Sequence[str], bindings: Sequence[str]
) -> suggestions.Suggestion:
    legs = reconcile.read_bindings(bindings, [leg.name for leg in contract.legs])
    inputs = readers.open_inputs(files, legs, stdin=sys.stdin.buffer)
    rejected: list[feeds.Reject] = []
    found = offline.observe(contract, iter(inputs), on_reject=rejected.append)
    if rejected:
        first = rejected[0]
        rest = f" and {len(rejected) - 1} more" if len(rejected) > 1 else ""
        click.echo(f"helios: {first.source}:{first.line}: {first.reason}{rest}", err=True)
    return found


async def _of_log(contract: contracts.Contract, where: session.Where) -> suggestions.Suggestion:
    compiled = program.Program(contract)
    observer = suggestions.Observer(compiled)
    decoder = live.PayloadDecoder(compiled)
    wanted = envelope.Filter(tenant=contract.tenant, types=tuple(sorted(compiled.types)))
    async with app.reading(where.resolve().settings) as storage:
        async for event in _events(storage, wanted):
            bound = compiled.leg_of(event.source, event.type)
            if bound is None:
                continue
            try:
                seen = decoder.seen(event, bound)
            except errors.InvalidInputError:
                continue
            observer.add(live.key_of(seen.h_payload, bound), bound.index, seen.h_time)
    return observer.suggestion()


async def _events(
    storage: log_ports.LogStorage, where: envelope.Filter
) -> AsyncIterator[envelope.Event]:
    after = envelope.Position(0)
    while True:
        page = await storage.read(after, 1_000, where)
        for event in page.events:
            yield event
        if page.next_after >= page.head:
            return
        after = page.next_after


def _row(leg: suggestions.LegDelays) -> dict[str, str]:
    def text(value: int | None) -> str:
        return "" if value is None else durations.to_text(_rounded(value))

    return {
        "leg": leg.leg,
        "keys": f"{leg.keys:,}",
        "missing": f"{leg.missing:,}",
        "p50": text(leg.p50),
        "p90": text(leg.p90),
        "p95": text(leg.p95),
        "p99": text(leg.p99),
        "max": text(leg.max),
        "within": durations.to_text(leg.within),
        "late": f"{leg.too_late:.1%}",
        "fits": text(leg.proposed),
    }


def _rounded(us: int) -> int:
    """To what people read: seconds from a minute on, minutes from a day on."""
    for above, step in ((86_400_000_000, 60_000_000), (60_000_000, 1_000_000)):
        if us >= above:
            return round(us / step) * step
    return round(us / 1_000) * 1_000
