"""E-mail to a real server of SMTP on loopback: plain, with a login, encrypted, refusing."""

import asyncio
import datetime as dt
import email
import email.message
import email.policy
import ipaddress
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd import controller as controllers
from aiosmtpd import smtp as smtpd
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from helios.drivers.notify import mail
from helios.drivers.vault import store as vaults
from helios.heal.notices import message, notice, sending
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import policy
from helios.testing import answering

PASSWORD = "canary-0b6d"


class Inbox:
    """What a server took; `refuses` is what it answers to a message instead."""

    def __init__(self) -> None:
        self.taken: list[email.message.EmailMessage] = []
        self.recipients: list[str] = []
        self.refuses = ""
        self.was_encrypted = False
        self.user = b""

    async def handle_RCPT(  # noqa: N802 - the library's
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.refuses.startswith("550"):
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuses:
            return self.refuses
        self.was_encrypted = session.ssl is not None
        self.recipients += envelope.rcpt_tos
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        self.taken.append(parsed)
        return "250 OK"

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> smtpd.AuthResult:
        self.user = data.login
        return smtpd.AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def plain(inbox: Inbox) -> Iterator[int]:
    yield from _serving(inbox)


class AnyPort(controllers.Controller):
    """Listens on a free port, which the library would have us guess."""

    def _create_server(self) -> Any:
        listening = socket.create_server((self.hostname, 0))
        self.port = listening.getsockname()[1]
        return self.loop.create_server(self._factory_invoker, sock=listening)

    def stop(self, no_assert: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        """After the connections are closed: the library leaves them to the collector of garbage,
        which complains in a test that has nothing to do with them."""
        asyncio.run_coroutine_threadsafe(closed(sockets=2), self.loop).result()
        super().stop(no_assert)


async def closed(*, sockets: int = 1) -> None:
    """Wait until the loop watches only so many sockets: its own for waking up is always there."""
    watched = getattr(asyncio.get_running_loop(), "_selector").get_map()  # noqa: B009
    async with asyncio.timeout(60):
        while len(watched) > sockets:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
    # A transport that is closing lets go of its socket in the next turn.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def _serving(inbox: Inbox, **options: Any) -> Iterator[int]:
    server = AnyPort(inbox, hostname="127.0.0.1", port=1, **options)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


class Certified:
    """A key and a certificate for 127.0.0.1 that nobody else has signed."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        today = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(today)
            .not_valid_after(today + dt.timedelta(days=36_500))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.pem = made.public_bytes(serialization.Encoding.PEM).decode()
        file = folder / "server.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + self.pem.encode()
        )
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(file)


def said(title: str = "[high] acme/shop: drift", detail: str = "") -> message.Message:
    line = notice.Notice(
        kind="drift_detected",
        does="open",
        client_id="acme",
        stack_id="shop",
        subject="stack:shop",
        item="acme/shop/drift-1",
        severity="high",
        at="2026-01-01T00:00:00Z",
        headline="drift: webhook_broken at integration/cms",
        detail=detail,
        links=(notice.Link(text="look at it", command="helios drift show acme/shop drift-1"),),
    )
    return message.Message(
        key="ntc_1",
        incident="helios/acme/stack:shop",
        status="firing",
        client_id="acme",
        stack_id="shop",
        severity="high",
        title=title,
        at=line.at,
        lines=(line,),
    )


async def send(
    url: str | None,
    *,
    addresses: tuple[str, ...] = ("ada@example.com", "bob@example.com"),
    text: message.Message | None = None,
    trust: str | None = None,
    environment: dict[str, str] | None = None,
) -> None:
    vault = vaults.FolderVault(Path(), environment or {})
    async with answering.calling() as client:
        made = mail.Mail(
            url,
            "",
            resolver=client,  # type: ignore[arg-type]
            vault=vault,
            clock=clocks.SystemClock(),
            look=lambda _: "http://helios.test/look",
            trust=trust,
        )
        channel = policy.Channel(type="email", name="mail", addresses=addresses)
        try:
            await sending.Senders({"email": made}, vault).send(channel, text or said())
        finally:
            await closed()


def test_a_mail_arrives_with_what_to_do_next(plain: int, inbox: Inbox) -> None:
    asyncio.run(send(f"smtp://127.0.0.1:{plain}"))
    (taken,) = inbox.taken
    assert taken["subject"] == "[high] acme/shop: drift"
    assert taken["from"] == "helios@127.0.0.1"
    assert taken["message-id"] == "<ntc_1@helios>"
    assert taken["auto-submitted"] == "auto-generated"
    assert inbox.recipients == ["ada@example.com", "bob@example.com"]
    text = taken.get_content()
    assert "webhook_broken at integration/cms" in text
    assert "helios drift show acme/shop drift-1" in text
    assert "http://helios.test/look" in text


def test_the_server_may_be_named_by_a_reference(plain: int, inbox: Inbox) -> None:
    url = {"SMTP": f"smtp://127.0.0.1:{plain}"}
    asyncio.run(send("env:SMTP", environment=url))
    assert len(inbox.taken) == 1


def test_what_comes_from_outside_cannot_add_a_header(plain: int, inbox: Inbox) -> None:
    title = notice.line("drift\r\nBcc: eve@example.com\r\n\r\nbody")
    asyncio.run(send(f"smtp://127.0.0.1:{plain}", text=said(title)))
    (taken,) = inbox.taken
    assert taken["bcc"] is None
    assert inbox.recipients == ["ada@example.com", "bob@example.com"]


def test_a_login_goes_through_starttls_with_a_verified_certificate(
    tmp_path: Path, inbox: Inbox
) -> None:
    certified = Certified(tmp_path)
    options = {
        "tls_context": certified.context,
        "require_starttls": True,
        "authenticator": inbox.authenticate,
    }
    for port in _serving(inbox, **options):
        url = f"smtp+starttls://helios:{PASSWORD}@127.0.0.1:{port}"
        asyncio.run(send(url, trust=certified.pem))
        assert inbox.was_encrypted
        assert inbox.user == b"helios"
        with pytest.raises(sending.NotToldError) as caught:
            asyncio.run(send(url))
        assert len(inbox.taken) == 1
        assert PASSWORD not in caught.value.detail


def test_a_wrong_password_is_told_without_the_password(tmp_path: Path, inbox: Inbox) -> None:
    certified = Certified(tmp_path)
    options = {"tls_context": certified.context, "authenticator": inbox.authenticate}
    for port in _serving(inbox, **options):
        with pytest.raises(sending.NotToldError) as caught:
            asyncio.run(send(f"smtp+starttls://helios:wrong@127.0.0.1:{port}", trust=certified.pem))
        assert "535" in caught.value.detail
        assert "wrong" not in caught.value.detail
        assert not caught.value.permanent


def test_a_server_that_refuses_for_now_is_tried_again(plain: int, inbox: Inbox) -> None:
    inbox.refuses = "451 come later"
    with pytest.raises(sending.NotToldError) as caught:
        asyncio.run(send(f"smtp://127.0.0.1:{plain}"))
    assert "451" in caught.value.detail
    assert not caught.value.permanent


def test_addresses_that_nobody_has_are_not_tried_again(plain: int, inbox: Inbox) -> None:
    inbox.refuses = "550 no such user"
    with pytest.raises(sending.NotToldError) as caught:
        asyncio.run(send(f"smtp://127.0.0.1:{plain}"))
    assert caught.value.permanent


def test_nothing_listens_there(plain: int) -> None:
    with pytest.raises(sending.NotToldError, match=r"^127\.0\.0\.1: ConnectionRefusedError"):
        asyncio.run(send("smtp://127.0.0.1:1"))


def test_an_address_that_is_not_public_is_refused_unless_allowed() -> None:
    with pytest.raises(sending.NotToldError, match="outbound_allow"):
        asyncio.run(send("smtp://127.0.0.2:25"))


def test_without_a_setting_the_error_says_which() -> None:
    with pytest.raises(sending.NotToldError, match="HELIOS_SMTP_URL"):
        asyncio.run(send(None))


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiosmtplib", None)
    with pytest.raises(sending.NotToldError, match=r"pip install 'helios\[notify\]'"):
        asyncio.run(send("smtp://127.0.0.1:25"))


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example.com",
        "smtp://",
        "smtps://mail.example.com/box",
        "smtp+starttls://user@mail.example.com",
        "smtp://mail.example.com:many",
        f"smtp://user:{PASSWORD}@mail.example.com",
    ],
)
def test_a_bad_address_of_a_server_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        mail.server(url)
    assert PASSWORD not in str(caught.value)
    assert "user@" not in str(caught.value)


def test_the_parts_of_a_password_may_be_escaped() -> None:
    found = mail.server("smtps://us%40er:p%2Fw@mail.example.com")
    assert (found.host, found.port, found.encryption) == ("mail.example.com", 465, "tls")
    assert found.user == "us@er"
    assert found.password is not None
    assert found.password.text == "p/w"
    assert "p/w" not in repr(found)
