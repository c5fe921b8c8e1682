"""`helios apply -f`: declare all that files hold, each document to whom it belongs."""

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import click
import msgspec

from helios import client as clients
from helios.cli import naming, plan_text, session
from helios.cli import output as outputs
from helios.fanout import subscriber
from helios.ingest import declaring
from helios.kernel import errors, yamldoc
from helios.reconcile.builds import site
from helios.reconcile.compositions import composition, document, policy
from helios.reconcile.streams import contract

_COLUMNS = ("kind", "name", "client_id", "version", "result", "file")
STACKS = "blackwell.io/v1"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A document of a file; `parsed` where it is about a stack."""

    file: str
    kind: str
    text: str
    parsed: composition.Composition | policy.Policy | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a document; `changes` are lines for people."""

    kind: str
    name: str
    client_id: str
    version: str | None
    result: str
    file: str
    changes: list[str] = []


@click.command()
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    required=True,
    type=click.Path(allow_dash=True),
    help="YAML or JSON, of several documents too; may be given several times.",
)
@click.option("--dry-run", is_flag=True, help="Check, show what would change, declare nothing.")
@click.option("--allow-removals", is_flag=True, help="Also where many components are removed.")
@click.option("--note", help="For people, kept with the version.")
@naming.actor
@session.options
@outputs.option
def apply(
    where: session.Where,
    output: outputs.Format,
    *,
    files: tuple[str, ...],
    dry_run: bool,
    allow_removals: bool,
    note: str | None,
    actor: str | None,
) -> None:
    """Declare what files hold: compositions and their policies, and sources, sites, subscribers
    and contracts too.

    All of it is checked before any of it is declared. What needs others comes after them.

    \b
    Examples:
      helios apply -f blackwell.yaml
      helios apply -f blackwell.yaml -f policy.yaml --note "second shop"
      helios apply -f blackwell.yaml --dry-run
    """  # noqa: D301 - click reads \b as the character and wraps the first sentence
    run(
        where,
        output,
        files,
        dry_run=dry_run,
        allow_removals=allow_removals,
        note=note,
        actor=actor,
    )


