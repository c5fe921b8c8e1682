"""Every vector of the shared set comes to the real door: it does what `explain` says, once."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.ingest import captured, doors, explain, known, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound
from helios.providers import ports
from helios.testing import gate_bench as kit

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("HELIOS_SHARED", ROOT.parent / "shared")) / "vectors"
FILES = sorted(
    file for file in FOLDER.glob("*/*.json") if file.parent.name != "schema-compat"
)  # fmt: skip
AT_ONCE = 50


class Documents:
    """Answers calls with what the file says lies there."""

    def __init__(self, setting: captured.Setting) -> None:
        self.known = setting.documents
        self.asked: list[str] = []

    async def permit(self, url: str) -> None:
        """Every address is public here."""

    async def send(self, call: outbound.Call) -> outbound.Answer:
        self.asked.append(call.url)
        found = self.known.get(call.url, ports.Document(status=404))
        return outbound.Answer(status=found.status, headers={}, body=found.body)


def _head(delivery: ports.Delivery) -> doors.Head:
    async def read(bytes_max: int, grew: Callable[[int], None]) -> bytes:
        grew(len(delivery.body))
        if len(delivery.body) > bytes_max:
            raise errors.TooLargeError("too large")
        return delivery.body

    return doors.Head(
        method=delivery.method,
        headers=delivery.headers,
        read=read,
        path=delivery.path,
        encoding=None,
    )


async def _posted(setting: captured.Setting, now: clocks.Timestamp, explained: str) -> None:
    async with kit.place() as place:
        place.clock.time = now
        source, client = setting.source, Documents(setting)
        declared = sources.Declared(
            name=source.name, client_id=source.tenant, provider=setting.provider.name
        )
        found = sources.Found(declared=declared, source=source, provider=setting.provider)
        door = doors.Doors(
            known.Known(found), place.gate, client, clock=place.clock, meter=place.counts
        )
        statuses = set()
        for count in (1, 1, AT_ONCE):
            knocks = (
                door.deliver(source.tenant, source.name, _head(setting.delivery))
                for _ in range(count)
            )
            statuses |= {answer.status for answer in await asyncio.gather(*knocks)}
        answers = setting.provider.answers
        events = len(await place.events())
        assert place.counts.adds_up
        await door.close()
        if explained == "accept":
            assert (events, statuses) == (1, {answers.stored})
        elif explained == "handshake":
            assert (events, statuses) == (0, {200})
        else:
            assert (events, statuses) == (0, {answers.unauthenticated})
            assert set(client.asked) <= set(setting.documents)


def _ids(file: Path | None) -> str:
    return "none" if file is None else file.stem


@pytest.mark.shared_data
@pytest.mark.parametrize("file", FILES or [None], ids=_ids)
def test_a_vector_posted_many_times_and_at_once_is_one_event_or_none(file: Path | None) -> None:
    if file is None:
        pytest.skip(f"no vectors at {FOLDER}: set HELIOS_SHARED to the folder that holds them")
    read = captured.read(file.read_bytes(), file=file.name)
    setting = captured.setting(read, file=file.name)
    now = setting.now if setting.now is not None else kit.NOW
    found = explain.explain(read, now, file=file.name)
    asyncio.run(_posted(setting, now, found.outcome))
