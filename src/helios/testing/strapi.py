"""What a test says to a real Strapi: its articles and its webhooks, over its own APIs.

The content API has no verb to take an article back, so `publish` and `unpublish` go through the
API of the editors, with an admin token that may do nothing else. A third token may manage webhooks.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import httpx
import msgspec

ARTICLE = "api::article.article"
EVENTS = (
    "entry.create",
    "entry.update",
    "entry.delete",
    "entry.publish",
    "entry.unpublish",
    "media.create",
    "media.update",
    "media.delete",
)
TIMEOUT_S = 60
_PAGE = 100
_EDITOR = f"/content-manager/collection-types/{ARTICLE}"

Status = Literal["draft", "published"]
_T = TypeVar("_T")


class Article(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One version of an article. Times are ISO 8601 with milliseconds, in UTC.

    Attributes:
        id: of the row: drafts and published versions have their own, and each publish a new one.
        document_id: of the article, for ever.
        published_at: None in a draft.
    """

    id: int
    document_id: str
    title: str
    slug: str
    body: str | None = None
    section: str | None = None
    price: float | None = None
    created_at: str
    updated_at: str
    published_at: str | None = None


class Webhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook as Strapi has it; one that is created again has a new id."""

    id: str
    name: str
    url: str
    headers: dict[str, str]
    events: list[str]
    is_enabled: bool


def changed(webhook: Webhook, **fields: Any) -> Webhook:
    """A webhook with some fields set otherwise."""
    return msgspec.structs.replace(webhook, **fields)


class _One(msgspec.Struct):
    data: Article


class _Pagination(msgspec.Struct, rename="camel"):
    page_count: int


class _Meta(msgspec.Struct):
    pagination: _Pagination


class _Many(msgspec.Struct):
    data: list[Article]
    meta: _Meta


class _Hook(msgspec.Struct):
    data: Webhook


class _Hooks(msgspec.Struct):
    data: list[Webhook]


class _Probe(msgspec.Struct, rename="camel"):
    status_code: int


class _Probed(msgspec.Struct):
    data: _Probe


class _File(msgspec.Struct):
    id: int


class Client:
    """Speaks with one Strapi. An answer that is no success raises `httpx.HTTPStatusError`."""

    def __init__(
        self, url: str, *, content_token: str, webhook_token: str, editor_token: str
    ) -> None:
        """Open the connections; the tokens are those that its first start made."""
        self._content = _client(url, content_token)
        self._webhooks = _client(url, webhook_token)
        self._editor = _client(url, editor_token)

    def close(self) -> None:
        """Close the connections."""
        for each in (self._content, self._webhooks, self._editor):
            each.close()

    # Articles

    def create(
        self, title: str, *, slug: str | None = None, publish: bool = True, **fields: Any
    ) -> Article:
        """A new article, published at once or a draft.

        Args:
            title: of the article.
            publish: False for a draft.
            slug: unique; None for one made of the title.
            fields: `body`, `section` (news, guide, product), `price`.
        """
        data = {"title": title, "slug": slug or _slug(title), **fields}
        return self._write("POST", "/api/articles", data, publish=publish)

    def update(self, document_id: str, *, publish: bool = True, **fields: Any) -> Article:
        """Change the draft and, if so wished, publish it; what is not named stays."""
        return self._write("PUT", f"/api/articles/{document_id}", fields, publish=publish)

    def publish(self, document_id: str) -> None:
        """Make the draft the published version."""
        _checked(self._editor.post(f"{_EDITOR}/{document_id}/actions/publish", json={}))

    def unpublish(self, document_id: str) -> None:
        """Take the published version back; the draft stays."""
        _checked(self._editor.post(f"{_EDITOR}/{document_id}/actions/unpublish", json={}))

    def discard(self, document_id: str) -> None:
        """Take the draft back to what is published."""
        _checked(self._editor.post(f"{_EDITOR}/{document_id}/actions/discard", json={}))

    def delete(self, document_id: str) -> None:
        """Delete the article, draft and published version."""
        _checked(self._content.delete(f"/api/articles/{document_id}"))

    def get(self, document_id: str, status: Status = "published") -> Article | None:
        """One version of an article, or None."""
        answer = self._content.get(f"/api/articles/{document_id}", params={"status": status})
        return None if answer.status_code == 404 else _read(answer, _One).data

    def articles(self, status: Status = "published") -> list[Article]:
        """All articles that have such a version, oldest row first."""
        found: list[Article] = []
        page, pages = 1, 1
        while page <= pages:
            query = {"status": status, "sort": "id", "pagination[pageSize]": _PAGE}
            answer = self._content.get("/api/articles", params={**query, "pagination[page]": page})
            many = _read(answer, _Many)
            found += many.data
            page, pages = page + 1, many.meta.pagination.page_count
        return found

    def _write(self, verb: str, path: str, data: Mapping[str, Any], *, publish: bool) -> Article:
        status: Status = "published" if publish else "draft"
        answer = self._content.request(verb, path, params={"status": status}, json={"data": data})
        return _read(answer, _One).data

    # Files

    def upload(self, name: str, content: bytes, media_type: str = "text/plain") -> int:
        """A new file in the media library; its id."""
        answer = self._content.post("/api/upload", files={"files": (name, content, media_type)})
        return _read(answer, list[_File])[0].id

    def delete_file(self, file_id: int) -> None:
        """Delete a file of the media library."""
        _checked(self._content.delete(f"/api/upload/files/{file_id}"))

    # Webhooks

    def webhooks(self) -> list[Webhook]:
        """All webhooks."""
        return _read(self._webhooks.get("/admin/webhooks"), _Hooks).data

    def create_webhook(
        self,
        url: str,
        *,
        name: str = "helios",
        headers: Mapping[str, str] | None = None,
        events: Sequence[str] = EVENTS,
    ) -> Webhook:
        """A new webhook that is enabled."""
        asked = {"name": name, "url": url, "headers": headers or {}, "events": events}
        return _read(self._webhooks.post("/admin/webhooks", json=asked), _Hook).data

    def update_webhook(self, webhook: Webhook) -> Webhook:
        """Make the webhook of this id what is said here."""
        asked = msgspec.to_builtins(webhook)
        del asked["id"]
        return _read(self._webhooks.put(f"/admin/webhooks/{webhook.id}", json=asked), _Hook).data

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook."""
        _checked(self._webhooks.delete(f"/admin/webhooks/{webhook_id}"))

    def trigger(self, webhook_id: str) -> int:
        """Have a test event delivered now; the status of the receiver's answer, 500 for none."""
        answer = self._webhooks.post(f"/admin/webhooks/{webhook_id}/trigger")
        return _read(answer, _Probed).data.status_code


