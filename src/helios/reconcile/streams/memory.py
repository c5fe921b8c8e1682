"""What a fold remembers between snapshots, as rows.

The first part says which contracts run and how far time has come for each; the others hold open
windows, some thousand each.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from helios.kernel import errors
from helios.projections import ports
from helios.reconcile.streams import live, times
from helios.reconcile.streams.running import Running

STATES_PER_PART = 2_000


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """A running contract, without its windows."""

    id: int
    tenant: str
    name: str
    newest: int
    withdrawn: bool
    n: int
    versions: list[tuple[int, times.Progress]]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first part: everything up to `position` is in the parts."""

    position: int
    contracts: list[Remembered]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Open windows of one version."""

    contract: int
    version: int
    states: list[live.Kept]


class Rememberer(Protocol):
    """Who is given back what was remembered."""

    async def select(self, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        """Read from the copy that is being folded."""
        ...

    async def adopt(self, header: Remembered) -> Running:
        """Take a contract back."""
        ...

    async def admit(self, running: Running, number: int, kept: Sequence[live.Kept]) -> None:
        """Take open windows of a version back."""
        ...


_encode = msgspec.msgpack.Encoder().encode
_header = msgspec.msgpack.Decoder(Header).decode
_part = msgspec.msgpack.Decoder(Part).decode


def parts(position: int, contracts: Iterable[Running]) -> Iterator[bytes]:
    """All parts of a snapshot taken after the event at `position`."""
    listed = list(contracts)
    header = Header(
        position=position,
        contracts=[
            Remembered(
                id=running.id,
                tenant=running.tenant,
                name=running.name,
                newest=running.newest,
                withdrawn=running.withdrawn,
                n=running.n,
                versions=[(v.number, v.engine.progress()) for v in running.versions.values()],
            )
            for running in listed
        ],
    )
    yield _encode(header)
    for running in listed:
        for version in running.versions.values():
            legs = len(version.program.legs)
            states = [live.keep(state, legs) for state in version.engine.open.values()]
            for at in range(0, len(states), STATES_PER_PART):
                part = states[at : at + STATES_PER_PART]
                yield _encode(Part(contract=running.id, version=version.number, states=part))


async def load(target: Rememberer) -> int:
    """Give a fold back what it remembered; returns the position up to which that goes.

    Raises:
        CorruptionError: the rows cannot be read.
    """
    found = await target.select("SELECT part, data FROM {t}memory ORDER BY part")
    if not found:
        return 0
    try:
        header = _header(found[0][1])
        running = {each.id: await target.adopt(each) for each in header.contracts}
        for _, data in found[1:]:
            part = _part(data)
            await target.admit(running[part.contract], part.version, part.states)
    except (msgspec.MsgspecError, KeyError) as error:
        raise errors.CorruptionError(
            "the memory of view verdicts cannot be read: "
            "rebuild it (`helios views rebuild verdicts`)"
        ) from error
    return header.position
