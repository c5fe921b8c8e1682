"""Upcasters: old versions lifted on reading, exactly."""

import asyncio

import pytest

from helios.eventlog import envelope, log, upcast
from helios.kernel import errors
from helios.testing import log_samples as samples
from helios.testing import memory_log


def stored(version: int, payload: bytes, event_type: str = "OrderPlaced") -> envelope.Event:
    given = samples.event(1, version=version, payload=payload, type=event_type)
    names = envelope.NewEvent.__struct_fields__
    return envelope.Event(
        position=envelope.Position(9),
        sequence=1,
        recorded_at=samples.T0,
        **{n: getattr(given, n) for n in names},
    )


def rename(payload: upcast.Payload) -> upcast.Payload:
    payload["total"] = payload.pop("amount")
    return payload


def add_currency(payload: upcast.Payload) -> upcast.Payload:
    return {**payload, "currency": "EUR"}


def registry() -> upcast.Upcasters:
    upcasters = upcast.Upcasters()
    upcasters.add("OrderPlaced", 1, rename)
    upcasters.add("OrderPlaced", 2, add_currency)
    return upcasters


def test_an_event_is_lifted_over_all_versions() -> None:
    (lifted,) = registry().lift([stored(1, b'{"amount":5}')])
    assert (lifted.version, lifted.data()) == (3, {"total": 5, "currency": "EUR"})
    (lifted,) = registry().lift([stored(2, b'{"total":5}')])
    assert (lifted.version, lifted.data()) == (3, {"total": 5, "currency": "EUR"})


def test_current_versions_and_other_types_stay_the_same_object() -> None:
    given = [stored(3, b"{}"), stored(1, b"{}", "Other"), stored(99, b"{}")]
    assert all(a is b for a, b in zip(registry().lift(given), given, strict=True))
    assert upcast.NONE.lift(given) is given


def test_numbers_survive_unrounded() -> None:
    payload = b'{"amount":12.3400,"big":123456789012345678901234567890,"small":1e-7}'
    (lifted,) = registry().lift([stored(1, payload)])
    assert b'"total":12.3400' in lifted.payload
    assert b'"big":123456789012345678901234567890' in lifted.payload


def test_a_failing_upcaster_names_type_version_and_position() -> None:
    with pytest.raises(
        errors.CorruptionError, match=r"OrderPlaced version 1 at position 9.*KeyError"
    ):
        registry().lift([stored(1, b"{}")])


def test_a_step_is_registered_once_and_from_version_1() -> None:
    upcasters = registry()
    with pytest.raises(ValueError, match="two upcasters for OrderPlaced from version 1"):
        upcasters.add("OrderPlaced", 1, rename)
    with pytest.raises(ValueError, match="begin at 1"):
        upcasters.add("OrderPlaced", 0, rename)


def test_a_log_lifts_on_every_way_of_reading_and_stores_nothing_new() -> None:
    async def scenario() -> None:
        storage = memory_log.MemoryLogStorage()
        a_log = log.Log(storage, samples.SteppedClock(), upcasters=registry())
        await a_log.open()
        await a_log.append([samples.event(1, payload=b'{"amount":5}')])
        page = await a_log.read(envelope.Position(0))
        found = await a_log.find("default", "shop", samples.UUID.format(1))
        (at,) = await a_log.read_at([envelope.Position(1)])
        tailed = await anext(a_log.tail(envelope.Position(0)))
        for event in (page.events[0], found, at, tailed.events[0]):
            assert event is not None
            assert event.version == 3
        raw = await storage.find("default", "shop", samples.UUID.format(1))
        assert raw is not None
        assert (raw.version, raw.payload) == (1, b'{"amount":5}')
        await a_log.close()

    asyncio.run(scenario())
