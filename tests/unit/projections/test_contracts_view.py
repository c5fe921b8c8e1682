"""The contracts view: versions, withdrawals, history, and events that are none."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports
from helios.projections.views import contracts
from helios.testing import view_conformance


def said(kind: str, position: int, name: str, *, tenant: str = "acme") -> envelope.Event:
    payload = {"name": name, "client_id": tenant, "version": 1}
    if kind == contracts.DECLARED:
        payload |= {"yaml": f"yaml {position}", "hash": f"hash {position}"}
    return envelope.Event(
        position=envelope.Position(position),
        sequence=1,
        recorded_at=clocks.Timestamp(position * 10),
        id=f"e{position}",
        source="helios",
        type=kind,
        occurred_at=clocks.Timestamp(position),
        aggregate_type="contract",
        aggregate_id=name,
        tenant=tenant,
        payload=json.dumps(payload).encode(),
    )


def declared(position: int, name: str, *, tenant: str = "acme") -> envelope.Event:
    return said(contracts.DECLARED, position, name, tenant=tenant)


def withdrawn(position: int, name: str, *, tenant: str = "acme") -> envelope.Event:
    return said(contracts.WITHDRAWN, position, name, tenant=tenant)


def folded(
    tmp_path: Path,
    events: Sequence[envelope.Event],
    check: Callable[[ports.ViewStore], Coroutine[Any, Any, None]],
) -> None:
    async def test() -> None:
        store = view_store.SqliteViewStore(str(tmp_path / "views.db"))
        async with view_conformance.opened(store) as opened:
            slot = await opened.claim(await opened.create(contracts.VIEW, live=True))
            checkpoint = ports.Checkpoint(position=events[-1].position)
            await opened.commit(slot, folding.fold(contracts.VIEW, events), checkpoint)
            await check(opened)

    asyncio.run(test())


def test_each_declaration_is_the_next_version_of_its_name(tmp_path: Path) -> None:
    events = [
        declared(1, "orders"),
        declared(2, "orders", tenant="other"),
        declared(3, "stock"),
        declared(4, "orders"),
    ]

    async def check(store: ports.ViewStore) -> None:
        assert await contracts.current(store, "acme", "orders") == contracts.Contract(
            client_id="acme",
            name="orders",
            version=2,
            position=envelope.Position(4),
            yaml="yaml 4",
            hash="hash 4",
            declared_at=clocks.Timestamp(40),
            withdrawn_position=None,
        )
        versions = [
            (c.version, c.position) for c in await contracts.history(store, "acme", "orders")
        ]
        assert versions == [(1, 1), (2, 4)]
        found = [(c.client_id, c.name, c.version) for c in await contracts.all_current(store)]
        assert found == [("acme", "orders", 2), ("acme", "stock", 1), ("other", "orders", 1)]
        found = [
            (c.client_id, c.name, c.version) for c in await contracts.all_current(store, "other")
        ]
        assert found == [("other", "orders", 1)]

    folded(tmp_path, events, check)


def test_a_withdrawn_contract_is_history_until_it_is_declared_anew(tmp_path: Path) -> None:
    events = [
        declared(1, "orders"),
        declared(2, "orders"),
        withdrawn(3, "orders"),
        withdrawn(4, "orders"),
        declared(5, "stock"),
        withdrawn(6, "stock"),
        declared(7, "stock"),
        withdrawn(8, "unknown"),
        withdrawn(9, "stock", tenant="other"),
    ]

    async def check(store: ports.ViewStore) -> None:
        with pytest.raises(errors.NotFoundError, match="orders of client acme was withdrawn"):
            await contracts.current(store, "acme", "orders")
        found = await contracts.history(store, "acme", "orders")
        assert [c.withdrawn_position for c in found] == [None, 3]
        assert [c.version for c in await contracts.all_current(store)] == [2]
        stock = await contracts.current(store, "acme", "stock")
        assert (stock.version, stock.is_withdrawn) == (2, False)

    folded(tmp_path, events, check)


def test_an_unknown_contract_is_not_found(tmp_path: Path) -> None:
    async def check(store: ports.ViewStore) -> None:
        with pytest.raises(errors.NotFoundError, match="client acme has no contract other"):
            await contracts.current(store, "acme", "other")
        assert await contracts.history(store, "acme", "other") == []

    folded(tmp_path, [declared(1, "orders")], check)


@pytest.mark.parametrize("kind", [contracts.DECLARED, contracts.WITHDRAWN])
def test_a_payload_without_a_name_cannot_be_applied(kind: str) -> None:
    event = envelope.Event(
        position=envelope.Position(3),
        sequence=1,
        recorded_at=clocks.Timestamp(1),
        id="e3",
        source="helios",
        type=kind,
        occurred_at=clocks.Timestamp(1),
        aggregate_type="contract",
        aggregate_id="orders",
        payload=b"{}",
    )
    with pytest.raises(folding.ApplyError, match=r"e3 .* position 3.*name"):
        folding.fold_or_name(contracts.VIEW, [event])
