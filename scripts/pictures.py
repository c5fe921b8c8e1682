#!/usr/bin/env python3
"""Pictures of the console, for people to look at.

    scripts/pictures.py                         every screen in every look, into .cache/pictures
    scripts/pictures.py /events /streams        these screens
    scripts/pictures.py --out docs/pictures --theme light --size wide --state full --plain

Starts servers of its own, one with data and one without, where nobody needs to sign in; `--url`
takes the pictures of a server that runs. A picture is called `<state>-<size>-<theme>-<screen>.png`,
with `--plain` just `<screen>.png`. Each line that is printed is a picture, with what the page
complained of after it; exit with 1 if one did. Needs a Chromium (`scripts/chromium.py install`)
and the built pages (`make ui`).
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from playwright import sync_api

from helios.api import console
from helios.testing import browsing, browsing_data

OUT = browsing.ROOT / ".cache" / "pictures"
STATES = ("full", "empty")
_NOT_BY_ITSELF = ("link", "sign-in")


def screens() -> list[str]:
    """Paths of the screens that can be gone to without knowing anything."""
    return ["/", *(f"/{area}" for area in console.AREAS if area not in _NOT_BY_ITSELF), "/sign-in"]


def name_of(path: str) -> str:
    """What a picture of a path is called."""
    plain = path.partition("?")[0].strip("/").replace("/", "-")
    return plain or "overview"


def picture(
    browser: sync_api.Browser, url: str, path: str, look: browsing.Look, file: Path
) -> list[str]:
    """Take one picture; returns what the page complained of."""
    watch = browsing.Watch()
    with browsing.context(browser, url, look) as context:
        context.on("page", watch.follow)
        page = context.new_page()
        page.goto(path)
        try:
            browsing.settled(page)
        except sync_api.TimeoutError:
            watch.tell("it is busy for ever")
        page.evaluate("() => document.fonts.ready")
        page.screenshot(path=file, animations="disabled", caret="hide")
    return watch.troubles


@contextlib.contextmanager
def served(state: str, url: str | None) -> Iterator[str]:
    """Address of a server in a state."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="helios-pictures-") as folder:
        filled = state == "full"
        with browsing_data.serving(Path(folder) / "helios", filled=filled) as found:
            yield found.url


def take(options: argparse.Namespace) -> bool:
    """Take all pictures that were asked for; whether no page complained."""
    options.out.mkdir(parents=True, exist_ok=True)
    states: Sequence[str] = options.state or (("full",) if options.url else STATES)
    fine = True
    with browsing.launched() as browser:
        for state in states:
            with served(state, options.url) as url:
                for path in options.paths or screens():
                    for size in options.size or get_args(browsing.Size):
                        for theme in options.theme or browsing.THEMES:
                            parts = () if options.plain else (state, size, theme)
                            file = options.out / f"{'-'.join((*parts, name_of(path)))}.png"
                            look = browsing.Look(theme=theme, size=size)
                            troubles = picture(browser, url, path, look, file)
                            print(file, *troubles, sep="\n  ", flush=True)
                            fine = fine and not troubles
    return fine


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Pictures of the console.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="such as /events?q=type:Order")
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder (default {OUT})")
    parser.add_argument("--url", help="of a server that runs; nobody may need to sign in there")
    parser.add_argument("--state", action="append", choices=STATES)
    parser.add_argument("--size", action="append", choices=get_args(browsing.Size))
    parser.add_argument("--theme", action="append", choices=browsing.THEMES)
    parser.add_argument("--plain", action="store_true", help="name pictures after screens alone")
    options = parser.parse_args()
    reason = browsing.missing()
    if reason:
        print(f"pictures.py: {reason}", file=sys.stderr)
        return 2
    return 0 if take(options) else 1


if __name__ == "__main__":
    sys.exit(main())
