"""A small CMS in memory that answers the calls of the Strapi adapter, for simulations.

Documents have drafts and published rows with row ids and times as Strapi's have. It answers
`outbound.Call`s, so the adapter, the poller and the gate run as they are; it can be made to fail.
"""

from typing import Any
from urllib import parse as urls

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound
from helios.providers import calling


class Cms:
    """Articles with drafts.

    Args:
        clock: its own.
    """

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        self._row_ids = 0
        self._documents = 0
        self.calls = 0
        self.fails: list[outbound.Answer | outbound.OutboundError] = []
        self.hooks: list[bytes] = []

    # Editors

    def create(self, title: str) -> str:
        """A new article, published at once; its documentId."""
        self._documents += 1
        document = f"doc{self._documents:04d}"
        self._put(document, "draft", title)
        self._put(document, "published", title)
        return document

    def update(self, document: str, title: str) -> None:
        """Change it and publish."""
        self._put(document, "draft", title)
        self._put(document, "published", title)

    def edit(self, document: str, title: str) -> None:
        """Change the draft alone."""
        self._put(document, "draft", title)

    def discard(self, document: str) -> None:
        """Take the draft back to what is published: a new row with the old times."""
        self._row_ids += 1
        row = {**self._rows[document, "published"], "id": self._row_ids, "publishedAt": None}
        self._rows[document, "draft"] = row
        self._tell("entry.draft-discard", row)

    def unpublish(self, document: str) -> None:
        row = self._rows.pop((document, "published"), None)
        if row is not None:
            self._tell("entry.unpublish", row)

    def delete(self, document: str) -> None:
        for stage in ("draft", "published"):
            row = self._rows.pop((document, stage), None)
            if row is not None:
                self._tell("entry.delete", row)

    def articles(self, stage: str) -> dict[str, str]:
        """Titles by documentId."""
        return {d: row["title"] for (d, s), row in self._rows.items() if s == stage}

    def _put(self, document: str, stage: str, title: str) -> None:
        now = calling.rfc3339_ms(self._clock.now())
        before = self._rows.get((document, stage))
        draft = self._rows.get((document, "draft"))
        self._row_ids += 1
        kept = before["id"] if before is not None and stage == "draft" else self._row_ids
        row = {
            "id": kept,
            "documentId": document,
            "title": title,
            "createdAt": draft["createdAt"] if draft else now,
            "updatedAt": draft["updatedAt"] if stage == "published" and draft else now,
            "publishedAt": now if stage == "published" else None,
        }
        self._rows[document, stage] = row
        self._tell(
            "entry.publish"
            if stage == "published"
            else ("entry.create" if before is None else "entry.update"),
            row,
        )

    def _tell(self, event: str, row: dict[str, Any]) -> None:
        body = {
            "event": event,
            "createdAt": calling.rfc3339_ms(self._clock.now()),
            "model": "article",
            "entry": row,
        }
        self.hooks.append(jsonio.encode(body))

    # The API

    async def permit(self, url: str) -> None:
        """See `outbound.Outbound.permit`; everything may be called here."""

    async def send(self, call: outbound.Call) -> outbound.Answer:
        """See `outbound.Outbound.send`."""
        self.calls += 1
        await self._clock.sleep(0.01)
        if self.fails:
            fault = self.fails.pop(0)
            if isinstance(fault, outbound.OutboundError):
                raise fault
            return fault
        url = urls.urlsplit(call.url)
        asked = dict(urls.parse_qsl(url.query, strict_parsing=True))
        rows = [row for (_, stage), row in self._rows.items() if stage == asked["status"]]
        rows = sorted((row for row in rows if _fits(row, asked)), key=_place)
        body = {"data": rows[: int(asked["pagination[pageSize]"])]}
        return outbound.Answer(status=200, headers={}, body=jsonio.encode(body))


class _Place(msgspec.Struct, frozen=True, order=True):
    at: str
    row: int


def _place(row: dict[str, Any]) -> _Place:
    return _Place(row["updatedAt"], row["id"])


def _fits(row: dict[str, Any], asked: dict[str, str]) -> bool:
    documents = {v for k, v in asked.items() if k.startswith("filters[documentId][$in]")}
    if documents and row["documentId"] not in documents:
        return False
    since = asked.get("filters[$and][0][$or][0][updatedAt][$gte]", "")
    if max(row["updatedAt"], row["publishedAt"] or "") < since:
        return False
    at = asked.get("filters[$and][1][$or][0][updatedAt][$gt]")
    if at is None:
        return True
    last = int(asked["filters[$and][1][$or][1][$and][1][id][$gt]"])
    return _place(row) > _Place(at, last)
