#!/usr/bin/env python3
"""A Chromium for the tests of the pages: the one that is here, or one from Debian's packages.

    scripts/chromium.py            print how to start it; exit with 3 if there is none
    scripts/chromium.py install    make sure that there is one, then print the same

It is looked for in `HELIOS_TEST_CHROMIUM`, then on the PATH, then where `install` puts it. As root
on Debian `install` has apt install the package; without root it downloads the package and what it
depends on and unpacks them into `~/.cache/helios/chromium` (`HELIOS_CHROMIUM_CACHE` names another
folder), some 900 MB. What is printed is one line of JSON: `executable`, and in `environment` what
has to be set for it to find its libraries. Standard library only.
"""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGE = "chromium"
EXIT_NONE = 3
_PROGRAM = Path("usr/lib/chromium/chromium")
_FONTS = "fonts-dejavu-core"
_INSTALL_S = 1_800
_TRY_S = 60


class ChromiumError(Exception):
    """There is none to be had; the message says why and what to do."""


def find() -> dict[str, object] | None:
    """How to start the Chromium that is here, or None.

    Raises:
        ChromiumError: `HELIOS_TEST_CHROMIUM` names none.
    """
    named = os.environ.get("HELIOS_TEST_CHROMIUM")
    if named:
        found = shutil.which(named)
        if not found:
            raise ChromiumError(f"HELIOS_TEST_CHROMIUM: there is no program {named}")
        return _about(Path(found))
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return _about(Path(found))
    unpacked = _place()
    if (unpacked / _PROGRAM).is_file():
        return _about(unpacked / _PROGRAM, unpacked)
    return None


def install() -> dict[str, object]:
    """The same; when there is none, one is installed first.

    Raises:
        ChromiumError: it cannot be had, or does not start.
    """
    found = find()
    if found is None:
        if os.geteuid() == 0 and shutil.which("apt-get"):
            _install_as_root()
        else:
            _unpack_in_cache()
        found = find()
    if found is None:
        raise ChromiumError(_remedy("the package holds no program where one was expected"))
    _check(found)
    return found


def _about(program: Path, root: Path | None = None) -> dict[str, object]:
    return {"executable": str(program), "environment": _environment(root) if root else {}}


def _environment(root: Path) -> dict[str, str]:
    """Where what was unpacked finds its libraries, and fonts where the machine has none."""
    triplet = f"{platform.machine()}-linux-gnu"
    libraries = [root / part / triplet for part in ("usr/lib", "lib")]
    libraries += [libraries[0] / "pulseaudio", root / "usr/lib/chromium"]
    environment = {"LD_LIBRARY_PATH": ":".join(str(each) for each in libraries)}
    if not Path("/etc/fonts/fonts.conf").is_file():
        environment["FONTCONFIG_FILE"] = str(root / "fonts.conf")
    return environment


def _check(found: dict[str, object]) -> None:
    extra = found["environment"]
    assert isinstance(extra, dict)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
        process = subprocess.Popen(
            [str(found["executable"]), *options, "--dump-dom", "data:text/html,<p>it%20runs</p>"],
            env={**os.environ, **extra},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said, trouble = process.communicate(timeout=_TRY_S)
        except subprocess.TimeoutExpired:
            process.kill()
            said, trouble = process.communicate()
    if "it runs" not in said:
        raise ChromiumError(f"{found['executable']} does not start: {trouble.strip()[-2000:]}")


def _install_as_root() -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wanted = ["apt-get", "install", "-y", "-q", "--no-install-recommends", PACKAGE, _FONTS]
    _say("installing the package chromium")
    if _ran(wanted, env=environment) != 0:
        _ran(["apt-get", "update", "-q"], env=environment)
        if _ran(wanted, env=environment) != 0:
            raise ChromiumError(_remedy("apt-get could not install it"))


def _unpack_in_cache() -> None:
    if not all(map(shutil.which, ("apt-get", "apt-cache", "dpkg-deb"))):
        raise ChromiumError(_remedy("this is no Debian, so it cannot be installed from here"))
    place = _place()
    with _locked(place.with_name(f".{place.name}.lock")):
        if (place / _PROGRAM).is_file():
            return
        work = Path(tempfile.mkdtemp(prefix=".chromium-", dir=place.parent))
        try:
            packages = _needed()
            _say(f"downloading {len(packages)} packages; this takes minutes")
            if _ran(["apt-get", "download", "-q", *packages], cwd=work) != 0:
                raise ChromiumError(_remedy("apt-get could not download it"))
            for each in sorted(work.glob("*.deb")):
                if _ran(["dpkg-deb", "-x", str(each), str(work)]) != 0:
                    raise ChromiumError(f"{each.name} cannot be unpacked: is the disk full?")
                each.unlink()
            (work / "fonts.conf").write_text(_fonts(place))
            shutil.rmtree(place, ignore_errors=True)
            work.rename(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _needed() -> list[str]:
    """The packages that it takes, all the way down; the C library stays the machine's."""
    asked = subprocess.run(
        [
            "apt-get",
            "--simulate",
            "--quiet",
            "--no-install-recommends",
            # As if nothing were installed: what is unpacked then depends on nothing that may go.
            "--option=Dir::State::status=/dev/null",
            "--option=Debug::NoLocking=1",
            "install",
            PACKAGE,
            _FONTS,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split() for line in asked.stdout.splitlines()]
    names = {words[1] for words in lines if words[:1] == ["Inst"]}
    if PACKAGE not in names:
        raise ChromiumError(_remedy(f"apt knows no such package: {asked.stderr.strip()[-300:]}"))
    return sorted(names - {"libc6", "libgcc-s1", "gcc-12-base"})


def _fonts(root: Path) -> str:
    return (
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">\n'
        f"<fontconfig><dir>{root}/usr/share/fonts</dir>"
        f"<cachedir>{root}/fontcache</cachedir></fontconfig>\n"
    )


def _place() -> Path:
    named = os.environ.get("HELIOS_CHROMIUM_CACHE")
    if named:
        return Path(named).absolute()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "helios" / "chromium"


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ran(command: list[str], **options: object) -> int:
    done = subprocess.run(  # type: ignore[call-overload]
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        timeout=_INSTALL_S,
        check=False,
        **options,
    )
    return int(done.returncode)


def _remedy(why: str) -> str:
    return (
        f"no Chromium here: {why}. Install one (on Debian as root: `apt-get install chromium`) or "
        "set HELIOS_TEST_CHROMIUM to the program"
    )


def _say(text: str) -> None:
    print(f"chromium.py: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """The command."""
    verbs = sys.argv[1:]
    if verbs not in ([], ["install"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        found = install() if verbs else find()
    except ChromiumError as error:
        print(f"chromium.py: {error}", file=sys.stderr)
        return 1
    if found is None:
        text = "there is none: run `scripts/chromium.py install`"
        print(f"chromium.py: {text}", file=sys.stderr)
        return EXIT_NONE
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
