"""A process that appends to a log in PostgreSQL until it is killed.

Called with a database URL and its name. Each line it prints is the id of an event that the log
has acknowledged; the test that started it holds the log to them.
"""

import asyncio
import itertools
import sys

from helios.drivers.postgres import log_storage
from helios.eventlog import envelope, log
from helios.kernel import clock

CALLERS = 4


def made(name: str, caller: int, turn: int, nth: int) -> envelope.NewEvent:
    return envelope.NewEvent(
        id=f"{name}.{caller}.{turn}.{nth}",
        source="writer",
        type="Counted",
        occurred_at=clock.Timestamp(turn),
        aggregate_type="counter",
        aggregate_id=f"{name}.{caller}.{turn // 4}",
        payload=b'{"turn":%d}' % turn,
    )


async def call(a_log: log.Log, name: str, caller: int) -> None:
    for turn in itertools.count():
        events = [made(name, caller, turn, nth) for nth in range((1, 3, 20)[turn % 3])]
        appended = await a_log.append(events)
        assert not any(appended.duplicates), "appended twice"
        sys.stdout.write("".join(f"{event.id}\n" for event in events))
        sys.stdout.flush()


async def main(url: str, name: str) -> None:
    time = clock.SystemClock()
    storage = log_storage.PostgresLogStorage(url, time)
    a_log = log.Log(storage, time)
    await a_log.open()
    await asyncio.gather(*(call(a_log, name, caller) for caller in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
