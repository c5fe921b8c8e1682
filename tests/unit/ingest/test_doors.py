"""The door of webhooks with an adapter that does as the test says."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, cast

import msgspec
import pytest
import structlog

from helios.eventlog import envelope, log
from helios.ingest import doors, known, lookups, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret
from helios.providers import ports
from helios.testing import gate_bench as kit

KEY_URL = "https://keys.example.com/key"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """None."""


class Scripted:
    """Authentic is what is sent with the secret; what comes of it is the test's choice."""

    name: ClassVar[str] = "scripted"
    title: ClassVar[str] = "Scripted"
    capabilities: ClassVar[frozenset[ports.Capability]] = frozenset()
    Options: ClassVar[type[msgspec.Struct]] = Options

    def __init__(
        self,
        parsed: Any = None,
        *,
        verified: Exception | None = None,
        wanted: Sequence[ports.Lookup] | Exception = (),
        **answers: Any,
    ) -> None:
        self.trust = ports.Trust.SIGNED_ID
        self.answers = ports.AnswerPolicy(**answers)
        self.parsed = parsed
        self.verified = verified
        self.wanted = wanted
        self.documents: ports.Documents = {}

    def lookups(self, delivery: ports.Delivery, source: ports.Source) -> Sequence[ports.Lookup]:
        if delivery.header("x-token") is None:
            raise ports.RefusedError("missing_token", "no token")
        if isinstance(self.wanted, Exception):
            raise self.wanted
        return self.wanted

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,
        now: clocks.Timestamp,
    ) -> ports.Verified:
        self.documents = documents
        if self.verified is not None:
            raise self.verified
        if delivery.header("x-token") != source.secrets[0].text:
            raise ports.RefusedError("bad_token", "another token")
        return ports.Verified(scheme="token", secret=source.secrets[0].fingerprint)

    def parse(
        self, delivery: ports.Delivery, source: ports.Source, documents: ports.Documents
    ) -> ports.Parsed:
        if isinstance(self.parsed, Exception):
            raise self.parsed
        if self.parsed is not None:
            found: ports.Parsed = self.parsed
            return found
        return [kit.received("a", b'{"n":1}')]


def head(
    body: bytes = b"{}", method: str = "POST", token: str | None = "hush", **given: Any
) -> doors.Head:
    async def read(bytes_max: int, grew: Callable[[int], None]) -> bytes:
        grew(len(body))
        if len(body) > bytes_max:
            raise errors.TooLargeError(f"more than {bytes_max}")
        return body

    headers = () if token is None else (("x-token", token),)
    fields: dict[str, Any] = {
        "encoding": None,
        "path": "/webhook/shop",
        **given,
    }
    return doors.Head(method=method, headers=headers, read=read, **fields)


class Place:
    def __init__(
        self, inner: kit.Place, provider: Scripted, called: kit.Called, **given: Any
    ) -> None:
        self.inner = inner
        self.called = called
        self.provider = provider
        declared = sources.Declared(name="shop", provider="scripted", **given)
        source = ports.Source(
            name="shop", tenant="default", provider="scripted", secrets=(secret.Secret("hush"),)
        )
        self.known = known.Known(
            sources.Found(
                declared=declared, source=source, provider=cast("ports.Provider", provider)
            )
        )
        self.doors = doors.Doors(
            self.known, inner.gate, called, clock=inner.clock, meter=inner.counts
        )

    async def knock(self, one: doors.Head | None = None, name: str = "shop") -> doors.Answer:
        return await self.doors.deliver("default", name, one or head())

    @property
    def counts(self) -> Any:
        return self.inner.counts.of


def run(
    scenario: Callable[[Place], Awaitable[None]],
    provider: Scripted | None = None,
    called: kit.Called | None = None,
    **given: Any,
) -> None:
    async def main() -> None:
        async with kit.place() as inner:
            place = Place(inner, provider or Scripted(), called or kit.Called(), **given)
            await scenario(place)
            await place.doors.close()
            assert inner.counts.adds_up, inner.counts.of

    asyncio.run(main())


