#!/usr/bin/env python3
"""The real systems that tests run against: a CMS (Strapi), a shop (Vendure), a site (Eleventy), an
OpenID provider; and the rules of accessibility that pages are held to (axe).

    scripts/components.py install [NAME ...]        make sure that they are in the cache
    scripts/components.py status [NAME ...]         print where they are; exit with 3 if one is not
    scripts/components.py place NAME --folder DIR   lay its sources there, ready to run
    scripts/components.py start NAME --folder DIR   run it (a server); print how to reach it
    scripts/components.py stop --folder DIR         stop it and keep its data

Their few sources and the exact versions of all they need are in `components/`. Installing takes
minutes, so it is done once per lock file and Node version, into `~/.cache/helios/components`
(`HELIOS_COMPONENTS_CACHE` names another folder); a run links to it and keeps its own data.

`start` prints one line of JSON when the system answers: its url, process, log and credentials,
which are made up for this folder at its first start. It listens on 127.0.0.1 alone. Standard
library only; Node and npm must be there, and a C++ compiler for SQLite.
"""

import argparse
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import component_cache as cache

START_S = 180
STOP_S = 15
_POLL_S = 0.05
_PORT_TRIES = 3
_MARK = "component.json"
_SECRETS = "secrets.json"
_LOG = "server.log"
_TOKENS = "tokens.json"
_TAKEN = "EADDRINUSE"


def place(name: str, folder: Path) -> Path:
    """Lay the sources of an installed component into `folder`; return where they are.

    What the component itself has written there stays.

    Raises:
        ComponentError: it is not installed.
    """
    home = cache.installed(name)
    if not home:
        raise cache.ComponentError(
            f"{name} is not installed: run `scripts/components.py install {name}`"
        )
    component = cache.COMPONENTS[name]
    sources = folder / "app"
    shutil.copytree(
        component.sources,
        sources,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(cache.MODULES, "package-lock.json"),
    )
    for inner in component.folders:
        (sources / inner).mkdir(parents=True, exist_ok=True)
    modules = sources / cache.MODULES
    modules.unlink(missing_ok=True)
    modules.symlink_to(home / cache.MODULES, target_is_directory=True)
    return sources


def command(name: str) -> list[str]:
    """What runs a component; its working directory is what `place` returned."""
    return ["node", *cache.COMPONENTS[name].program]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that was started in a folder."""

    name: str
    pid: int
    born: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def start(
    name: str,
    folder: Path,
    port: int = 0,
    *,
    webhook_url: str = "",
    until_stdin_closes: bool = False,
) -> dict[str, object]:
    """Run a component with its data in `folder`; return how to reach it, once it answers.

    Args:
        folder: made when it is not there. A copy of it, taken while nothing runs in it, is a
            second system with the same content and the same credentials.
        port: 0 for the one it had before, else a free one.
        webhook_url: where vendure posts its events.
        until_stdin_closes: the server ends with whoever holds the other end of our standard
            input, however that ends.

    Raises:
        ComponentError: not installed, or it did not start.
    """
    component = cache.COMPONENTS[name]
    if component.health is None:
        raise cache.ComponentError(
            f"{name} is no server: use `place`, and build with {command(name)}"
        )
    with cache.locked(folder / "lock"):
        found = running(folder)
        if found and found.name != name:
            raise cache.ComponentError(f"{found.name} runs in {folder}: name another --folder")
        if not found:
            sources = place(name, folder)
            (folder / "data").mkdir(exist_ok=True)
            environment = _environment(folder, webhook_url, until_stdin_closes=until_stdin_closes)
            found = _launch(component, folder, sources, environment, port or _last_port(folder))
        return _describe(found, folder)


def _launch(
    component: cache.Component, folder: Path, sources: Path, environment: dict[str, str], port: int
) -> Running:
    for attempt in range(_PORT_TRIES):
        chosen = port or _free_port()
        with (folder / _LOG).open("a") as log:
            from_here = log.tell()
            process = subprocess.Popen(
                command(component.name),
                cwd=sources,
                env=environment | {"PORT": str(chosen)},
                stdin=None if "UNTIL_STDIN_CLOSES" in environment else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        found = Running(name=component.name, pid=process.pid, born=_born(process.pid), port=chosen)
        (folder / _MARK).write_text(json.dumps(vars(found)))
        ready = False
        try:
            ready = _wait_ready(component, process, chosen)
        finally:
            if not ready:
                cache.signal_group(process.pid, signal.SIGKILL)
                process.wait()
        if ready:
            return found
        said = (folder / _LOG).read_bytes()[from_here:].decode(errors="replace")
        if port or _TAKEN not in said or attempt == _PORT_TRIES - 1:
            break
    raise cache.ComponentError(
        f"{component.name} does not start on port {chosen}; the end of {folder / _LOG}:\n"
        f"{cache.tail(folder / _LOG)}"
    )


def _wait_ready(component: cache.Component, process: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(port, component.health or "/"):
            return True
        time.sleep(_POLL_S)
    return False


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def running(folder: Path) -> Running | None:
    """The server that runs in a folder, or None."""
    try:
        found = Running(**json.loads((folder / _MARK).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.born and _born(found.pid) == found.born else None


def stop(folder: Path, *, crash: bool = False) -> None:
    """End the server of a folder, if one runs there, and keep its data.

    Args:
        crash: it gets no chance to finish anything.

    Raises:
        ComponentError: it is still there.
    """
    found = running(folder)
    signals = [signal.SIGKILL] if crash else [signal.SIGTERM, signal.SIGKILL]
    for number in signals:
        if not running(folder) or not found:
            return
        cache.signal_group(found.pid, number)
        if _wait_gone(folder):
            return
    raise cache.ComponentError(f"the server in {folder} does not end")


def _wait_gone(folder: Path) -> bool:
    """Wait for the server of a folder to end; False when it still runs after a while."""
    deadline = time.monotonic() + STOP_S
    while running(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _describe(found: Running, folder: Path) -> dict[str, object]:
    known = _secrets(folder)
    about: dict[str, object] = {
        "name": found.name,
        "url": found.url,
        "pid": found.pid,
        "log": str(folder / _LOG),
        "admin_password": known["ADMIN_PASSWORD"],
    }
    if found.name == "vendure":
        return about | {
            "admin_user": "superadmin",
            "admin_api": f"{found.url}/admin-api",
            "shop_api": f"{found.url}/shop-api",
            "webhook_secret": known["WEBHOOK_SECRET"],
        }
    if found.name == "oidc-provider":
        return about | {
            "issuer": found.url,
            "client_id": "helios",
            "client_secret": known["CLIENT_SECRET"],
            "people": ["ada", "olga", "nina"],
        }
    tokens: dict[str, object] = json.loads((folder / "data" / _TOKENS).read_text())
    return about | tokens


def _environment(folder: Path, webhook_url: str, *, until_stdin_closes: bool) -> dict[str, str]:
    """All that the server sees: of ours only what a program needs to run."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ours = {
        "DATA_FOLDER": str(folder / "data"),
        # Strapi calls no webhook on a private address in production.
        "NODE_ENV": "development",
        "STRAPI_TELEMETRY_DISABLED": "true",
        "TZ": "UTC",
        "VENDURE_DISABLE_TELEMETRY": "true",
        "WEBHOOK_URL": webhook_url,
    }
    if until_stdin_closes:
        ours["UNTIL_STDIN_CLOSES"] = "1"
    return kept | ours | _secrets(folder)


