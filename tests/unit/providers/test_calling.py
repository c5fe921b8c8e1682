"""How providers' APIs are called, and how they fail."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, outbound, secret
from helios.providers import calling, ports

NOW = clocks.parse_rfc3339("2026-01-02T03:04:05Z")


class Recorder:
    """Answers one thing and keeps what it was asked."""

    def __init__(self, status: int = 200, body: object = None, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else jsonio.encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = outbound.Answer(status=status, headers=named, body=raw)
        self.calls: list[outbound.Call] = []

    async def send(self, call: outbound.Call) -> outbound.Answer:
        self.calls.append(call)
        return self.answer

    async def permit(self, url: str) -> None:
        del url


class Still(clocks.SystemClock):
    def now(self) -> clocks.Timestamp:
        return NOW


def made(recorder: Recorder, base_url: str = "https://api.example.com/v1/") -> calling.Rest:
    source = ports.Source(
        name="cms", tenant="t", provider="p", credentials={"token": secret.Secret("hidden")}
    )
    api = ports.Api(source=source, client=recorder, clock=Still())
    token = calling.credential(source, "other", "token")
    return calling.rest(api, base_url, [("Authorization", f"Bearer {token}")])


def failed(recorder: Recorder) -> ports.ProviderApiError:
    with pytest.raises(ports.ProviderApiError) as caught:
        asyncio.run(made(recorder).get("/things", {"secret": "in the query"}))
    return caught.value


def test_only_the_host_of_the_source_is_called_and_parameters_are_quoted() -> None:
    recorder = Recorder(body={"ok": True})
    found = asyncio.run(made(recorder).get("/a b", [("filter[x]", "1&y=2"), ("n", 3)]))
    (call,) = recorder.calls
    assert found == {"ok": True}
    assert call.url == "https://api.example.com/v1/a b?filter%5Bx%5D=1%26y%3D2&n=3"
    assert call.hosts == ("api.example.com",)
    assert call.redirects == 0
    assert call.idempotent


def test_what_must_not_happen_twice_is_tried_once() -> None:
    recorder = Recorder(status=201, body={})
    asyncio.run(made(recorder).send("POST", "/hooks", body={"a": 1}, idempotent=False))
    (call,) = recorder.calls
    assert (call.attempts, call.idempotent, call.body) == (1, False, b'{"a":1}')


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "No such thing"}}, "No such thing"),
        ({"errors": [{"message": "Bad query"}]}, "Bad query"),
        ({"message": "Not here"}, "Not here"),
        ({"errors": "Invalid token"}, "Invalid token"),
        ({"error": "x" * 1000}, "x" * 200),
    ],
)
def test_an_error_says_what_the_provider_said(body: object, said: str) -> None:
    error = failed(Recorder(status=404, body=body))
    assert error.status == 404
    assert f"({said})" in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>", [1], {"errors": []}, {"error": {"a": 1}}])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_an_error_names_the_place_and_shows_no_secret(body: object, status: int) -> None:
    error = failed(Recorder(status=status, body=body))
    assert "GET api.example.com/things answered" in str(error)
    assert "hidden" not in str(error)
    assert "in the query" not in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("1.5", 1.5),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("999999999", calling.RETRY_AFTER_S_MAX),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_how_long_to_wait_is_read_in_either_form(value: str, seconds: float | None) -> None:
    error = failed(Recorder(status=429, body={}, retry_after=value))
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":1,"a":2}', b"NaN"])
def test_a_good_answer_that_is_no_strict_json_is_an_error(body: bytes) -> None:
    assert failed(Recorder(body=body)).status is None


def test_errors_of_graphql_are_errors_though_the_status_is_200() -> None:
    for code, status in (("THROTTLED", 429), ("FORBIDDEN", 403), ("OTHER", 200)):
        fault = {"message": "no", "extensions": {"code": code}}
        recorder = Recorder(body={"data": None, "errors": [fault]})
        with pytest.raises(ports.ProviderApiError, match="no") as caught:
            asyncio.run(made(recorder).graphql("/graphql", "{ a }", {}))
        assert caught.value.status == status
    recorder = Recorder(body={"data": {"a": 1}})
    assert asyncio.run(made(recorder).graphql("/graphql", "{ a }", {})) == {"a": 1}


@pytest.mark.parametrize("base_url", ["", "cms.example.com", "ftp://x", "file:///etc/passwd"])
def test_a_source_that_does_not_say_where_to_call_is_told_so(base_url: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=r"spec\.options\.base_url"):
        made(Recorder(), base_url)


def test_a_missing_credential_is_named() -> None:
    source = ports.Source(name="cms", tenant="t", provider="p")
    with pytest.raises(errors.InvalidInputError, match=r"spec\.credentials.*token or key"):
        calling.credential(source, "token", "key")


async def _raise(error: Exception) -> outbound.Answer:
    raise error


@pytest.mark.parametrize(
    ("error", "reachable", "authorised", "quota"),
    [
        (outbound.OutboundError("gone", reason="timeout"), False, None, None),
        (ports.ProviderApiError("no", status=401), True, False, None),
        (ports.ProviderApiError("no", status=403), True, False, None),
        (ports.ProviderApiError("no", status=429), True, None, 0),
        (ports.ProviderApiError("no", status=500), True, None, None),
        (ports.ProviderApiError("what?"), None, None, None),
        (errors.InvalidInputError("no token"), None, None, None),
    ],
)
def test_health_tells_what_a_failure_says_and_no_more(
    error: Exception, reachable: object, authorised: object, quota: int | None
) -> None:
    found = asyncio.run(calling.health(_raise(error)))
    assert (found.reachable, found.authorised, found.quota_left) == (reachable, authorised, quota)
    assert found.detail == str(error)


def test_health_tells_how_many_calls_are_left() -> None:
    async def probe() -> outbound.Answer:
        return outbound.Answer(status=200, headers={"left": "41"}, body=b"")

    found = asyncio.run(calling.health(probe(), quota_header="left"))
    assert (found.reachable, found.authorised, found.quota_left) == (True, True, 41)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-02T03:04:05Z", NOW),
        ("2026-01-02T03:04:05", NOW),
        ("2026-01-02T04:04:05+01:00", NOW),
        ("2026-01-02", None),
        ("", None),
        (None, None),
        (1767323045, None),
    ],
)
def test_times_are_read_as_providers_write_them(written: object, read: int | None) -> None:
    assert calling.instant(written) == read


def test_versions_sort_by_time_and_a_deletion_after_the_state_it_deletes() -> None:
    at = clocks.Timestamp(999)
    versions = [
        calling.version(clocks.Timestamp(-1)),
        calling.version(at),
        calling.version(at, 1),
        calling.version(clocks.Timestamp(1000)),
        calling.version(NOW),
        calling.FINAL,
    ]
    assert versions == sorted(versions)
    assert len(set(versions)) == len(versions)


def test_the_lowest_price_is_as_it_was_written() -> None:
    prices: list[Mapping[str, Any] | str | None] = ["10.0", "9.90", None, "x", {"a": 1}, "9.9000"]
    assert calling.lowest(prices) == "9.90"
    assert calling.lowest([]) is None


def test_a_time_with_milliseconds_is_rounded_down() -> None:
    at = clocks.Timestamp(NOW + 123_999)
    assert calling.rfc3339_ms(at) == "2026-01-02T03:04:05.123Z"
