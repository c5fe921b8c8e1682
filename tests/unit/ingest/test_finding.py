"""Asking a source's provider for events that did not come."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import msgspec
import pytest

from helios.eventlog import envelope
from helios.ingest import directory, finding, kinds, receiving, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, outbound, secret
from helios.providers import base, calling, ports

NOW = clocks.parse_rfc3339("2026-01-10T00:00:00Z")


class Still(clocks.SystemClock):
    def now(self) -> clocks.Timestamp:
        return NOW


class Silent:
    async def send(self, call: outbound.Call) -> outbound.Answer:
        raise AssertionError(f"nobody is to be called: {call.url}")

    async def permit(self, url: str) -> None:
        raise AssertionError(f"nobody is to be called: {url}")


class Vault:
    def find(self, reference: str) -> secret.Secret:
        return secret.Secret(reference)


def event(name: str, event_type: str, order: str) -> ports.Received:
    return ports.Received(
        id=name,
        type=event_type,
        occurred_at=NOW,
        aggregate_type="order",
        aggregate_id=order,
        payload=jsonio.encode({"order": {"code": order}}),
        metadata={"polled": True},
    )


class Deaf(base.Adapter):
    """Cannot be asked."""

    name: ClassVar[str] = "deaf"
    title: ClassVar[str] = "Deaf"
    schemes: ClassVar[tuple[str, ...]] = ("deaf",)
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID


class Shop(Deaf):
    """Looks a key up."""

    name: ClassVar[str] = "shop"
    title: ClassVar[str] = "Shop"

    async def find(self, api: ports.Api, event_type: str, key: str) -> Sequence[ports.Received]:
        assert (api.source.name, api.source.credentials["token"].text) == ("store", "env:TOKEN")
        return [event(f"{event_type}:{key}:{n}", event_type, key) for n in range(200)]


class Diary(Deaf):
    """Lists changes and cannot look one up."""

    name: ClassVar[str] = "diary"
    title: ClassVar[str] = "Diary"
    capabilities: ClassVar[frozenset[ports.Capability]] = calling.BASIC | {
        ports.Capability.LIST_CHANGES
    }
    asked: ClassVar[list[clocks.Timestamp]] = []

    async def list_changes(
        self, api: ports.Api, since: clocks.Timestamp
    ) -> AsyncIterator[ports.Changed]:
        del api
        self.asked.append(since)
        yield ports.Changed(events=[event("1", "paid", "A"), event("2", "paid", "AB")], cursor="1")
        yield ports.Changed(events=[event("3", "sent", "A"), event("4", "paid", "A")])


class Adapters:
    """A registry of these."""

    def __init__(self) -> None:
        self._all: dict[str, Any] = {each.name: each() for each in (Deaf, Shop, Diary)}

    def names(self) -> list[str]:
        return sorted(self._all)

    def get(self, name: str) -> Any:
        return self._all[name]


def declared(name: str, provider: str, **more: Any) -> sources.Declared:
    return sources.Declared(
        name=name, provider=provider, client_id="acme", secrets=("env:SECRET",), **more
    )


STORE = declared("store", "shop", credentials={"token": "env:TOKEN"}, environment="prod")


def table(*found: sources.Declared) -> directory.Sources:
    made = directory.Sources(kinds.Kinds(Adapters()), Vault(), clocks.SystemClock())
    made.update(
        [
            directory.Entry(
                client_id=each.client_id, name=each.name, provider=each.provider, declared=each
            )
            for each in found
        ],
        1,
    )
    return made


def find(known: directory.Sources, source: str, *what: str) -> list[envelope.NewEvent]:
    finder = finding.Finder(known, Silent(), Still())
    return asyncio.run(finder.find("acme", source, *what))


def test_a_provider_that_looks_keys_up_is_asked_for_the_key() -> None:
    found = find(table(STORE), "store", "paid", "A")
    assert len(found) == finding.FOUND_MAX
    assert (found[0].id, found[0].type, found[0].aggregate_id) == ("paid:A:0", "paid", "A")
    assert (found[0].tenant, found[0].source) == ("acme", "store")
    metadata = msgspec.json.decode(found[0].metadata)
    assert (metadata["provider"], metadata["environment"]) == ("shop", "prod")
    assert metadata["origin"] == "asked store"


def test_another_one_is_looked_through_for_the_key_and_the_type() -> None:
    Diary.asked.clear()
    found = find(table(declared("log", "diary")), "log", "paid", "A")
    assert [each.id for each in found] == ["1", "4"]
    assert Diary.asked == [NOW - finding.LOOK_BACK_US]


def test_a_queue_is_answered_for_by_the_source_of_its_events() -> None:
    known = table(STORE, declared("queue", "deaf", origin="store"))
    found = find(known, "queue", "paid", "A")
    assert (found[0].source, found[0].id) == ("queue", "paid:A:0")


@pytest.mark.parametrize(
    ("origin", "judged"), [("asked store", "same"), ("asked-queue/1", "other_scope")]
)
def test_an_event_that_was_asked_for_is_the_one_that_comes_late_with_its_scope(
    origin: str, judged: str
) -> None:
    known = table(STORE, declared("queue", "deaf", origin="store"))
    found = find(known, "queue", "paid", "A")[0]
    metadata = {**msgspec.json.decode(found.metadata), "origin": origin}
    kept = envelope.Event(
        **{name: getattr(found, name) for name in ("id", "source", "type", "tenant")},
        occurred_at=NOW,
        recorded_at=NOW,
        aggregate_type="order",
        aggregate_id="A",
        position=envelope.Position(1),
        sequence=1,
        metadata=msgspec.json.encode(metadata),
    )
    late = receiving.Candidate(event=found, scope="/shop", digest="d", compared=False)
    assert receiving.judge(late, kept) == judged


def test_who_cannot_be_asked_says_so() -> None:
    with pytest.raises(errors.InvalidInputError, match="origin"):
        find(table(declared("queue", "deaf")), "queue", "paid", "A")


def test_only_what_can_be_asked_counts_as_askable() -> None:
    known = table(
        STORE,
        declared("log", "diary"),
        declared("queue", "deaf", origin="store"),
        declared("lost", "deaf", origin="nowhere"),
        declared("mute", "deaf"),
    )
    askable = finding.Askable(finding.Finder(known, Silent(), Still()), known)
    assert sorted(askable) == ["log", "queue", "store"]
    assert len(askable) == 3
    assert "mute" not in askable
    with pytest.raises(KeyError):
        askable["lost"]
    known.update([], 2)
    assert "store" not in askable
