"""Proxies in front of a server: whose word on who calls is believed."""

import asyncio
import dataclasses
from collections.abc import Sequence

import httpx
import pytest

from helios import app_gate
from helios.api import asgi, server, web
from helios.api.routes import access_desk
from helios.kernel import errors, settings

FORWARDED = "x-forwarded-for"


async def _caller(proxies: Sequence[str], *forwarded: str) -> str:
    """Whom a server takes for the caller of a request that comes from this machine."""

    async def tell(request: web.Request) -> web.Response:
        return web.Response(body=access_desk.where(request).address.encode())

    route = web.Route(method="GET", path="/", handler=tell, summary="", tag="", replies={})
    listener = server.bind("127.0.0.1", 0)
    host, port = listener.getsockname()
    http = server.make(asgi.Application([route]), drain_s=1, proxies=proxies)
    serving = asyncio.ensure_future(server.serve(http, listener))
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            headers = [(FORWARDED, each) for each in forwarded]
            return (await client.get(f"http://{host}:{port}/", headers=headers)).text
    finally:
        http.should_exit = True
        await serving


@pytest.mark.parametrize(
    ("proxies", "forwarded", "caller"),
    [
        ((), ("203.0.113.9",), "127.0.0.1"),
        (("10.0.0.0/8",), ("203.0.113.9",), "127.0.0.1"),
        (("127.0.0.1",), (), "127.0.0.1"),
        (("127.0.0.1",), ("203.0.113.9",), "203.0.113.9"),
        (("127.0.0.0/8",), ("2001:db8::7",), "2001:db8::7"),
        # What the caller wrote stands before what the proxies add.
        (("127.0.0.1",), ("198.51.100.1, 203.0.113.9",), "203.0.113.9"),
        (("127.0.0.1",), ("198.51.100.1", "203.0.113.9"), "203.0.113.9"),
        (("127.0.0.1", "10.1.0.0/16"), ("198.51.100.1, 203.0.113.9, 10.1.2.3",), "203.0.113.9"),
    ],
)
def test_the_caller_is_whom_the_last_trusted_proxy_saw(
    proxies: Sequence[str], forwarded: Sequence[str], caller: str
) -> None:
    assert asyncio.run(_caller(proxies, *forwarded)) == caller


@pytest.mark.parametrize(
    "reached",
    [
        {"host": "0.0.0.0"},
        {"trusted_proxies": "127.0.0.1"},
        {"public_url": "https://helios.example.com"},
        {"public_url": "http://192.168.1.7:8420"},
    ],
)
def test_a_server_that_others_reach_is_not_open_to_everybody(reached: dict[str, str]) -> None:
    given = settings.Settings(**reached)  # type: ignore[arg-type]
    assert app_gate.reached_by_others(given) is not None
    app_gate.check(given)
    with pytest.raises(errors.InvalidInputError, match="others can reach this server") as caught:
        app_gate.check(dataclasses.replace(given, auth="off"))
    assert caught.value.field == "auth"


@pytest.mark.parametrize(
    "reached", [{}, {"public_url": "http://localhost:8420"}, {"host": "::1"}], ids=repr
)
def test_a_server_for_this_machine_alone_may_be_open(reached: dict[str, str]) -> None:
    app_gate.check(settings.Settings(auth="off", **reached))  # type: ignore[arg-type]


def test_proxies_are_read_from_the_settings() -> None:
    read = app_gate.proxies(settings.Settings(trusted_proxies=" 10.0.0.7,, 10.1.0.0/16 , ::1"))
    assert read == ("10.0.0.7", "10.1.0.0/16", "::1")
    assert app_gate.proxies(settings.Settings()) == ()


@pytest.mark.parametrize("text", ["*", "proxy.internal", "10.0.0.7/8", "10.0.0", "10.0.0.7:80"])
def test_what_is_no_address_is_refused_before_the_server_starts(text: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="expected an address") as caught:
        app_gate.check(settings.Settings(trusted_proxies=f"10.0.0.7, {text}"))
    assert caught.value.field == "trusted_proxies"