def test_each_situation_is_answered_as_the_provider_has_it() -> None:
    policy: dict[str, Any] = {
        "stored": 200,
        "unauthenticated": 403,
        "too_large": 422,
        "gone": 404,
        "body": b"ok",
    }

    async def scenario(place: Place) -> None:
        stored = await place.knock()
        assert (stored.status, stored.body) == (200, b"ok")
        assert (await place.knock()).status == 200
        assert (await place.knock(head(token="wrong"))).status == 403
        assert place.counts["shop:refused"] == 1
        assert (await place.knock(head(b"x" * 100))).status == 422
        place.known.remove("default", "shop")
        assert (await place.knock()).status == 404

    run(scenario, Scripted(**policy), body_bytes_max=10)


def test_an_answer_without_content_has_no_body() -> None:
    async def scenario(place: Place) -> None:
        answer = await place.knock()
        assert (answer.status, answer.body) == (204, b"")

    run(scenario, Scripted(stored=204))


def test_a_sender_that_must_not_be_refused_is_taken_though_it_comes_too_often() -> None:
    async def scenario(place: Place) -> None:
        assert [(await place.knock()).status for _ in range(3)] == [202] * 3

    run(scenario, Scripted(limited=0), rate=sources.Rate(per_s=0.001, burst=1))


def test_over_the_rate_is_told_in_the_providers_way() -> None:
    async def scenario(place: Place) -> None:
        await place.knock()
        answer = await place.knock()
        assert (answer.kind, answer.status) == (doors.Kind.LIMITED, 503)
        assert isinstance(answer.error, errors.LimitedError)

    run(scenario, Scripted(limited=503), rate=sources.Rate(per_s=0.001, burst=1))


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (ports.UnprocessableError("unknown_type", "what is that"), "unknown_type"),
        (errors.InvalidInputError("not strict JSON"), "invalid_json"),
        (KeyError("topic"), "adapter_error"),
        (RecursionError(), "adapter_error"),
    ],
)
def test_what_is_authentic_and_cannot_be_read_is_set_aside_and_answered_as_stored(
    raised: Exception, reason: str
) -> None:
    async def scenario(place: Place) -> None:
        answer = await place.knock(head(b"?"))
        assert (answer.kind, answer.status) == (doors.Kind.STORED, 202)
        (letter,) = await place.inner.letters()
        assert (letter["reason"], letter["via"], letter["body"]) == (reason, "webhook", "Pw==")

    run(scenario, Scripted(raised))


@pytest.mark.parametrize("step", ["verified", "wanted"])
def test_an_adapter_that_breaks_while_verifying_loses_nothing_and_lets_nothing_in(
    step: str,
) -> None:
    async def scenario(place: Place) -> None:
        answer = await place.knock()
        assert (answer.kind, answer.status) == (doors.Kind.UNAVAILABLE, 503)
        assert await place.inner.log.head() == 0

    run(scenario, Scripted(**{step: KeyError("a bug")}))


@pytest.mark.parametrize("step", ["verified", "wanted"])
@pytest.mark.parametrize(
    "raised", [errors.InvalidInputError("no JSON"), ports.UnprocessableError("x", "y")]
)
def test_what_cannot_even_be_verified_is_refused(raised: Exception, step: str) -> None:
    async def scenario(place: Place) -> None:
        assert (await place.knock()).status == 401
        assert place.counts["refused:malformed"] == 1

    run(scenario, Scripted(**{step: raised}))


