"""Passwords: which are taken, and how they are checked."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Literal, TypeVar

import argon2
import pytest

from helios.access import passwords
from helios.kernel import errors, offload
from helios.testing import access_bench, memory_keep

T = TypeVar("T")


@pytest.mark.parametrize(
    ("password", "names"),
    [
        ("short", ()),
        ("x" * 1_025, ()),
        ("", ()),
        ("with a \0 in it", ()),
        ("half a \ud800 character", ()),
        ("1111111111", ()),
        ("alexandria", ("alexandria", "")),
        ("Alexandria", ("alexandria", "")),
        ("alexandria-2026", ("alexandria", "")),
        ("alice alice", ("alice", "")),
        ("Alice Liddell", ("al", "Alice Liddell")),
    ],
)
def test_what_anybody_could_guess_is_refused_and_not_repeated(
    password: str, names: tuple[str, ...]
) -> None:
    with pytest.raises(errors.InvalidInputError) as refusal:
        passwords.check(password, *names)
    assert not password or password not in str(refusal.value)


@pytest.mark.parametrize(
    "password", ["x1y2z3 4 five", "correct horse battery", "пароль из слов", "x" * 1_024]
)
def test_a_sentence_is_taken(password: str) -> None:
    passwords.check(password, "alice", "Alice Liddell")


class Counting:
    """Notes how many calls run at once, over all of its threads."""

    now = most = 0
    lock = threading.Lock()

    def __init__(self) -> None:
        self._thread = offload.ThreadOffload("counting")

    async def run(self, name: str, call: Callable[[], T], /) -> T:
        def counted() -> T:
            with self.lock:
                Counting.now += 1
                Counting.most = max(Counting.most, Counting.now)
            try:
                time.sleep(0.002)
                return call()
            finally:
                with self.lock:
                    Counting.now -= 1

        return await self._thread.run(name, counted)

    def close(self) -> None:
        self._thread.close()


def made(hasher: argon2.PasswordHasher | None = access_bench.CHEAP) -> passwords.Passwords:
    threads = [Counting() for _ in range(passwords.AT_ONCE)]
    return passwords.Passwords(memory_keep.MemoryKeep(), threads, hasher)


def test_no_more_than_two_are_checked_at_once_and_few_wait() -> None:
    async def main() -> None:
        Counting.most = 0
        desk = made()
        await desk.set("u", "correct horse battery")
        found = await asyncio.gather(
            *(desk.fits("u", "correct horse battery") for _ in range(60)), return_exceptions=True
        )
        assert Counting.most == passwords.AT_ONCE
        assert found.count(True) == passwords.WAITING_MAX
        refused = [each for each in found if isinstance(each, errors.OverloadError)]
        assert len(refused) == 60 - passwords.WAITING_MAX

    asyncio.run(main())


def test_a_name_that_nobody_has_is_as_much_work() -> None:
    async def main() -> None:
        calls: list[str] = []

        class Hasher(argon2.PasswordHasher):
            def verify(
                self,
                hash: str | bytes,  # noqa: A002 - the library's name
                password: str | bytes,
            ) -> Literal[True]:
                calls.append(str(hash).rpartition("$")[0].rpartition("$")[0])
                return super().verify(hash, password)

        desk = made(Hasher(time_cost=1, memory_cost=8, parallelism=1))
        await desk.set("u", "correct horse battery")
        assert await desk.fits("u", "correct horse battery")
        assert not await desk.fits("u", "wrong horse battery")
        assert not await desk.fits(None, "correct horse battery")
        assert not await desk.fits("without", "correct horse battery")
        assert not await desk.fits("u", "x" * 5_000)
        # Not even whoever knows what stands for nobody's password is let in by it.
        assert not await desk.fits(None, "the password of nobody")
        assert len(calls) == 6
        assert len(set(calls)) == 1

    asyncio.run(main())


def test_what_was_hashed_by_less_is_hashed_anew_when_it_is_shown() -> None:
    async def main() -> None:
        keep = memory_keep.MemoryKeep()
        threads = [offload.ThreadOffload("one")]
        stronger = argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
        await passwords.Passwords(keep, threads, access_bench.CHEAP).set("u", "correct horse")
        before = await keep.get(passwords.KIND, "u")
        desk = passwords.Passwords(keep, threads, stronger)
        assert not await desk.fits("u", "wrong horse")
        assert await keep.get(passwords.KIND, "u") == before
        assert await desk.fits("u", "correct horse")
        after = await keep.get(passwords.KIND, "u")
        assert after is not None
        assert b"m=16,t=2" in after
        assert await desk.fits("u", "correct horse")
        threads[0].close()

    asyncio.run(main())


def test_the_real_hash_is_argon2id_as_rfc_9106_has_it() -> None:
    async def main() -> None:
        keep = memory_keep.MemoryKeep()
        thread = offload.ThreadOffload("one")
        desk = passwords.Passwords(keep, [thread])
        await desk.set("u", "correct horse battery")
        assert await desk.fits("u", "correct horse battery")
        kept = await keep.get(passwords.KIND, "u")
        assert kept is not None
        assert kept.startswith(b"$argon2id$v=19$m=65536,t=3,p=4$")
        thread.close()

    asyncio.run(main())


def test_a_damaged_hash_lets_nobody_in() -> None:
    async def main() -> None:
        keep = memory_keep.MemoryKeep()
        thread = offload.ThreadOffload("one")
        desk = passwords.Passwords(keep, [thread], access_bench.CHEAP)
        for damaged in (b"", b"$argon2id$", b"correct horse battery"):
            await keep.put(passwords.KIND, "u", damaged)
            assert not await desk.fits("u", "correct horse battery")
        thread.close()

    asyncio.run(main())
