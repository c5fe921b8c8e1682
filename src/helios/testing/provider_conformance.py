"""What every provider adapter must do: a suite to run against yours.

    class TestMyCms(provider_conformance.ProviderConformance):
        provider = MyCms()
        source = ports.Source(name="cms", tenant="default", provider="my-cms", secrets=(…,))

        def deliveries(self):
            return [ports.Delivery(headers=…, body=…)]

It tests what the adapter declares: each capability that is declared has to be there and behave, and
what is there has to be declared. For what talks to the provider's API, `api` gives a system to talk
to: the provider itself, a copy of it, or a server of the test (`helios.testing.answering`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import pytest

from helios.ingest import polling
from helios.kernel import clock as clocks
from helios.kernel import jsonio, limits, outbound
from helios.kernel import secret as secrets
from helios.providers import ports

PROTOCOLS: Mapping[ports.Capability, type] = {
    ports.Capability.NORMALISE: ports.Normaliser,
    ports.Capability.LIST_CHANGES: ports.ChangeLister,
    ports.Capability.LIST_IDS: ports.IdLister,
    ports.Capability.WEBHOOKS: ports.HookManager,
    ports.Capability.HEALTH: ports.HealthChecker,
}


class Nobody:
    """An `outbound.Outbound` behind which nothing answers."""

    async def send(self, call: outbound.Call) -> outbound.Answer:
        """Refuse."""
        raise outbound.OutboundError(f"{call.method}: nobody is there", reason="unreachable")

    async def permit(self, url: str) -> None:
        """Refuse."""
        raise outbound.OutboundError(f"{url}: nobody is there", reason="unreachable")


class ProviderConformance:
    """The contract of `providers.ports`, test by test.

    Attributes:
        provider: the adapter.
        source: a source of it, with a secret that signs `deliveries`, and what `api` needs.
        now: the time at which `deliveries` arrive.
        signs_body: its signature covers the body. False for tokens in a header.
        hook: a webhook that its API can make; None: its hooks are not tried.
    """

    provider: ClassVar[ports.Provider]
    source: ClassVar[ports.Source]
    now: ClassVar[clocks.Timestamp] = clocks.parse_rfc3339("2026-01-02T03:04:05Z")
    signs_body: ClassVar[bool] = True
    hook: ClassVar[ports.Hook | None] = None

    def deliveries(self) -> Sequence[ports.Delivery]:
        """Authentic deliveries, each with one event at least."""
        raise NotImplementedError

    def states(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Type and payload of events of one content, in the order in which they happened."""
        return ()

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        """The provider's API with something in it; for adapters that declare what needs one."""
        raise NotImplementedError

    # What it says of itself

    def test_it_has_a_name_a_title_and_options_with_defaults(self) -> None:
        assert self.provider.name
        assert self.provider.title
        assert self.provider.name == self.source.provider
        assert isinstance(msgspec.convert({}, self.provider.Options), msgspec.Struct)

    def test_its_options_refuse_what_they_do_not_know(self) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"no such option": 1}, self.provider.Options)

    def test_it_can_what_it_declares_and_declares_what_it_can(self) -> None:
        can = {each for each, kind in PROTOCOLS.items() if isinstance(self.provider, kind)}
        declared = self.provider.capabilities - {ports.Capability.VERIFY, ports.Capability.PARSE}
        assert can == declared

    # Webhooks

    def _verify(self, delivery: ports.Delivery, source: ports.Source | None = None) -> None:
        self.provider.verify(delivery, source or self.source, {}, self.now)

    def _parsed(self, delivery: ports.Delivery) -> Sequence[ports.Received]:
        parsed = self.provider.parse(delivery, self.source, {})
        assert not isinstance(parsed, ports.Handshake), "a sample delivery is to hold an event"
        assert parsed
        return parsed

    def test_authentic_deliveries_are_verified(self) -> None:
        for delivery in self.deliveries():
            self._verify(delivery)

    def test_a_changed_byte_is_refused(self) -> None:
        if not self.signs_body:
            return
        for delivery in self.deliveries():
            for at in sorted({0, len(delivery.body) // 2, len(delivery.body) - 1}):
                body = bytearray(delivery.body)
                body[at] ^= 1
                with pytest.raises(ports.RefusedError):
                    self._verify(msgspec.structs.replace(delivery, body=bytes(body)))

    def test_what_another_secret_signed_is_refused(self) -> None:
        others = tuple(secrets.Secret(b"x" + each.reveal()) for each in self.source.secrets)
        source = msgspec.structs.replace(self.source, secrets=others)
        for delivery in self.deliveries():
            with pytest.raises(ports.RefusedError):
                self._verify(delivery, source)

    def test_a_delivery_without_headers_is_refused(self) -> None:
        for delivery in self.deliveries():
            with pytest.raises(ports.RefusedError):
                self._verify(msgspec.structs.replace(delivery, headers=()))

    def test_two_live_secrets_are_both_good(self) -> None:
        both = (secrets.Secret(b"another-secret-that-is-long-enough"), *self.source.secrets)
        for delivery in self.deliveries():
            self._verify(delivery, msgspec.structs.replace(self.source, secrets=both))

    def test_parsing_twice_gives_the_same(self) -> None:
        for delivery in self.deliveries():
            assert self._parsed(delivery) == self._parsed(delivery)

    def test_events_have_a_type_and_an_object_as_payload(self) -> None:
        for delivery in self.deliveries():
            for event in self._parsed(delivery):
                assert event.type
                jsonio.parse_object(event.payload)
                for text in (event.id, event.type, event.aggregate_type, event.aggregate_id):
                    assert len(text or "") <= limits.ID_CHARS_MAX

    def test_ids_are_there_where_they_are_said_to_be_trusted(self) -> None:
        if self.provider.trust is ports.Trust.WEAK_ID:
            return
        for delivery in self.deliveries():
            found = [event.id for event in self._parsed(delivery)]
            assert all(found)
            assert len(set(found)) == len(found)

    # Content

    def _normalised(
        self, event_type: str, payload: Mapping[str, Any], source: ports.Source | None = None
    ) -> Sequence[ports.ContentChange]:
        if not isinstance(self.provider, ports.Normaliser):
            return ()
        return self.provider.normalise(event_type, payload, source or self.source)

    def test_normalising_is_pure(self) -> None:
        for event_type, payload in self._payloads():
            before = jsonio.encode(payload)
            first = self._normalised(event_type, payload)
            assert jsonio.encode(payload) == before, "the payload was changed"
            assert self._normalised(event_type, payload) == first

    def test_normalising_needs_no_options(self) -> None:
        bare = ports.Source(name="x", tenant="x", provider=self.provider.name)
        for event_type, payload in self._payloads():
            self._normalised(event_type, payload, bare)

    def test_nothing_is_made_of_unknown_types_and_empty_payloads(self) -> None:
        for event_type, payload in self._payloads():
            assert not self._normalised("no.such.type", payload)
            assert not self._normalised(event_type, {}), f"{event_type} of nothing"

    def test_later_states_have_later_versions(self) -> None:
        newest: dict[polling.Content, str] = {}
        for event_type, payload in self.states():
            for change in self._normalised(event_type, payload):
                for key in polling.contents(change):
                    assert change.version > newest.get(key, ""), f"{event_type} of {key}"
                    newest[key] = change.version
                if change.content is not None:
                    assert change.content.version == change.version

    def _payloads(self) -> list[tuple[str, Mapping[str, Any]]]:
        parsed = [event for delivery in self.deliveries() for event in self._parsed(delivery)]
        return [
            *((event.type, jsonio.parse_object(event.payload)) for event in parsed),
            *self.states(),
        ]

    # The provider's API

    def _asked(self, ask: Callable[[ports.Api], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            async with self.api() as api:
                await ask(api)

        asyncio.run(run())

    def test_changes_are_listed_twice_alike_in_order_and_under_ids_of_their_own(self) -> None:
        lister = self.provider
        if not isinstance(lister, ports.ChangeLister):
            return

        async def ask(api: ports.Api) -> None:
            pages = await _all(lister.list_changes(api, clocks.Timestamp(0)))
            again = await _all(lister.list_changes(api, clocks.Timestamp(0)))
            assert [page.events for page in pages] == [page.events for page in again]
            assert pages[-1].cursor is None
            assert all(page.cursor for page in pages[:-1])
            events = [event for page in pages for event in page.events]
            assert events, "give the API something that changed"
            self._check_polled(events)
            for page in pages:
                places = [(each.occurred_at or 0) for each in page.events]
                assert places == sorted(places)
                assert page.high_water is None or page.high_water >= max(places, default=0)

        self._asked(ask)

    def _check_polled(self, events: Sequence[ports.Received]) -> None:
        ids = [event.id for event in events]
        assert all(ids), "what is polled needs an id made of resource and version"
        assert len(set(ids)) == len(ids)
        for event in events:
            payload = jsonio.parse_object(event.payload)
            assert event.type
            assert event.metadata.get("polled") is True
            self._normalised(event.type, payload)

    def test_nothing_is_listed_from_later_than_the_newest_change(self) -> None:
        lister = self.provider
        if not isinstance(lister, ports.ChangeLister):
            return

        async def ask(api: ports.Api) -> None:
            pages = await _all(lister.list_changes(api, clocks.Timestamp(0)))
            newest = max(page.high_water or clocks.Timestamp(0) for page in pages)
            later = clocks.Timestamp(newest + 2 * clocks.SECOND_US)
            pages = await _all(lister.list_changes(api, later))
            assert [event for page in pages for event in page.events] == []
            at = await _all(lister.list_changes(api, newest))
            assert any(page.events for page in at), "what changed at that time is part of it"

        self._asked(ask)

    def test_what_is_there_is_listed_and_can_be_said_to_be_gone(self) -> None:
        lister = self.provider
        if not isinstance(lister, ports.IdLister):
            return

        async def ask(api: ports.Api) -> None:
            pages = await _all(lister.list_ids(api))
            there = [each for page in pages for each in page]
            assert there, "give the API something to list"
            assert {each.type for each in there} <= set(lister.listed_types(api.source))
            for listed in there:
                gone = lister.deletion(listed, self.now)
                assert gone == lister.deletion(listed, self.now)
                said = self._normalised(gone.type, jsonio.parse_object(gone.payload), api.source)
                keys = [key for change in said for key in polling.contents(change)]
                assert polling.content(listed) in keys
                assert all(change.content is None and change.version for change in said)

        self._asked(ask)

    def test_what_is_listed_is_what_changes_told_of(self) -> None:
        lister = self.provider
        if not isinstance(lister, ports.IdLister) or not isinstance(lister, ports.ChangeLister):
            return

        async def ask(api: ports.Api) -> None:
            told = {
                key
                for page in await _all(lister.list_changes(api, clocks.Timestamp(0)))
                for event in page.events
                for change in self._normalised(
                    event.type, jsonio.parse_object(event.payload), api.source
                )
                if change.content is not None
                for key in polling.contents(change)
                if key[3] == ("draft" if change.content.status == "draft" else "published")
            }
            there = {polling.content(e) for page in await _all(lister.list_ids(api)) for e in page}
            types = set(lister.listed_types(api.source))
            assert {key for key in told if key[0] in types} <= there

        self._asked(ask)

    def test_what_is_listed_has_the_version_that_changes_told(self) -> None:
        lister = self.provider
        if not isinstance(lister, ports.IdLister) or not isinstance(lister, ports.ChangeLister):
            return

        async def ask(api: ports.Api) -> None:
            told: dict[polling.Content, str] = {}
            for page in await _all(lister.list_changes(api, clocks.Timestamp(0))):
                told |= self._told(page.events)
            for page in await _all(lister.list_ids(api)):
                for listed in page:
                    known = told.get(polling.content(listed))
                    assert not listed.version or known in (None, listed.version)

        self._asked(ask)

    def test_a_deletion_counts_though_the_clock_of_the_provider_is_ahead(self) -> None:
        lister = self.provider
        if not isinstance(lister, ports.IdLister):
            return

        async def ask(api: ports.Api) -> None:
            for page in await _all(lister.list_ids(api)):
                for listed in page:
                    gone = lister.deletion(listed, clocks.Timestamp(clocks.SECOND_US))
                    payload = jsonio.parse_object(gone.payload)
                    for change in self._normalised(gone.type, payload, api.source):
                        assert change.version > listed.version

        self._asked(ask)

    def test_what_is_wanted_is_read_again_and_what_is_gone_is_left_out(self) -> None:
        reader = self.provider
        if not isinstance(reader, ports.IdLister) or not isinstance(reader, ports.ContentReader):
            return

        async def ask(api: ports.Api) -> None:
            there = [each for page in await _all(reader.list_ids(api)) for each in page]
            wanted = [each for each in there if each.version]
            assert wanted
            gone = msgspec.structs.replace(wanted[0], id="987654321")
            read: dict[polling.Content, str] = {}
            for events in await _all(reader.read_contents(api, [*wanted, gone])):
                self._check_polled(events)
                read |= self._told(events)
            assert {polling.content(each): each.version for each in wanted}.items() <= read.items()
            assert polling.content(gone) not in read

        self._asked(ask)

    def _told(self, events: Sequence[ports.Received]) -> dict[polling.Content, str]:
        """The version of each content that events hold, in the stage that it is in."""
        told: dict[polling.Content, str] = {}
        for event in events:
            for change in self._normalised(event.type, jsonio.parse_object(event.payload)):
                if change.content is not None:
                    stage = "draft" if change.content.status == "draft" else "published"
                    told[change.type, change.id, change.locale or "", stage] = change.version
        return told

    def test_a_webhook_is_made_found_changed_and_taken_away(self) -> None:
        manager, wanted = self.provider, self.hook
        if not isinstance(manager, ports.HookManager) or wanted is None:
            return

        async def ask(api: ports.Api) -> None:
            made = await manager.create_hook(api, wanted)
            assert made.id
            assert (made.url, sorted(made.events)) == (wanted.url, sorted(wanted.events))
            assert made.secret is None, "a secret is never read back"
            assert made.id in [each.id for each in await manager.list_hooks(api)]
            fewer = msgspec.structs.replace(wanted, id=made.id, events=wanted.events[:1])
            changed = await manager.update_hook(api, fewer)
            assert sorted(changed.events) == sorted(fewer.events)
            assert changed.enabled
            assert changed.id
            await manager.delete_hook(api, changed.id)
            await manager.delete_hook(api, changed.id)
            assert changed.url not in [each.url for each in await manager.list_hooks(api)]

        self._asked(ask)

    def test_its_health_tells_whether_it_is_there_and_lets_us_in(self) -> None:
        checker = self.provider
        if not isinstance(checker, ports.HealthChecker):
            return

        async def ask(api: ports.Api) -> None:
            found = await checker.health(api)
            assert (found.reachable, found.authorised) == (True, True), found.detail
            wrong = {name: secrets.Secret("wrong") for name in api.source.credentials}
            stranger = msgspec.structs.replace(api.source, credentials=wrong)
            found = await checker.health(msgspec.structs.replace(api, source=stranger))
            assert found.authorised is False, found.detail
            found = await checker.health(msgspec.structs.replace(api, client=Nobody()))
            assert found.reachable is False
            assert found.detail

        self._asked(ask)

    def test_no_error_of_the_api_shows_a_credential(self) -> None:
        checker = self.provider
        if not isinstance(checker, ports.HealthChecker):
            return

        async def ask(api: ports.Api) -> None:
            hidden = secrets.Secret("do-not-show-this")
            names = api.source.credentials
            stranger = msgspec.structs.replace(api.source, credentials=dict.fromkeys(names, hidden))
            found = await checker.health(msgspec.structs.replace(api, source=stranger))
            assert "do-not-show-this" not in repr(found)

        self._asked(ask)


async def _all(pages: AsyncIterator[Any]) -> list[Any]:
    return [page async for page in pages]
