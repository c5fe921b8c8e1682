import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.drivers.outbound import policy
from helios.kernel import errors, outbound

NOTHING = policy.Allowed()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:0:0:0:0:80ff:fffe",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_an_address_that_is_not_public_is_refused_in_every_form(address: str) -> None:
    where = policy.target("https://example.com/")

    with pytest.raises(outbound.OutboundError) as caught:
        policy.check_address(where, address, NOTHING)

    assert caught.value.reason == "forbidden_address"


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_a_public_address_may_be_called(address: str) -> None:
    policy.check_address(policy.target("https://example.com/"), address, NOTHING)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_however_ipv6_carries_it(
    address: ipaddress.IPv4Address,
) -> None:
    number = int(address)
    carried = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
    ]

    assert {policy.is_public(found) for found in carried} == {policy.is_public(address)}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://user:pass@example.com/",
        "https://example.com\\@evil.example/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "https://",
        "https://example.com:99999/",
        "https://[::1/",
        "https://-example-.com:x/",
        "//example.com/",
        "https://ex%61mple.com/",
    ],
)
def test_a_url_that_two_readers_could_understand_differently_is_refused(url: str) -> None:
    with pytest.raises(outbound.OutboundError):
        policy.target(url)


def test_a_host_outside_the_list_of_the_call_is_refused_before_its_name_is_resolved() -> None:
    only = ("sns.eu-central-1.amazonaws.com", ".eventgrid.azure.net")
    for url in (
        "https://sns.eu-central-1.amazonaws.com.evil.example/",
        "https://evil.example/sns.eu-central-1.amazonaws.com",
        "https://eventgrid.azure.net/",
    ):
        with pytest.raises(outbound.OutboundError) as caught:
            policy.check_host(policy.target(url), NOTHING, only)
        assert caught.value.reason == "forbidden_host"

    policy.check_host(policy.target("https://rp.eventgrid.azure.net:553/x"), NOTHING, only)


def test_plain_http_is_only_for_what_is_allowed_by_name_or_network() -> None:
    where = policy.target("http://localhost:1337/api")

    with pytest.raises(outbound.OutboundError):
        policy.check_host(where, NOTHING, None)
    with pytest.raises(outbound.OutboundError):
        policy.check_host(where, policy.parse_allowed("localhost:1338"), None)

    policy.check_host(where, policy.parse_allowed("localhost:1337"), None)
    policy.check_address(where, "127.0.0.1", policy.parse_allowed("localhost:1337"))
    policy.check_address(where, "127.0.0.1", policy.parse_allowed("127.0.0.0/8"))


def test_plain_http_to_a_public_address_is_refused_though_some_network_is_allowed() -> None:
    allowed = policy.parse_allowed("10.0.0.0/8")
    where = policy.target("http://example.com/")
    policy.check_host(where, allowed, None)

    with pytest.raises(outbound.OutboundError):
        policy.check_address(where, "93.184.215.14", allowed)


@pytest.mark.parametrize("text", ["10.0.0.0/99", "http://x/", "a b", "user@host", "x:port"])
def test_what_is_neither_host_nor_network_is_named(text: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="outbound_allow"):
        policy.parse_allowed(text)
