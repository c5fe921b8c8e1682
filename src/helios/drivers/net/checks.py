"""The checks of this package, by kind."""

from helios.drivers.net import dns, http, tcp, tls
from helios.kernel import clock as clocks
from helios.kernel import outbound
from helios.reconcile.compositions.observing import ports


def made(
    client: outbound.Outbound, resolver: outbound.Resolver, clock: clocks.Clock
) -> dict[str, ports.ResourceCheck]:
    """Put them together.

    Args:
        client: makes calls.
        resolver: finds checked addresses; the outbound client is one.
        clock: for what expires.
    """
    connector = tcp.Connector(resolver)
    return {
        http.KIND: http.HttpCheck(client, connector),
        tcp.KIND: tcp.TcpCheck(connector),
        dns.KIND: dns.DnsCheck(),
        tls.KIND: tls.TlsCheck(connector, clock),
    }
