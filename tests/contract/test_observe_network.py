"""How what answers on the network is seen, with real servers of this machine."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from helios.drivers.net import checks, dns, http, tcp, tls
from helios.drivers.outbound import client as outbound_client
from helios.kernel import clock as clocks
from helios.kernel import errors, secret
from helios.reconcile.compositions import composition
from helios.reconcile.compositions.observing import ports
from helios.testing import answering

DAY = dt.timedelta(days=1)


def asked(
    kind: str,
    expects: Mapping[str, Any] | None = None,
    credentials: Mapping[str, secret.Secret] | None = None,
    **settings: Any,
) -> ports.Asked:
    resource = composition.Resource(name="it", kind=kind, settings=settings, expects=expects or {})
    return ports.Asked(
        client_id="acme", stack_id="s", resource=resource, credentials=credentials or {}
    )


def look(
    kind: str,
    expects: Mapping[str, Any] | None = None,
    credentials: Mapping[str, secret.Secret] | None = None,
    **settings: Any,
) -> ports.Told:
    async def main() -> ports.Told:
        async with answering.calling() as client:
            assert isinstance(client, outbound_client.Client)
            made = checks.made(client, client, clocks.SystemClock())[kind]
            return await made.check(asked(kind, expects, credentials, **settings))

    return asyncio.run(main())


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# HTTP


def page(request: answering.Request) -> answering.Response:
    if request.path == "/secret" and request.headers.get("authorization") != "Bearer t":
        return answering.Response(status=401)
    if request.path == "/moved":
        return answering.Response(status=301, headers={"location": "https://new.example/"})
    if request.path == "/busy":
        return answering.Response(status=429)
    if request.path.startswith("/broken"):
        return answering.Response(status=503)
    return answering.Response(
        value={"build": {"version": "1.2"}, "list": [1, 2]},
        headers={"content-type": "application/json; charset=utf-8", "x-site": "blue"},
    )


@pytest.fixture
def site() -> Iterator[str]:
    with answering.Server(page) as server:
        yield server.url


def test_an_answer_is_seen_with_the_fields_that_are_declared(site: str) -> None:
    expects = {
        "status": 200,
        "content_type": "application/json",
        "headers": {"X-Site": "green", "x-none": "1"},
        "json": {"build.version": "1.3", "list.1": 2, "nothing.here": 1},
        "colour": "red",
    }
    told = look("http", expects, url=f"{site}/")
    assert told.value == {
        "status": 200,
        "content_type": "application/json",
        "headers": {"X-Site": "blue", "x-none": None},
        "json": {"build.version": "1.2", "list.1": 2, "nothing.here": None},
        "healthy": True,
    }
    assert told.unknown == ("colour",)


@pytest.mark.parametrize(
    ("path", "settings", "healthy"),
    [
        ("/", {}, True),
        ("/", {"contains": "1.2"}, True),
        ("/", {"contains": "1.9"}, False),
        ("/", {"status": 204}, False),
        ("/moved", {}, True),
        ("/moved", {"status": [200]}, False),
        ("/secret", {}, False),
        ("/broken", {}, False),
        ("/broken", {"status": [503, 200]}, True),
    ],
)
def test_an_answer_that_is_not_the_right_one_is_not_healthy(
    site: str, path: str, settings: dict[str, Any], *, healthy: bool
) -> None:
    told = look("http", url=site + path, **settings)
    assert told.value == {"healthy": healthy}
    assert bool(told.detail) is not healthy
    assert told.kind is None


def test_a_token_is_sent_along(site: str) -> None:
    given = {"token": secret.Secret("t")}
    assert look("http", credentials=given, url=f"{site}/secret").value == {"healthy": True}


def test_too_many_calls_say_nothing_of_the_site(site: str) -> None:
    assert look("http", url=f"{site}/busy").state == "unknown"


def test_a_closed_port_is_unhealthy_by_a_failed_call() -> None:
    told = look("http", {"status": 200}, url=f"http://127.0.0.1:{closed_port()}/")
    assert (told.value, told.kind) == ({"healthy": False}, "failed_call")
    assert told.unknown == ("status",)


def test_an_address_that_may_not_be_called_is_unknown() -> None:
    told = look("http", url="http://192.168.1.1/")
    assert told.state == "unknown"
    assert "outbound_allow" in told.detail


@contextlib.asynccontextmanager
async def silent(say: bytes = b"") -> AsyncIterator[int]:
    """Takes connections, says something perhaps, and then nothing."""
    held = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        writer.write(say)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in held:
            each.transport.abort()


def test_a_server_that_does_not_answer_in_time_is_unknown() -> None:
    async def main() -> ports.Told:
        async with silent() as port, answering.calling() as client:
            assert isinstance(client, outbound_client.Client)
            check = http.HttpCheck(client, tcp.Connector(client))
            url = f"http://127.0.0.1:{port}/"
            return await check.check(asked("http", url=url, timeout_s=0.1))

    assert asyncio.run(main()).state == "unknown"


# TCP


def test_a_port_that_listens_is_healthy_and_its_banner_is_read() -> None:
    async def main() -> ports.Told:
        async with silent(b"220 mail ready\r\nmore") as port, answering.calling() as client:
            assert isinstance(client, outbound_client.Client)
            check = tcp.TcpCheck(tcp.Connector(client))
            expects = {"banner": "220 mail ready", "colour": "red"}
            return await check.check(asked("tcp", expects, host="127.0.0.1", port=port))

    told = asyncio.run(main())
    assert told.value == {"healthy": True, "banner": "220 mail ready"}
    assert told.unknown == ("colour",)


def test_a_port_that_refuses_is_unhealthy_and_a_way_that_is_blocked_unknown() -> None:
    told = look("tcp", address=f"127.0.0.1:{closed_port()}")
    assert told.value == {"healthy": False}

    class Nowhere:
        async def addresses(self, _host: str, _port: int) -> list[str]:
            # No stream goes to everybody: the system refuses before anything is sent.
            return ["255.255.255.255"]

    async def main() -> None:
        check = tcp.TcpCheck(tcp.Connector(Nowhere()))
        with pytest.raises(errors.HeliosError, match="cannot be reached"):
            await check.check(asked("tcp", host="far.example", port=80))

    asyncio.run(main())


def test_a_private_address_is_not_connected_to_unless_it_is_allowed() -> None:
    with pytest.raises(errors.HeliosError, match="outbound_allow"):
        look("tcp", host="10.0.0.1", port=22)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"host": "a.example", "port": 25}, ("a.example", 25)),
        ({"address": "a.example:25"}, ("a.example", 25)),
        ({"url": "https://a.example/x"}, ("a.example", 443)),
        ({"host": "::1", "port": 25}, ("::1", 25)),
        ({"host": "a.example"}, ("a.example", 443)),
    ],
)
def test_an_endpoint_is_written_in_several_ways(
    settings: dict[str, Any], expected: tuple[str, int]
) -> None:
    assert tcp.endpoint(settings, 443) == expected


@pytest.mark.parametrize("settings", [{}, {"host": ""}, {"host": "a", "port": "x"}, {"url": "//"}])
def test_settings_that_do_not_say_where_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInputError, match="where it is"):
        tcp.endpoint(settings)


# Names


def resolving(*found: str | Exception) -> Callable[[str], Any]:
    async def resolve(_: str) -> list[str]:
        for each in found:
            if isinstance(each, Exception):
                raise each
        return [str(each) for each in found]

    return resolve


def test_a_name_of_this_machine_resolves() -> None:
    told = look("dns", {"ipv4": ["127.0.0.1"]}, host="localhost")
    assert told.value == {"healthy": True, "ipv4": ["127.0.0.1"]}


def test_the_addresses_of_a_name_are_seen_by_version() -> None:
    check = dns.DnsCheck(resolving("192.0.2.2", "2001:db8::1", "192.0.2.1", "192.0.2.2"))
    expects: dict[str, Any] = {"addresses": [], "ipv4": [], "ipv6": [], "mx": []}
    told = asyncio.run(check.check(asked("dns", expects, host="a.example")))
    assert told.value == {
        "healthy": True,
        "addresses": ["192.0.2.1", "192.0.2.2", "2001:db8::1"],
        "ipv4": ["192.0.2.1", "192.0.2.2"],
        "ipv6": ["2001:db8::1"],
    }
    assert told.unknown == ("mx",)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no name"), "absent"),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), "unknown"),
        (OSError("the resolver is away"), "unknown"),
        (TimeoutError(), "unknown"),
    ],
)
def test_only_a_resolver_that_says_so_makes_a_name_absent(error: Exception, state: str) -> None:
    check = dns.DnsCheck(resolving(error))
    assert asyncio.run(check.check(asked("dns", host="a.example"))).state == state


# Certificates


class Certificate:
    def __init__(self, folder: Path, *, days: float, name: str = "localhost") -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        if name == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - 400 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.pem = made.public_bytes(serialization.Encoding.PEM)
        self.file = folder / "certificate.pem"
        self.file.write_bytes(
            self.pem
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def certified(
    folder: Path, expects: Mapping[str, Any], *, days: float, trusted: bool = True, **more: Any
) -> ports.Told:
    name = more.pop("name", "localhost")
    certificate = Certificate(folder, days=days, name=name)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.file)

    async def main() -> ports.Told:
        async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        try:
            async with answering.calling() as client:
                assert isinstance(client, outbound_client.Client)
                trust = certificate.pem.decode() if trusted else None
                check = tls.TlsCheck(tcp.Connector(client), clocks.SystemClock(), trust=trust)
                return await check.check(asked("tls", expects, host="127.0.0.1", port=port, **more))
        finally:
            server.close()

    return asyncio.run(main())


def test_a_certificate_is_seen(tmp_path: Path) -> None:
    expects = {
        "days_left": {"$min": 14},
        "trusted": True,
        "subject": "localhost",
        "issuer": "localhost",
        "names": ["127.0.0.1", "localhost"],
        "protocol": "TLSv1.3",
        "colour": "red",
    }
    told = certified(tmp_path, expects, days=30.5)
    assert told.value == {
        **{name: each for name, each in expects.items() if name != "colour"},
        "days_left": 30,
        "healthy": True,
    }
    assert told.unknown == ("colour",)


@pytest.mark.parametrize(
    ("days", "given", "said"),
    [
        (13.5, {}, "expires in 13 days"),
        (-1.5, {}, "has expired"),
        (30, {"min_days": 60}, "expires in"),
        (30, {"trusted": False}, "not trusted"),
        (30, {"name": "another.example"}, "not trusted"),
    ],
)
def test_a_certificate_that_expires_or_is_not_trusted_is_not_healthy(
    tmp_path: Path, days: float, given: dict[str, Any], said: str
) -> None:
    told = certified(tmp_path, {}, days=days, **given)
    assert told.value == {"healthy": False}
    assert said in told.detail


@pytest.mark.parametrize(
    ("expects", "given", "least"),
    [({}, {}, 14), ({}, {"min_days": 30}, 30), ({"days_left": {"$min": 20}}, {}, 20)],
)
def test_a_certificate_tells_when_too_few_days_will_be_left(
    tmp_path: Path, expects: dict[str, Any], given: dict[str, Any], least: int
) -> None:
    told = certified(tmp_path, expects, days=60, **given)
    assert told.outlook is not None
    left_us = told.outlook.runs_out["certificate"] - clocks.SystemClock().now()
    assert left_us / clocks.SECOND_US / 86_400 == pytest.approx(60 - least, abs=0.01)


def test_a_server_that_is_away_says_nothing_of_its_certificate() -> None:
    assert look("tls", host="127.0.0.1", port=closed_port()).state == "unknown"


def test_a_server_without_tls_is_not_healthy(site: str) -> None:
    told = look("tls", {"days_left": 1}, url=site.replace("http:", "https:"))
    assert (told.value, told.kind) == ({"healthy": False}, "failed_call")
    assert told.unknown == ("days_left",)