def _secrets(folder: Path) -> dict[str, str]:
    """Made up at the first start: what is signed or stored with them must stay readable."""
    file = folder / _SECRETS
    if not file.exists():
        made = {
            "ADMIN_PASSWORD": f"Aa1{secrets.token_hex(12)}",
            "APP_SECRET": secrets.token_hex(32),
            "CLIENT_SECRET": secrets.token_hex(32),
            "WEBHOOK_SECRET": secrets.token_hex(32),
        }
        file.touch(mode=0o600)
        file.write_text(json.dumps(made))
    known: dict[str, str] = json.loads(file.read_text())
    return known


def _born(pid: int) -> str:
    """When a process began, empty if it has ended: a number alone may be another's by now."""
    asked = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, born = asked.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else born.strip()


def _last_port(folder: Path) -> int:
    try:
        return int(json.loads((folder / _MARK).read_text())["port"])
    except (OSError, ValueError):
        return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# The command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The real systems that tests run against.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    servers = [name for name, each in cache.COMPONENTS.items() if each.health]
    for verb in ("install", "status"):
        verbs.add_parser(verb).add_argument("names", nargs="*", metavar="NAME")
    for verb, names in (("place", list(cache.COMPONENTS)), ("start", servers)):
        named = verbs.add_parser(verb)
        named.add_argument("name", choices=names)
        named.add_argument("--folder", type=Path, required=True, help="where its data live")
    started = verbs.choices["start"]
    started.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    started.add_argument("--webhook-url", default="", help="where vendure posts its events")
    started.add_argument("--until-stdin-closes", action="store_true", help="end with the caller")
    stopped = verbs.add_parser("stop")
    stopped.add_argument("--folder", type=Path, required=True, help="where its data live")
    stopped.add_argument("--crash", action="store_true", help="kill it")
    return parser


def _names(given: Sequence[str]) -> list[str]:
    unknown = [name for name in given if name not in cache.COMPONENTS]
    if unknown:
        raise cache.ComponentError(
            f"no component {unknown[0]!r}: there are {', '.join(cache.COMPONENTS)}"
        )
    return list(given) or list(cache.COMPONENTS)


def _run(options: argparse.Namespace) -> int:
    if options.verb == "install":
        for name in _names(options.names):
            cache.install(name)
    elif options.verb == "status":
        found = {name: cache.installed(name) for name in _names(options.names)}
        for name, home in found.items():
            print(f"{name}: {home or 'not installed'}")
        return 0 if all(found.values()) else 3
    elif options.verb == "place":
        sources = place(options.name, options.folder.absolute())
        print(json.dumps({"sources": str(sources), "command": command(options.name)}))
    elif options.verb == "start":
        about = start(
            options.name,
            options.folder.absolute(),
            options.port,
            webhook_url=options.webhook_url,
            until_stdin_closes=options.until_stdin_closes,
        )
        print(json.dumps(about), flush=True)
    else:
        stop(options.folder.absolute(), crash=options.crash)
    return 0


def main() -> int:
    try:
        return _run(_parser().parse_args())
    except cache.ComponentError as error:
        print(f"components.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
