"""`tls`: the certificate that a server shows.

Settings: `host` and `port` (443), or `url`; `min_days`: fewer days left are unhealthy (14);
`server_name` where another name than `host` is asked for. Of `expects` it knows:

    days_left       whole days until it expires
    not_after       when, as RFC 3339
    trusted         whether the system trusts it for this name
    issuer, subject common names, or the whole names where they have none
    names           the names it is for, sorted
    sha256          of the certificate, hex
    protocol        such as `TLSv1.3`
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from helios.drivers.net import tcp
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import model
from helios.reconcile.compositions.observing import ports

KIND = "tls"
PORT = 443
MIN_DAYS = 14
_DAY = 24 * 3600 * clocks.SECOND_US


class TlsCheck:
    """`ports.ResourceCheck`.

    Args:
        connector: makes connections.
        clock: what is left is counted from now.
        trust: extra certificate authorities, PEM; None: the system's alone.
    """

    def __init__(
        self, connector: tcp.Connector, clock: clocks.Clock, *, trust: str | None = None
    ) -> None:
        self._connector = connector
        self._clock = clock
        self._trust = trust

    async def check(self, asked: ports.Asked) -> ports.Told:
        """See `ports.ResourceCheck`. A server that cannot be reached says nothing of its
        certificate.
        """
        host, port = tcp.endpoint(asked.resource.settings, PORT)
        try:
            shown, protocol = await self._shown(host, port)
        except tcp.ClosedError as error:
            return ports.unknown(str(error))
        except ssl.SSLError as error:
            return ports.Told(
                state="present",
                value={"healthy": False},
                unknown=tuple(each for each in asked.resource.expects if each != "healthy"),
                detail=f"{host}:{port}: no TLS ({error.reason or 'handshake failed'})",
                kind="failed_call",
            )
        distrust = await self._distrust(host, port)
        return self._told(asked, x509.load_der_x509_certificate(shown), protocol, distrust)

    def _told(
        self, asked: ports.Asked, found: x509.Certificate, protocol: str, distrust: str | None
    ) -> ports.Told:
        left = clocks.from_datetime(found.not_valid_after_utc) - self._clock.now()
        days = left // _DAY
        wanted = asked.resource.settings.get("min_days")
        least = wanted if isinstance(wanted, int) else MIN_DAYS
        read: dict[str, Callable[[], Any]] = {
            "days_left": lambda: days,
            "not_after": lambda: clocks.to_rfc3339(clocks.from_datetime(found.not_valid_after_utc)),
            "trusted": lambda: None if distrust is None else not distrust,
            "issuer": lambda: _name(found.issuer),
            "subject": lambda: _name(found.subject),
            "names": lambda: _names(found),
            "sha256": lambda: found.fingerprint(hashes.SHA256()).hex(),
            "protocol": lambda: protocol,
        }
        fields = [each for each in asked.resource.expects if each != "healthy"]
        value = {name: read[name]() for name in fields if name in read}
        wrong = [distrust] if distrust else []
        if days < least:
            wrong.append(f"it expires in {days} days" if left > 0 else "it has expired")
        value["healthy"] = not wrong
        unknown = [name for name in fields if name not in read]
        if distrust is None:
            unknown += [name for name in ("trusted",) if value.pop(name, 0) is None]
        return ports.Told(
            state="present",
            value=value,
            unknown=tuple(unknown),
            detail="; ".join(wrong),
            outlook=_outlook(asked, found, least),
        )

    async def _shown(self, host: str, port: int) -> tuple[bytes, str]:
        """The certificate whatever it is, and the protocol."""
        lenient = ssl.create_default_context()
        lenient.check_hostname = False
        lenient.verify_mode = ssl.CERT_NONE
        async with self._connector.connected(host, port, tls=lenient) as (_, writer):
            made: ssl.SSLObject = writer.get_extra_info("ssl_object")
            found = made.getpeercert(binary_form=True)
            assert found is not None
            return found, made.version() or ""

    async def _distrust(self, host: str, port: int) -> str | None:
        """Why the certificate is not to be trusted; empty: it is; None: not known."""
        strict = ssl.create_default_context(cadata=self._trust)
        if self._trust is not None:
            strict.load_default_certs()
        try:
            async with self._connector.connected(host, port, tls=strict):
                return ""
        except ssl.SSLCertVerificationError as error:
            return f"it is not trusted: {error.verify_message}"
        except (ssl.SSLError, tcp.ClosedError, errors.HeliosError):
            return None


def _outlook(asked: ports.Asked, found: x509.Certificate, least: float) -> model.Outlook:
    """When fewer days will be left than are to be."""
    wanted = asked.resource.expects.get("days_left")
    days = wanted.get("$min") if isinstance(wanted, Mapping) else None
    most = max(least, days if isinstance(days, int | float) else 0)
    ends = clocks.from_datetime(found.not_valid_after_utc)
    return model.Outlook(runs_out={"certificate": clocks.Timestamp(ends - round(most * _DAY))})


def _name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def _names(found: x509.Certificate) -> list[str]:
    try:
        said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names = said.get_values_for_type(x509.DNSName)
    return sorted([*names, *map(str, said.get_values_for_type(x509.IPAddress))])
