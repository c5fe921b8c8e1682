"""A server that wants to know who asks, and commands that show it."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "correct horse battery"


class Person:
    """Runs commands with a configuration of his own."""

    def __init__(self, serving: Any, home: Path, *where: str) -> None:
        self._command = serving.COMMAND
        self._env = {
            **serving.environment(),
            "HELIOS_AUTH": "on",
            "XDG_CONFIG_HOME": str(home / "config"),
            "HOME": str(home),
        }
        self._where = where
        self._home = home
        home.mkdir(exist_ok=True)

    def says(
        self, *arguments: str, given: str = "", **env: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self._command, *arguments, *self._where],
            capture_output=True,
            text=True,
            check=False,
            input=given,
            cwd=self._home,
            timeout=60,
            env={**self._env, **env},
        )

    def does(self, *arguments: str, given: str = "", **env: str) -> str:
        done = self.says(*arguments, given=given, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_(self, **env: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.does("whoami", "-o", "json", **env))
        return found


@pytest.mark.slow
def test_people_and_programs_sign_in_at_a_server(serving: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving.serving(data, env={"HELIOS_AUTH": "on"}) as server:
        # Whoever may read the data folder may do everything.
        keeper = Person(serving, tmp_path / "keeper", "--data-dir", str(data))
        token_file = data / "access" / "local.token"
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600

        stranger = Person(serving, tmp_path / "stranger", "--url", server.url)
        refused = stranger.says("users", "list")
        assert refused.returncode != 0
        assert "sign in" in refused.stderr
        assert f"helios login --url {server.url}" in refused.stderr

        keeper.does(
            "users", "invite", "alice", "--grant", "operator@acme", "--from-stdin", given=PASSWORD
        )
        alice = Person(serving, tmp_path / "alice", "--url", server.url)
        alice.does("login", "--name", "alice", "--from-stdin", given=PASSWORD)
        assert alice.is_()["tenants"] == ["acme"]
        assert " helios/" in alice.does("sessions", "list")
        assert alice.does("logout") == "signed out\n"

        secret = keeper.does("tokens", "issue", "ci", "--grant", "viewer@acme").strip()
        kept = tmp_path / "token"
        kept.write_text(secret + "\n")
        assert stranger.is_(HELIOS_TOKEN_FILE=str(kept))["name"] == "ci"

        link = keeper.does("users", "link").strip()
        assert link.startswith(f"{server.url}/link#token=")
        stranger.does("login", "--link", "--from-stdin", given=link)
        assert stranger.is_()["name"] == "admin"

        everything = b"".join(
            path.read_bytes() for path in data.rglob("*") if path.is_file() and path != token_file
        )
        local = token_file.read_text()
        for canary in (PASSWORD, secret[-43:], link[-43:], local[-43:]):
            assert canary.encode() not in everything
        assert server.stop() == 0
    assert not token_file.exists()
    written = "".join(path.name for path in (data / "access").rglob("*"))
    assert "span-" in written
    assert os.name == "nt" or stat.S_IMODE((data / "access").stat().st_mode) == 0o700