@pytest.mark.parametrize(
    "error", [errors.OverloadError("full", retry_after_s=7), errors.StorageError("away")]
)
def test_a_log_that_cannot_take_it_has_the_sender_come_again(
    error: errors.HeliosError, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> envelope.Appended:
        raise error

    async def scenario(place: Place) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(log.Log, "append", refuse)
            answer = await place.knock()
        assert (answer.kind, answer.status) == (doors.Kind.UNAVAILABLE, 503)
        assert isinstance(answer.error, errors.OverloadError)
        assert answer.error.retry_after_s == (7 if isinstance(error, errors.OverloadError) else 5)
        assert (await place.knock()).kind is doors.Kind.STORED
        assert len(await place.inner.events()) == 1

    run(scenario)


def test_a_full_queue_answers_503_and_what_it_took_is_kept() -> None:
    async def scenario(place: Place) -> None:
        place.provider.parsed = [kit.received(str(n)) for n in range(4_000)]
        answers = await asyncio.gather(*(place.knock() for _ in range(20)))
        kinds = {answer.kind for answer in answers}
        assert kinds <= {doors.Kind.STORED, doors.Kind.UNAVAILABLE}
        assert len(await place.inner.events()) == 1_000, "one page of what is there"
        assert await place.inner.log.head() == 4_000

    run(scenario, rate=sources.Rate(per_s=1e6, burst=10**6))


def test_bodies_are_read_only_while_there_is_room_for_them() -> None:
    async def scenario(place: Place) -> None:
        waiting = asyncio.Event()

        async def read(_: int, grew: Callable[[int], None]) -> bytes:
            grew(1 << 20)
            await waiting.wait()
            return b"{}"

        slow = msgspec.structs.replace(head(), read=read)
        under_way = [asyncio.ensure_future(place.knock(slow)) for _ in range(128)]
        await asyncio.sleep(0)
        assert (await place.knock(slow)).status == 503
        waiting.set()
        assert {answer.status for answer in await asyncio.gather(*under_way)} == {202}
        assert (await place.knock()).status == 202

    run(scenario)


def test_a_handshake_is_answered_and_confirmed_in_the_background() -> None:
    call = outbound.Call(url="https://sns.example.com/confirm")
    shake = ports.Handshake(status=200, body=b"proof", headers=(("allow", "POST"),), confirm=call)

    async def scenario(place: Place) -> None:
        for method in ("GET", "OPTIONS", "POST"):
            answer = await place.knock(head(method=method))
            assert (answer.kind, answer.body) == (doors.Kind.HANDSHAKE, b"proof")
        await asyncio.sleep(0)
        assert place.called.calls == [call] * 3
        assert await place.inner.log.head() == 0

    run(scenario, Scripted(shake))


def test_confirmations_are_bounded() -> None:
    class Slow(kit.Called):
        async def send(self, call: outbound.Call) -> outbound.Answer:
            self.calls.append(call)
            await asyncio.get_running_loop().create_future()
            raise AssertionError

    shake = ports.Handshake(confirm=outbound.Call(url="https://sns.example.com/confirm"))

    async def scenario(place: Place) -> None:
        statuses = [(await place.knock()).status for _ in range(doors.CONFIRMS_MAX + 2)]
        assert statuses == [200] * doors.CONFIRMS_MAX + [503, 503]

    run(scenario, Scripted(shake), Slow())


def test_a_refused_request_provokes_no_call() -> None:
    wanted = [ports.Lookup(url=KEY_URL, hosts=("keys.example.com",))]
    shake = ports.Handshake(confirm=outbound.Call(url="https://sns.example.com/confirm"))

    async def scenario(place: Place) -> None:
        assert (await place.knock(head(token=None))).status == 401
        assert (await place.knock(name="nope")).status == 401
        await asyncio.sleep(0)
        assert place.called.calls == []

    run(scenario, Scripted(shake, wanted=wanted))


def test_a_document_is_fetched_once_for_all_that_wait_and_kept() -> None:
    wanted = [ports.Lookup(url=KEY_URL, hosts=("keys.example.com",), ttl_s=60)]
    answer = outbound.Answer(status=200, headers={}, body=b"the key")

    async def scenario(place: Place) -> None:
        await asyncio.gather(*(place.knock() for _ in range(20)))
        assert len(place.called.calls) == 1
        (call,) = place.called.calls
        assert (call.hosts, call.redirects, call.attempts) == (("keys.example.com",), 0, 1)
        assert (call.timeout_s, call.bytes_max) == (3.0, 64 << 10)
        assert place.provider.documents[KEY_URL].body == b"the key"
        place.inner.clock.pass_s(61)
        await place.knock()
        assert len(place.called.calls) == 2

    run(scenario, Scripted(wanted=wanted), kit.Called(answer, answer))


def test_a_document_for_one_delivery_is_fetched_for_each() -> None:
    wanted = [ports.Lookup(url=KEY_URL, hosts=("keys.example.com",), ttl_s=0)]

    async def scenario(place: Place) -> None:
        for _ in range(3):
            await place.knock()
        assert len(place.called.calls) == 3

    run(scenario, Scripted(wanted=wanted))


def test_calls_for_one_delivery_each_are_bounded_too() -> None:
    """A stranger makes up tokens to be asked about; the client's connections are for all of us."""
    under_way = 0
    most = 0

    class Slow(kit.Called):
        async def send(self, call: outbound.Call) -> outbound.Answer:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            return outbound.Answer(status=200, headers={}, body=b"")

    class Asking(Scripted):
        def lookups(self, delivery: ports.Delivery, source: ports.Source) -> Sequence[ports.Lookup]:
            return [ports.Lookup(url=KEY_URL + delivery.path, hosts=("keys.example.com",), ttl_s=0)]

    async def scenario(place: Place) -> None:
        knocks = (place.knock(head(path=f"/webhook/shop?{n}")) for n in range(200))
        statuses = [answer.status for answer in await asyncio.gather(*knocks)]
        assert statuses.count(202) == most == lookups.FETCHES_MAX
        assert statuses.count(503) == 200 - lookups.FETCHES_MAX
        assert (await place.knock()).status == 202

    run(scenario, Asking(), Slow())


@pytest.mark.parametrize(
    "failure",
    [
        outbound.OutboundError("down", reason="unreachable"),
        outbound.Answer(status=503, headers={}, body=b""),
        outbound.Answer(status=429, headers={}, body=b""),
    ],
)
def test_a_document_that_cannot_be_had_is_our_trouble_and_not_asked_for_at_will(
    failure: Any,
) -> None:
    wanted = [ports.Lookup(url=KEY_URL, hosts=("keys.example.com",))]

    async def scenario(place: Place) -> None:
        assert [(await place.knock()).status for _ in range(5)] == [503] * 5
        assert len(place.called.calls) == 1
        place.inner.clock.pass_s(lookups.FAULT_S + 1)
        assert (await place.knock()).status == 202

    run(scenario, Scripted(wanted=wanted), kit.Called(failure))


def test_documents_are_bounded() -> None:
    async def scenario(place: Place) -> None:
        for number in range(lookups.DOCUMENTS_MAX + 10):
            url = f"{KEY_URL}/{number}"
            place.provider.wanted = [ports.Lookup(url=url, hosts=("keys.example.com",))]
            await place.knock()
        assert len(place.doors._lookups._kept) == lookups.DOCUMENTS_MAX

    run(scenario, rate=sources.Rate(per_s=1e6, burst=10**6))


def test_nothing_secret_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(place: Place) -> None:
        with structlog.testing.capture_logs() as logged:
            await place.knock(head(token="canary-token", path="/webhook/shop?code=canary-query"))
            await place.knock(head(path="/webhook/shop?code=canary-query"))
        (letter,) = await place.inner.letters()
        said = f"{logged} {letter} {capsys.readouterr()}"
        assert "canary" not in said
        assert "hush" not in said
        assert letter["path"] == "/webhook/shop?code=***"

    run(scenario, Scripted(ports.UnprocessableError("x", "y")))