class Admin:
    """An administrator who logs in: content API tokens are made and revoked by people alone."""

    def __init__(self, url: str, *, email: str, password: str) -> None:
        """Log in; often is refused (429), so one login serves for half an hour."""
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        self._login = {"email": email, "password": password}
        self._token = ""

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def create_token(self, name: str) -> str:
        """A new content API token that may do everything; its value, which is shown once."""
        asked = {"name": name, "description": "", "type": "full-access", "lifespan": None}
        made = self._ask("POST", "/admin/api-tokens", json=asked)
        return str(made["accessKey"])

    def revoke_token(self, name: str) -> None:
        """Delete a token: from then on it is refused."""
        found = self._ask("GET", "/admin/api-tokens")
        for each in found:
            if each["name"] == name:
                self._ask("DELETE", f"/admin/api-tokens/{each['id']}")

    def tokens(self) -> list[str]:
        """Names of the content API tokens."""
        return [str(each["name"]) for each in self._ask("GET", "/admin/api-tokens")]

    def _ask(self, verb: str, path: str, **options: Any) -> Any:
        answer = self._http.request(verb, path, headers=self._headers(), **options)
        if answer.status_code == 401:
            # The session has run out.
            self._token = ""
            answer = self._http.request(verb, path, headers=self._headers(), **options)
        return _checked(answer).json()["data"]

    def _headers(self) -> dict[str, str]:
        if not self._token:
            answer = _checked(self._http.post("/admin/login", json=self._login))
            self._token = answer.json()["data"]["token"]
        return {"authorization": f"Bearer {self._token}"}


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _client(url: str, token: str) -> httpx.Client:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False)


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"{answer.request.method} {answer.request.url.path}: {answer.status_code} "
            f"{answer.text[:500]}",
            request=answer.request,
            response=answer,
        )
    return answer


def _read(answer: httpx.Response, kind: type[_T]) -> _T:
    return msgspec.json.decode(_checked(answer).content, type=kind)
