"""Content that is a file in Git: what a file says of itself, and what an event of it means. Pure.

A file is its own id; its collection is the configured folder that it lies in, else the folder just
above. Title, slug, language and whether it is a draft are read from the front matter (YAML or
TOML between `---` or `+++`, or a JSON file), as far as they are plain values: nothing of a file is
run or expanded. The version is the time of the commit.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from helios.kernel import errors, jsonio
from helios.providers import calling, ports

TEXT_BYTES_MAX = 256 << 10
"""Text of a file that an event carries. Above: only where it is."""

_FENCED = re.compile(
    r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n(.*?)^\1[ \t]*\r?$", re.DOTALL | re.MULTILINE
)
_FIELD = re.compile(r"^([A-Za-z_][\w-]*)[ \t]*[:=][ \t]*(.*?)[ \t]*\r?$", re.MULTILINE)
_QUOTED = re.compile(r"""(["'])(.*)\1""")
_WORDS = (
    "title",
    "name",
    "slug",
    "lang",
    "language",
    "locale",
    "draft",
    "published",
    "date",
    "price",
)


def collection(path: str, folders: Sequence[str]) -> str:
    """The content type of a file: the name of its collection's folder."""
    for folder in folders:
        inner = folder.strip("/")
        if inner and path.startswith(f"{inner}/"):
            return posixpath.basename(inner)
    return posixpath.basename(posixpath.dirname(path)) or "content"


def is_below(path: str, folders: Sequence[str]) -> bool:
    """Whether a file lies in one of the folders, or there are none."""
    below = [folder.strip("/") + "/" for folder in folders if folder.strip("/")]
    return not below or path.startswith(tuple(below))


def fields(path: str, text: str) -> dict[str, Any]:
    """The plain values that a file says of itself."""
    if path.endswith(".json"):
        try:
            said = calling.mapping(jsonio.parse(text.encode()))
        except errors.InvalidInputError:
            return {}
        return {name: said[name] for name in _WORDS if calling.text(said.get(name)) is not None}
    fenced = _FENCED.match(text)
    found: dict[str, Any] = {}
    for name, value in _FIELD.findall(fenced[2]) if fenced else ():
        if name in _WORDS and value and value[0] not in "[{|>&*!":
            quoted = _QUOTED.fullmatch(value)
            found.setdefault(name, quoted[2] if quoted else value)
    return found


def change(
    kind: ports.Change, path: str, payload: Mapping[str, Any], folders: Sequence[str]
) -> ports.ContentChange:
    """What an event says of a file.

    Args:
        kind: what happened to it.
        path: of the file.
        payload: may hold `collection`, the commit's `time`, and `text` with the file's content.
        folders: of the source, where they are known.
    """
    of_type = str(payload.get("collection") or collection(path, folders))
    at = calling.latest(payload.get("time"))
    if kind == "deleted":
        version = calling.version(at, 1) if at else ""
        return ports.ContentChange(change=kind, id=path, type=of_type, version=version)
    text = payload.get("text")
    if not isinstance(text, str) or not at:
        return ports.ContentChange(change=kind, id=path, type=of_type)
    content = _content(path, of_type, text, payload)
    shown: ports.Change = "unpublished" if content.status == "draft" else kind
    return ports.ContentChange(
        change=shown, id=path, type=of_type, content=content, version=content.version
    )


def told(is_change: bool, payload: Mapping[str, Any]) -> Sequence[tuple[str, str]]:  # noqa: FBT001
    """That a file of a branch changed, as of a time."""
    at = calling.latest(payload.get("time"))
    if not is_change or not at or not isinstance(payload.get("path"), str):
        return ()
    return ((f"file/{payload.get('branch')}/{payload['path']}", calling.version(at)),)


def _content(path: str, of_type: str, text: str, payload: Mapping[str, Any]) -> ports.Content:
    said = fields(path, text)
    at = calling.latest(payload.get("time"))
    stem = posixpath.splitext(posixpath.basename(path))[0]
    if stem in ("index", "_index"):
        stem = posixpath.basename(posixpath.dirname(path)) or stem
    is_draft = (
        payload.get("draft") is True
        or str(said.get("draft")).lower() == "true"
        or str(said.get("published")).lower() == "false"
    )
    locale = said.get("lang") or said.get("language") or said.get("locale")
    return ports.Content(
        id=path,
        type=of_type,
        slug=calling.text(said.get("slug")) or stem,
        title=calling.text(said.get("title") or said.get("name")),
        status="draft" if is_draft else "published",
        locale=calling.text(locale),
        body_ref=calling.text(payload.get("ref")),
        price=calling.text(said.get("price")),
        updated_at=at,
        published_at=calling.instant(said.get("date")),
        version=calling.version(at),
        raw={"path": path, "commit": payload.get("after"), "fields": said, "text": text},
    )
