"""A CMS as Strapi has it: articles, webhooks, and what its APIs answer. No I/O.

What a webhook has to tell is put into `outbox`; who serves it posts that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.kernel import clock as clocks

EVENTS = ("entry.create", "entry.delete", "entry.publish", "entry.unpublish", "entry.update")
TESTED = "trigger-test"
_ROWS_MAX = 100


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """A post that a webhook makes."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Cms:
    """One space of it.

    Args:
        clock: its own.
        content_token, admin_token: who may read content; who may manage webhooks.

    Attributes:
        outbox: what its webhooks have to post.
        is_silent: changes are told to nobody, as when a worker of it hangs.
    """

    def __init__(self, clock: clocks.Clock, *, content_token: str, admin_token: str) -> None:
        self._clock = clock
        self.content_token = content_token
        self.admin_token = admin_token
        self.outbox: list[Sending] = []
        self.is_silent = False
        self._rows: dict[str, dict[str, Any]] = {}
        self._hooks: dict[str, dict[str, Any]] = {}
        self._numbers = 0

    # -- editors --------------------------------------------------------------------------------

    @property
    def documents(self) -> list[str]:
        """Ids of the articles, oldest first."""
        return list(self._rows)

    def publish(self, document: str, title: str, body: str = "", *, age_s: float = 0.0) -> None:
        """Write an article, new or again, and publish it; `age_s`: that long ago."""
        self._numbers += 1
        at = _ms(self._clock.now() - int(age_s * clocks.SECOND_US))
        before = self._rows.get(document)
        row = {
            "id": self._numbers,
            "documentId": document,
            "title": title,
            "slug": document,
            "body": body,
            "createdAt": before["createdAt"] if before else at,
            "updatedAt": at,
            "publishedAt": at,
        }
        self._rows[document] = row
        self._tell("entry.publish", row)

    def _tell(self, event: str, row: Mapping[str, Any]) -> None:
        if self.is_silent:
            return
        said = {"event": event, "createdAt": _ms(self._clock.now()), "model": "article"}
        body = msgspec.json.encode({**said, "uid": "api::article.article", "entry": row})
        for hook in self._hooks.values():
            if hook["isEnabled"] and event in hook["events"]:
                self.outbox.append(sending(hook, event, body))

    # -- its API --------------------------------------------------------------------------------

    def listed(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """`GET /api/articles`: published ones, by time of change, after a place."""
        wanted = {v for k, v in asked.items() if k.startswith("filters[documentId][$in]")}
        since = asked.get("filters[$and][0][$or][0][updatedAt][$gte]", "")
        rows = [
            row
            for row in self._rows.values()
            if (not wanted or row["documentId"] in wanted) and row["updatedAt"] >= since
        ]
        after = asked.get("filters[$and][1][$or][0][updatedAt][$gt]")
        if after is not None:
            last = int(asked["filters[$and][1][$or][1][$and][1][id][$gt]"])
            rows = [row for row in rows if (row["updatedAt"], row["id"]) > (after, last)]
        rows.sort(key=lambda row: (row["updatedAt"], row["id"]))
        size = min(_ROWS_MAX, int(asked.get("pagination[pageSize]", _ROWS_MAX)))
        return {"data": rows[:size]}

    def one(self, document: str) -> dict[str, Any] | None:
        """`GET /api/articles/{documentId}`; None: there is none."""
        row = self._rows.get(document)
        return None if row is None else {"data": row}

    # -- its webhooks ---------------------------------------------------------------------------

    def hooks(self) -> list[dict[str, Any]]:
        """`GET /admin/webhooks`."""
        return list(self._hooks.values())

    def hook(self, hook_id: str) -> dict[str, Any] | None:
        """`GET /admin/webhooks/{id}`."""
        return self._hooks.get(hook_id)

    def add_hook(
        self, name: str, url: str, headers: Mapping[str, str], events: Sequence[str] = EVENTS
    ) -> dict[str, Any]:
        """`POST /admin/webhooks`: a new one is enabled."""
        self._numbers += 1
        made = {
            "id": self._numbers,
            "name": name,
            "url": url,
            "headers": dict(headers),
            "events": list(events),
            "isEnabled": True,
        }
        self._hooks[str(made["id"])] = made
        return made

    def set_hook(self, hook_id: str, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """`PUT /admin/webhooks/{id}`: what is given."""
        hook = self._hooks.get(hook_id)
        if hook is None:
            return None
        known = ("name", "url", "headers", "events", "isEnabled")
        hook |= {name: fields[name] for name in known if name in fields}
        return hook

    def drop_hook(self, hook_id: str) -> dict[str, Any] | None:
        """`DELETE /admin/webhooks/{id}`."""
        return self._hooks.pop(hook_id, None)

    def test_of(self, hook_id: str) -> Sending | None:
        """What is posted to try a webhook; None: there is none of this id."""
        hook = self._hooks.get(hook_id)
        if hook is None:
            return None
        said = {"event": TESTED, "createdAt": _ms(self._clock.now())}
        return sending(hook, TESTED, msgspec.json.encode(said))


def sending(hook: Mapping[str, Any], event: str, body: bytes) -> Sending:
    """What a webhook posts."""
    headers = {"content-type": "application/json", "x-strapi-event": event, **hook["headers"]}
    return Sending(url=hook["url"], headers=headers, body=body)


def _ms(at: int) -> str:
    """A time as Strapi writes it: with milliseconds."""
    whole = clocks.Timestamp(at // 1000 * 1000)
    text = clocks.to_rfc3339(whole).removesuffix("Z")
    head, _, fraction = text.partition(".")
    return f"{head}.{fraction[:3]:0<3}Z"
