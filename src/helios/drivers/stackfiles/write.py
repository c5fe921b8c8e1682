"""Writes files of stacks: makes what is missing, sets fields of documents.

A file is written beside its place and renamed into it, so that nobody ever reads half of it. What
else stands in a document stays; a file is never deleted.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from helios.drivers.stackfiles import place
from helios.heal import ports as heal_ports
from helios.kernel import errors, jsonio, yamldoc
from helios.reconcile.compositions import ports

BYTES_MAX = 4 << 20
_FORMATS = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
_TEXT = ("text", "content")
_SEEN_ONLY = ("size", "sha256")


class FileWriter:
    """`heal.ports.ResourceWriter` for kind `file`.

    Fields: `text` or `content`, all that stands in it; `json`, fields of its document by name; any
    other is a field of the document, a dotted one (`build.version`) at its path; `mode` such as
    `0640`. What is made may also say `settings.content`. JSON is also YAML: a YAML document whose
    fields are set is written as JSON.

    Args:
        root: files are below this folder; None: none are.
    """

    kinds: ClassVar[tuple[str, ...]] = ("file",)

    def __init__(self, root: Path | None) -> None:
        self._root = root

    def plan(self, task: heal_ports.Task) -> str:
        """See `heal.ports.ResourceWriter.plan`."""
        name = _path(task)
        if task.verb == "rebuild":
            raise ports.HealError("unsupported", f"file {name} does not say how it is built")
        self._place(task)
        fields = [field for field in _wanted(task) if field not in _SEEN_ONLY]
        if task.verb == "create":
            return f"write file {name}" + (f" with {', '.join(fields)}" if fields else "")
        if not fields:
            raise ports.HealError(
                "unsupported", f"{', '.join(_SEEN_ONLY)} of file {name} follow from its content"
            )
        return f"set {', '.join(fields)} in file {name}"

    async def carry_out(self, task: heal_ports.Task) -> ports.Acted:
        """See `heal.ports.ResourceWriter.carry_out`."""
        would = self.plan(task)
        found = self._place(task)
        try:
            return await asyncio.to_thread(_written, found, task, would)
        except OSError as error:
            code = "unauthorised" if isinstance(error, PermissionError) else "refused"
            raise ports.HealError(code, f"could not {would}: {error.strerror}") from None

    def _place(self, task: heal_ports.Task) -> Path:
        try:
            return place.below(self._root, _path(task))
        except errors.InvalidInputError as error:
            raise ports.HealError("unsupported", str(error)) from None


def _written(found: Path, task: heal_ports.Task, would: str) -> ports.Acted:
    before = _read(found)
    wanted = _wanted(task)
    if task.verb == "update" and before is None:
        raise ports.HealError("precondition_failed", f"{_path(task)} is not there any more")
    after = _after(task, before, wanted)
    if len(after) > BYTES_MAX:
        raise ports.HealError("unsupported", f"more than {BYTES_MAX} bytes are no file of a stack")
    digest = hashlib.sha256(after).hexdigest()
    if wanted.get("sha256") not in (None, digest):
        raise ports.HealError(
            "unsupported", f"what would stand in {_path(task)} has another sha256: declare content"
        )
    mode = wanted.get("mode")
    has_mode = mode is None or (before is not None and found.stat().st_mode & 0o777 == _mode(mode))
    if before == after and has_mode:
        return ports.Acted(detail=f"{_path(task)} was as declared")
    if task.verb == "create" and before is not None:
        raise ports.HealError("precondition_failed", f"{_path(task)} is there, and is another")
    if before != after:
        _replace(found, after, None if before is None else found.stat().st_mode & 0o777)
    if mode is not None:
        found.chmod(_mode(mode))
    return ports.Acted(
        detail=f"did {would}",
        undo=_undo(task, before, wanted),
        changes=_changes(task, before, wanted),
    )


def _wanted(task: heal_ports.Task) -> dict[str, Any]:
    settings = task.resource.settings
    given = {"content": settings["content"]} if "content" in settings else {}
    # What a new file holds is all that is declared; of one that is there only what drifted is set.
    return {**given, **task.wanted} if task.verb == "create" else dict(task.wanted)


def _after(task: heal_ports.Task, before: bytes | None, wanted: Mapping[str, Any]) -> bytes:
    text = next((str(wanted[name]) for name in _TEXT if name in wanted), None)
    fields = {n: v for n, v in wanted.items() if n not in (*_TEXT, *_SEEN_ONLY, "mode", "json")}
    said = wanted.get("json")
    fields |= said if isinstance(said, Mapping) else {}
    body = before if text is None else text.encode()
    if not fields:
        if body is None:
            raise ports.HealError(
                "unsupported", f"nothing says what stands in {_path(task)}: declare its content"
            )
        return body
    form = task.resource.settings.get("format") or _FORMATS.get(Path(_path(task)).suffix.lower())
    if form == "text" or (form is None and "json" not in wanted):
        raise ports.HealError("unsupported", f"{_path(task)} is text: it has no fields")
    document = _document(body, form, task)
    for name, value in fields.items():
        _set(document, name, value)
    return msgspec.json.format(jsonio.encode(document), indent=2) + b"\n"


def _document(body: bytes | None, form: object, task: heal_ports.Task) -> dict[str, Any]:
    if body is None:
        return {}
    try:
        parsed = yamldoc.parse(body.decode()).plain() if form == "yaml" else jsonio.parse(body)
    except (errors.InvalidInputError, UnicodeDecodeError):
        raise ports.HealError(
            "precondition_failed", f"{_path(task)} holds no document whose fields could be set"
        ) from None
    if not isinstance(parsed, dict):
        raise ports.HealError("precondition_failed", f"{_path(task)} holds no object")
    return parsed


def _set(document: dict[str, Any], name: str, value: Any) -> None:
    """As the check reads it: a field of this very name goes before a path."""
    steps = [name] if name in document else name.split(".")
    at: Any = document
    for step in steps[:-1]:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    if isinstance(at, list):
        at[int(steps[-1])] = value
    else:
        at[steps[-1]] = value


def _read(path: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return None


def _replace(path: Path, body: bytes, mode: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _undo(
    task: heal_ports.Task, before: bytes | None, wanted: Mapping[str, Any]
) -> dict[str, Any] | None:
    """All that stood there; None: there was none, or it is no text."""
    if before is None or "mode" in wanted:
        return None
    try:
        return {"set": {"text": before.decode()}} if task.verb == "update" else None
    except UnicodeDecodeError:
        return None


def _changes(
    task: heal_ports.Task, before: bytes | None, wanted: Mapping[str, Any]
) -> dict[str, Any]:
    if before is None:
        return {"": [None, _path(task)]}
    return {name: [task.was.get(name), value] for name, value in wanted.items()}


def _mode(value: Any) -> int:
    return int(str(value), 8) & 0o777


def _path(task: heal_ports.Task) -> str:
    settings = task.resource.settings
    return str(settings.get("path") or settings.get("name") or task.resource.name)
