"""Builds of a client are switched off and on while the server runs."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

BUILT_S = 60.0
SWITCH = "/api/v1/configuration/builds.enabled"


def site(client_id: str) -> str:
    spec = {
        "content": {"sources": ["strapi"]},
        "build": {"type": "command", "command": ["true"], "workdir": "."},
    }
    return json.dumps(
        {
            "apiVersion": "helios.io/v1",
            "kind": "Site",
            "metadata": {"name": "blog", "client_id": client_id},
            "spec": spec,
        }
    )


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + BUILT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_builds_of_a_client_wait_while_they_are_off(serving: Any, tmp_path: Path) -> None:
    root = tmp_path / "sites"
    root.mkdir()
    options = ("--builds-root", str(root))
    env = {"HELIOS_AUTH": "off"}
    with (
        serving.serving(tmp_path / "data", *options, env=env) as server,
        httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http,
    ):

        def built(client_id: str) -> list[str]:
            found = http.get("/api/v1/builds", params={"client_id": client_id}).json()
            return [each["status"] for each in found["builds"]]

        off = http.put(SWITCH, params={"client_id": "acme"}, json={"value": False})
        assert off.is_success, off.text
        headers = {"content-type": "application/json"}
        for client_id in ("acme", "other"):
            declared = http.put("/api/v1/sites", content=site(client_id), headers=headers)
            assert declared.is_success, declared.text
        until(lambda: built("other") == ["succeeded"], "the other client's site is built")
        assert built("acme") == []
        on = http.put(SWITCH, params={"client_id": "acme"}, json={"value": True})
        assert on.is_success, on.text
        until(lambda: built("acme") == ["succeeded"], "it is built once builds are on")
