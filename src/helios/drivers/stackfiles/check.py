"""`file`: a file below one folder, and what stands in it.

Settings: `path`, below the folder; `format` (`json`, `yaml`, `text`; else by the name's end). Of
`expects` it knows `sha256`, `size` and `text`; any other field is looked for in the document, a
dotted one (`build.version`) at its path. A document that cannot be read is not healthy.
"""

import asyncio
import hashlib
import stat
from pathlib import Path
from typing import Any

import msgspec

from helios.drivers.stackfiles import place
from helios.kernel import errors, jsonio, yamldoc
from helios.reconcile.compositions.observing import ports

KIND = "file"
BYTES_MAX = 4 << 20
TEXT_CHARS_MAX = 10_000
_FORMATS = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
_OWN = ("healthy", "sha256", "size", "text")


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    body: bytes
    size: int


class FileCheck:
    """`ports.ResourceCheck`.

    Args:
        root: files are looked for below this folder; None: none are.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root

    async def check(self, asked: ports.Asked) -> ports.Told:
        """See `ports.ResourceCheck`."""
        path = asked.text("path", "name") or asked.resource.name
        found = place.below(self._root, path)
        try:
            read = await asyncio.to_thread(_read, found)
        except (FileNotFoundError, NotADirectoryError):
            return ports.absent(f"there is no file {path}")
        except OSError as error:
            return ports.unknown(f"{path} cannot be read ({error.strerror})")
        if read is None:
            return ports.unknown(f"{path} is not a file of at most {BYTES_MAX} bytes")
        form = asked.text("format") or _FORMATS.get(found.suffix.lower(), "text")
        return _told(asked, read, form)


def _read(path: Path) -> _Read | None:
    with path.open("rb") as file:
        body = file.read(BYTES_MAX + 1)
    is_file = stat.S_ISREG(path.stat().st_mode)
    return _Read(body=body, size=len(body)) if is_file and len(body) <= BYTES_MAX else None


def _told(asked: ports.Asked, read: _Read, form: str) -> ports.Told:
    expects = asked.resource.expects
    value: dict[str, Any] = {"healthy": True}
    if "sha256" in expects:
        value["sha256"] = hashlib.sha256(read.body).hexdigest()
    if "size" in expects:
        value["size"] = read.size
    if "text" in expects:
        value["text"] = read.body.decode("utf-8", "replace")[:TEXT_CHARS_MAX]
    fields = [name for name in expects if name not in _OWN]
    if form == "text":
        return ports.Told(state="present", value=value, unknown=tuple(fields))
    try:
        document = _document(read.body, form)
    except (errors.InvalidInputError, UnicodeDecodeError) as error:
        value["healthy"] = False
        return ports.Told(
            state="present", value=value, unknown=tuple(fields), detail=f"no {form}: {error}"
        )
    value |= {name: _at(document, name) for name in fields}
    return ports.Told(state="present", value=value)


def _document(body: bytes, form: str) -> Any:
    return jsonio.parse(body) if form == "json" else yamldoc.parse(body.decode()).plain()


def _at(document: Any, name: str) -> Any:
    if isinstance(document, dict) and name in document:
        return document[name]
    for step in name.split("."):
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document