def run(
    where: session.Where,
    output: outputs.Format,
    files: Sequence[str],
    *,
    dry_run: bool,
    allow_removals: bool,
    note: str | None,
    actor: str | None,
) -> None:
    """Declare what files hold, and print what became of it."""
    found = sorted(
        itertools.chain.from_iterable(_read(file) for file in files),
        key=lambda each: _ORDER.index(each.kind),
    )
    asked = _Asked(
        dry_run=dry_run,
        allow_removals=allow_removals,
        note=note,
        actor=actor,
        here=frozenset(_name(each) for each in found if each.kind == composition.KIND),
    )

    async def call(helios: clients.Client) -> list[Done]:
        return [await _declared(helios, each, asked) for each in found]

    done = naming.ask(where, call)
    rows = [outputs.plain(each) for each in done]
    outputs.show(done, output, rows=rows, columns=_COLUMNS)
    if output == "table":
        for each in done:
            if each.changes:
                click.echo(f"\n{each.client_id}/{each.name}:")
                click.echo("\n".join(each.changes))


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How to declare; `here` are the stacks that are declared along with it."""

    dry_run: bool
    allow_removals: bool
    note: str | None
    actor: str | None
    here: frozenset[tuple[str, str]]


def _name(found: Found) -> tuple[str, str]:
    """Client and name of the stack that a document is about."""
    assert found.parsed is not None
    return found.parsed.client_id, found.parsed.stack_id


def _read(file: str) -> list[Found]:
    """The documents of a file, checked.

    Raises:
        InvalidInputError: one is broken, or of a kind that is not known; names file and line.
    """
    text = session.whole_text(file)
    found = []
    for node, own in yamldoc.parse_all(text, source=file):
        kind = _kind(node)
        line = _line(node)
        # Lines are told as they are in the file.
        placed = "\n" * line + own
        if kind in (*_STACKS, document.RECORD_KIND):
            found += _about_stacks(file, placed)
        else:
            _CHECK[kind](placed, source=file)
            found.append(Found(file=file, kind=kind, text=own))
    return found


def _kind(node: yamldoc.Node) -> str:
    fields = dict(node.items()) if node.is_mapping else {}
    if "kind" not in fields:
        raise node.error(f"field 'kind' is missing; expected one of {', '.join(_ORDER)}")
    return fields["kind"].choice((*_ORDER, document.RECORD_KIND))


def _line(node: yamldoc.Node) -> int:
    return max(0, (node.error("").line or 1) - 1)


def _about_stacks(file: str, text: str) -> list[Found]:
    return [
        Found(file=file, kind=_kind_of(each), text=each.text, parsed=each)
        for each in document.parse_file(text, source=file)
    ]


def _kind_of(each: composition.Composition | policy.Policy) -> str:
    return composition.KIND if isinstance(each, composition.Composition) else policy.KIND


async def _declared(helios: clients.Client, found: Found, asked: _Asked) -> Done:
    try:
        return await _DECLARE[found.kind](helios, found, asked)
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(str(error), source=found.file) from error


async def _stack(helios: clients.Client, found: Found, asked: _Asked) -> Done:
    done = await helios.apply_stack(
        *_name(found),
        found.text,
        dry_run=asked.dry_run,
        allow_removals=asked.allow_removals,
        note=asked.note,
        actor=asked.actor,
    )
    return Done(
        kind=found.kind,
        name=done.stack_id,
        client_id=done.client_id,
        version=done.state_version,
        result=outputs.declared(done),
        file=found.file,
        changes=plan_text.declared(done.added, done.changed, done.removed),
    )


async def _policy(helios: clients.Client, found: Found, asked: _Asked) -> Done:
    client_id, stack_id = _name(found)
    try:
        done = await helios.set_reconciliation_policy(
            client_id, stack_id, found.text, dry_run=asked.dry_run, actor=asked.actor
        )
    except errors.NotFoundError:
        # Of a dry run nothing is left that its second document could be about.
        if not (asked.dry_run and (client_id, stack_id) in asked.here):
            raise
        return Done(
            kind=found.kind,
            name=stack_id,
            client_id=client_id,
            version=None,
            result="valid",
            file=found.file,
        )
    return _done(found, done, done.stack_id, None)


async def _source(helios: clients.Client, found: Found, asked: _Asked) -> Done:
    (done,) = (await helios.declare_sources(found.text, dry_run=asked.dry_run)).sources
    return _done(found, done, done.name, done.version)


async def _site(helios: clients.Client, found: Found, asked: _Asked) -> Done:
    done = await helios.declare_site(found.text, dry_run=asked.dry_run)
    return _done(found, done, done.name, done.version)


async def _subscriber(helios: clients.Client, found: Found, asked: _Asked) -> Done:
    done = await helios.declare_subscriber(found.text, dry_run=asked.dry_run)
    return _done(found, done, done.name, done.version)


async def _contract(helios: clients.Client, found: Found, asked: _Asked) -> Done:
    done = await helios.declare(found.text, dry_run=asked.dry_run)
    return _done(found, done, done.name, done.version)


def _done(found: Found, done: Any, name: str, version: int | None) -> Done:
    return Done(
        kind=found.kind,
        name=name,
        client_id=done.client_id,
        version=None if version is None else str(version),
        result=outputs.declared(done),
        file=found.file,
    )


class _Check(Protocol):
    """Checks a document; raises InvalidInputError with its place."""

    def __call__(self, text: str, /, *, source: str | None) -> object: ...


_CHECK: Mapping[str, _Check] = {
    "Source": declaring.parse,
    "StreamContract": contract.parse,
    "Site": site.parse,
    "Subscriber": subscriber.parse,
}
_Declare = Callable[[clients.Client, Found, _Asked], Awaitable[Done]]
_DECLARE: Mapping[str, _Declare] = {
    "Source": _source,
    "StreamContract": _contract,
    "Site": _site,
    "Subscriber": _subscriber,
    composition.KIND: _stack,
    policy.KIND: _policy,
}
_ORDER = tuple(_DECLARE)
"""In which order kinds are declared: what needs others comes after them."""
_STACKS = (composition.KIND, policy.KIND)
