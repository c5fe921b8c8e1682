"""E-mail, by a server of SMTP that the settings name.

The library is optional and loaded when the first mail is sent. It is given a connection that was
made to a checked address, and the name only for TLS to verify.
"""

import asyncio
import email.message
import email.utils
import hashlib
import socket
import ssl
import urllib.parse
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Literal, TypeAlias

import msgspec

from helios.heal.notices import message, rendering, sending
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret

CONNECT_S = 10.0
EXTRA = "e-mail needs one more package: pip install 'helios[notify]'"

Encryption: TypeAlias = Literal["none", "starttls", "tls"]
_SCHEMES: dict[str, tuple[Encryption, int]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}
_REFERENCES = ("env:", "file:", "secret:")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server of SMTP."""

    host: str
    port: int
    encryption: Encryption
    user: str | None = None
    password: secret.Secret | None = None


class Mail:
    """Sends e-mail.

    Args:
        url: of the server, or a reference to it; None: none is set, and nothing is sent.
        sender: the address that mail comes from; empty: `helios@` the server's host.
        resolver: checks the host and finds its addresses.
        vault: where secrets are.
        clock: for the date of a mail.
        look: where everything about a message is to be seen.
        trust: certificate authorities beside the system's, PEM.
    """

    def __init__(
        self,
        url: str | None,
        sender: str,
        *,
        resolver: outbound.Resolver,
        vault: secret.Vault,
        clock: clocks.Clock,
        look: Callable[[message.Message], str],
        trust: str | None = None,
    ) -> None:
        self._url = url
        self._sender = sender
        self._resolver = resolver
        self._vault = vault
        self._clock = clock
        self._look = look
        self._trust = trust

    async def send(self, place: sending.Place, said: message.Message) -> None:
        """See `sending.Sender`."""
        if self._url is None:
            raise errors.InvalidInputError(
                "no server for e-mail is set: set HELIOS_SMTP_URL, such as "
                "smtp+starttls://user:password@mail.example.com:587",
                field="smtp_url",
            )
        library = _library()
        where = server(_found(self._url, self._vault))
        made = self._mail(where, place.channel.addresses, said)
        try:
            await self._sent(library, where, made)
        except library.SMTPResponseException as error:
            raise _refused(error.code, error.message) from None
        except library.SMTPRecipientsRefused as error:
            codes = {each.code for each in error.recipients}
            raise _refused(max(codes), "no recipient was accepted") from None
        except (library.SMTPException, OSError) as error:
            raise sending.NotToldError(f"{where.host}: {type(error).__name__}") from None

    async def _sent(
        self, library: ModuleType, where: Server, made: email.message.EmailMessage
    ) -> None:
        secured = where.encryption == "tls"
        context = ssl.create_default_context(cadata=self._trust)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        smtp = library.SMTP(
            hostname=where.host,
            sock=await self._connected(where),
            use_tls=secured,
            start_tls=False,
            tls_context=context if secured else None,
            timeout=sending.TIMEOUT_S,
            local_hostname="helios",
        )
        async with smtp:
            if where.encryption == "starttls":
                await smtp.starttls(tls_context=context, server_hostname=where.host)
            if where.user is not None and where.password is not None:
                await smtp.login(where.user, where.password.text)
            await smtp.send_message(made)

    async def _connected(self, where: Server) -> socket.socket:
        """A connection to an address that was checked; a second resolution could differ."""
        failed: OSError = OSError("the name has no address")
        for address in await self._resolver.addresses(where.host, where.port):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            made = socket.socket(family, socket.SOCK_STREAM)
            made.setblocking(False)  # noqa: FBT003 - the library's
            try:
                async with asyncio.timeout(CONNECT_S):
                    await asyncio.get_running_loop().sock_connect(made, (address, where.port))
            except OSError as error:
                failed = error
                made.close()
            except BaseException:
                made.close()
                raise
            else:
                return made
        raise failed

    def _mail(
        self, where: Server, addresses: Sequence[str], said: message.Message
    ) -> email.message.EmailMessage:
        made = email.message.EmailMessage()
        made["Subject"] = said.title
        made["From"] = self._sender or f"helios@{where.host}"
        made["To"] = ", ".join(addresses)
        made["Date"] = email.utils.format_datetime(clocks.to_datetime(self._clock.now()))
        made["Message-ID"] = f"<{said.key}@helios>"
        thread = hashlib.blake2b(said.incident.encode(), digest_size=12).hexdigest()
        made["References"] = f"<{thread}@helios>"
        made["Auto-Submitted"] = "auto-generated"
        made["X-Helios-Severity"] = said.severity
        made.set_content(rendering.plain(said, self._look(said)))
        return made


def server(url: str) -> Server:
    """What the setting says.

    Raises:
        InvalidInputError: it is not the URL of a server of SMTP; does not hold the text, which has
            a password in it.
    """
    try:
        parts = urllib.parse.urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise _bad() from None
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.path.strip("/"):
        raise _bad()
    if (parts.username is None) != (parts.password is None):
        raise _bad()
    encryption, usual = _SCHEMES[parts.scheme]
    if parts.username is not None and encryption == "none" and not _is_loopback(parts.hostname):
        raise errors.InvalidInputError(
            "a password is not sent unencrypted: write smtp+starttls:// or smtps://",
            field="smtp_url",
        )
    unquote = urllib.parse.unquote
    return Server(
        host=parts.hostname,
        port=port or usual,
        encryption=encryption,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else secret.Secret(unquote(parts.password)),
    )


def _found(text: str, vault: secret.Vault) -> str:
    if not text.startswith(_REFERENCES):
        return text
    try:
        return vault.find(text).text
    except ValueError:
        raise _bad() from None


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def _library() -> ModuleType:
    try:
        import aiosmtplib  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise errors.StorageError(EXTRA) from error
    return aiosmtplib


def _refused(code: int, text: str) -> sending.NotToldError:
    """Answers of 5xx are for ever, but a login or a setting may be mended."""
    return sending.NotToldError(
        f"the mail server answers {code}: {text}", permanent=code in (550, 551, 552, 553, 554)
    )


def _bad() -> errors.InvalidInputError:
    return errors.InvalidInputError(
        "expected smtp://host, smtp+starttls://user:password@host:587 or "
        "smtps://user:password@host (not shown here, as it may hold a password)",
        field="smtp_url",
    )
