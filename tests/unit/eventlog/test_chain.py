"""The hash chain: what it covers, and that its bytes never change."""

import hashlib

import msgspec
import pytest

from helios.eventlog import chain, envelope
from helios.kernel import clock
from helios.testing import log_samples as samples

EVENT = envelope.Event(
    position=envelope.Position(7),
    sequence=2,
    recorded_at=clock.Timestamp(1_767_225_600_000_000),
    id="e-1",
    source="shop",
    type="OrderPlaced",
    occurred_at=clock.Timestamp(-1),
    aggregate_type="order",
    aggregate_id="o-1",
    actor="user:ü",
    correlation_id="c",
    payload=b'{"a":1}',
)


def test_canonical_bytes_are_what_the_documentation_says() -> None:
    expected = [
        7, 2, 1_767_225_600_000_000, "e-1", "shop", "OrderPlaced", 1, "default", "order", "o-1",
        -1, "user:ü", "c", None, b'{"a":1}', b"{}",
    ]  # fmt: skip
    assert msgspec.msgpack.decode(chain.canonical(EVENT)) == expected


def test_canonical_bytes_never_change() -> None:
    digest = hashlib.sha256(chain.canonical(EVENT)).hexdigest()
    assert digest == "46ec185df4586fa4f0a66f58c8409bf14e0350688060ca0c9af42767993fe2ca"


def test_a_commit_has_the_same_hash_written_and_read_back() -> None:
    given = samples.events(range(5))
    rows = [(envelope.Position(n + 1), n, e) for n, e in enumerate(given)]
    names = envelope.NewEvent.__struct_fields__
    back = [
        envelope.Event(
            position=p, sequence=s, recorded_at=samples.T0, **{n: getattr(e, n) for n in names}
        )
        for p, s, e in rows
    ]
    assert chain.link(chain.GENESIS, rows, samples.T0) == chain.relink(chain.GENESIS, back)
    assert chain.link(b"x" * 32, rows, samples.T0) != chain.relink(chain.GENESIS, back)


@pytest.mark.parametrize("field", envelope.Event.__struct_fields__)
def test_the_hash_covers_every_field(field: str) -> None:
    value = getattr(EVENT, field)
    other = {int: 99, str: "other", bytes: b'{"b":2}', type(None): "other"}[type(value)]
    changed = msgspec.structs.replace(EVENT, **{field: other})
    assert chain.relink(chain.GENESIS, [changed]) != chain.relink(chain.GENESIS, [EVENT])


def test_order_and_boundaries_count() -> None:
    second = msgspec.structs.replace(EVENT, position=envelope.Position(8))
    hashes = {
        chain.relink(chain.GENESIS, [EVENT, second]),
        chain.relink(chain.GENESIS, [second, EVENT]),
        chain.relink(chain.relink(chain.GENESIS, [EVENT]), [second]),
    }
    assert len(hashes) == 3
