"""Kinds of drift that real systems know: what somebody does there, and what has to follow.

Each is done through the system's own API, its process, its database or its files, never through
Helios. It knows whether the system itself says that all is as declared again, and what people have
to mend because Helios must not.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx

from helios.testing import strapi
from helios.testing.real_stack import FLEET, MAIN, Name, RealStack

Ends: TypeAlias = Literal["healed", "approved", "told", "unknown", "agreed"]
"""How it has to end. `healed`: by itself; `approved`: once somebody agreed; `told`: people were
told, and nothing was done; `unknown`: nothing was claimed of what could not be seen; `agreed`: the
fuse blew, and went on with one agreement for all."""

HEALABLE: frozenset[Ends] = frozenset(("healed", "approved", "agreed"))
EVENTS = ("entry.create", "entry.delete", "entry.publish", "entry.unpublish", "entry.update")
ELSEWHERE = "http://127.0.0.1:65009/nobody"
FLAGS = {"checkout": True, "banner": "spring", "pages": 20}
VISIBILITY = "45"

Memory: TypeAlias = Any
"""What was there before, for whoever mends it."""


class ImpossibleError(Exception):
    """It cannot be done as things are now; says why."""


def _nothing(_world: RealStack, _name: Name, _memory: Memory) -> None:
    """Nothing has to be mended by people."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of drift.

    Attributes:
        says: what somebody does, for people.
        component: address of what it is seen at.
        causes: what it is called, of which one has to be found; none: it is only unknown.
        where: whose stacks it can be done to: `main`, `branch`, `fleet`.
        do: does it; what it returns is passed to the two below.
        is_right: whether the system itself says that it is as declared.
        mend: what people do: before they agree, or because it is theirs to do.
        group: kinds of one group are not done to one stack at the same time.
    """

    name: str
    says: str
    component: str
    causes: tuple[str, ...]
    ends: Ends
    where: tuple[str, ...]
    do: Callable[[RealStack, Name], Memory]
    is_right: Callable[[RealStack, Name, Memory], bool]
    mend: Callable[[RealStack, Name, Memory], None] = _nothing
    group: str = ""


def place(name: Name) -> str:
    """Whose stack it is."""
    if name == MAIN:
        return "main"
    return "fleet" if name[0] == FLEET else "branch"


# -- webhooks ------------------------------------------------------------------------------------


def _door(world: RealStack, name: Name) -> str:
    return f"{world.helios.url}/webhook/cms/{name[0]}"


def hook(world: RealStack, name: Name) -> strapi.Webhook:
    """The webhook of a stack, by its name.

    Raises:
        ImpossibleError: the CMS has none.
    """
    called = f"helios {name[0]}/{name[1]}/cms-webhook"
    found = [each for each in world.cms.api.webhooks() if each.name == called]
    if len(found) != 1:
        raise ImpossibleError(f"the CMS has {len(found)} webhooks called {called}")
    return found[0]


def _hook_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    try:
        found = hook(world, name)
    except ImpossibleError:
        return False
    return (
        found.is_enabled
        and found.url == _door(world, name)
        and sorted(found.events) == list(EVENTS)
        and {n.lower(): v for n, v in found.headers.items()}
        == {"authorization": f"Bearer {world.secret('door')}"}
    )


def _changed(**fields: Any) -> Callable[[RealStack, Name], Memory]:
    def do(world: RealStack, name: Name) -> Memory:
        before = hook(world, name)
        world.cms.api.update_webhook(strapi.changed(before, **fields))

    return do


def _delete_hook(world: RealStack, name: Name) -> Memory:
    world.cms.api.delete_webhook(hook(world, name).id)


def _webhook(name: str, says: str, do: Callable[[RealStack, Name], Memory]) -> Kind:
    return Kind(
        name=name,
        says=says,
        component="integration/cms-webhook",
        causes=("webhook_broken",),
        ends="healed",
        where=("main", "branch"),
        do=do,
        is_right=_hook_is_right,
        group="webhook",
    )


# -- providers -----------------------------------------------------------------------------------


def _stop_cms(world: RealStack, _name: Name) -> Memory:
    world.cms.stop(crash=True)


def _start_cms(world: RealStack, _name: Name, _memory: Memory) -> None:
    world.cms.start()


def _cms_answers(world: RealStack, _name: Name, _memory: Memory) -> bool:
    return _answers(f"{world.cms.about['url']}/_health")


def _stop_shop(world: RealStack, _name: Name) -> Memory:
    world.shop.stop(crash=True)


def _start_shop(world: RealStack, _name: Name, _memory: Memory) -> None:
    world.shop.start()


def _shop_answers(world: RealStack, _name: Name, _memory: Memory) -> bool:
    return _answers(f"{world.shop.about['url']}/health")


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, trust_env=False, timeout=10).is_success
    return False


def _revoke(world: RealStack, _name: Name) -> Memory:
    world.cms_admin.revoke_token("helios")


def _token_anew(world: RealStack, _name: Name, _memory: Memory) -> None:
    world.keep("cms-token", world.cms_admin.create_token("helios"))


def _token_works(world: RealStack, _name: Name, _memory: Memory) -> bool:
    headers = {"authorization": f"Bearer {world.secret('cms-token')}"}
    url = f"{world.cms.about['url']}/api/articles"
    return httpx.get(url, headers=headers, trust_env=False, timeout=30).is_success


def _remove_source(world: RealStack, name: Name) -> Memory:
    world.cli("sources", "remove", "cms", "--client-id", name[0])


def _has_source(world: RealStack, name: Name, _memory: Memory) -> bool:
    found = world.get("/api/v1/sources", client_id=name[0])["sources"]
    return any(each["name"] == "cms" for each in found)


# -- content -------------------------------------------------------------------------------------


def _empty(world: RealStack, _name: Name) -> Memory:
    gone = [each.document_id for each in world.cms.api.articles()]
    for each in gone:
        world.cms.api.unpublish(each)
    return gone


def _only_old(world: RealStack, _name: Name) -> Memory:
    day_ago = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    articles = world.cms.api.articles()
    fresh = [
        each.document_id
        for each in articles
        if max(each.updated_at, each.published_at or "") > day_ago
    ]
    if not fresh or len(fresh) == len(articles):
        raise ImpossibleError(f"{len(fresh)} of {len(articles)} articles are new")
    for each in fresh:
        world.cms.api.unpublish(each)
    return fresh


def _publish(world: RealStack, _name: Name, memory: Memory) -> None:
    for each in memory:
        world.cms.api.publish(each)


def _are_published(world: RealStack, _name: Name, memory: Memory) -> bool:
    return set(memory) <= {each.document_id for each in world.cms.api.articles()}


def _write_behind(world: RealStack, _name: Name) -> Memory:
    """A migration that goes round the CMS: nothing tells of it."""
    some = world.cms.api.articles()[-1]
    title = f"{some.title.partition(',')[0]}, migrated at {datetime.now(UTC):%H:%M:%S}"
    sql = (
        "UPDATE articles SET title = ?, updated_at = ? "
        "WHERE document_id = ? AND published_at IS NOT NULL"
    )
    at = int(datetime.now(UTC).timestamp() * 1000)
    if not world.in_database(sql, (title, at, some.document_id)):
        raise ImpossibleError(f"article {some.document_id} is not in the database of the CMS")
    return (some.document_id, title)


def _is_believed(world: RealStack, name: Name, memory: Memory) -> bool:
    document, title = memory
    items = world.get("/api/v1/content", client_id=name[0], stage="published", limit=1000)["items"]
    return any(each["id"] == document and each["title"] == title for each in items)


# -- the site ------------------------------------------------------------------------------------


def _template(world: RealStack) -> Path:
    return world.site.sources / "entry.njk"


def _break_build(world: RealStack, _name: Name) -> Memory:
    before = _template(world).read_text()
    _template(world).write_text(before + "{% this is no template")
    some = world.cms.api.articles()[-1]
    body = f"{some.body}, and more"
    world.cms.api.update(some.document_id, body=body)
    return (before, some.slug, body)


def _mend_template(world: RealStack, _name: Name, memory: Memory) -> None:
    _template(world).write_text(memory[0])


def _is_built(world: RealStack, name: Name, memory: Memory) -> bool:
    _, slug, body = memory
    site = world.get("/api/v1/sites/blog", client_id=name[0])
    page = httpx.get(f"{world.web_url}/{slug}/index.html", trust_env=False)
    return not site["failed_attempts"] and page.is_success and body in page.text


def _wipe(world: RealStack, _name: Name) -> Memory:
    (world.root / "www" / "index.html").unlink()


def _is_shown(world: RealStack, _name: Name, _memory: Memory) -> bool:
    page = httpx.get(f"{world.web_url}/index.html", trust_env=False)
    return page.is_success and "</html>" in page.text


# -- the cloud and files -------------------------------------------------------------------------


def _called(name: Name, what: str) -> str:
    return f"{name[0] if name != MAIN else 'acme'}-{what}"


def _queue(name: Name) -> str:
    return f"{name[1]}-sales" if name[0] == FLEET else _called(name, "orders")


def _queue_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    found = world.cloud.queue(_queue(name))
    if found is None:
        return False
    return name[0] == FLEET or (
        found["VisibilityTimeout"] == VISIBILITY and found["MessageRetentionPeriod"] == "86400"
    )


def _bucket_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    found = world.cloud.bucket(_called(name, "media"))
    return found == "Enabled" if name == MAIN else found is not None


def _table_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    found = world.cloud.table(_called(name, "content"))
    return found is not None and found["TableStatus"] == "ACTIVE"


def _topic_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    return world.cloud.topic(_called(name, "changes")) is not None


def flags(world: RealStack, name: Name) -> Path:
    """The configuration file of a stack."""
    return world.root / name[0] / "flags.json"


def _edit(world: RealStack, name: Name) -> Memory:
    said: dict[str, Any] = json.loads(flags(world, name).read_text())
    flags(world, name).write_text(json.dumps({**said, "checkout": False}))


def _flags_are_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return bool(json.loads(flags(world, name).read_text()) == FLAGS)
    return False


def _lost(
    name: str,
    says: str,
    component: str,
    do: Callable[[RealStack, Name], Memory],
    is_right: Callable[[RealStack, Name, Memory], bool],
) -> Kind:
    return Kind(
        name=name,
        says=says,
        component=component,
        causes=("resource_missing",),
        ends="healed",
        where=("main", "branch"),
        do=do,
        is_right=is_right,
        group=component,
    )


# -- the fleet -----------------------------------------------------------------------------------


def half(world: RealStack) -> list[Name]:
    """Half of the fleet."""
    kiosks = world.kiosks
    return kiosks[: len(kiosks) // 2]


def _delete_half(world: RealStack, _name: Name) -> Memory:
    for each in half(world):
        world.cloud.delete_queue(_queue(each))


def _half_is_right(world: RealStack, _name: Name, _memory: Memory) -> bool:
    return all(_queue_is_right(world, each, None) for each in half(world))


# -- all of them ---------------------------------------------------------------------------------


def _all() -> Iterator[Kind]:
    yield _webhook("webhook_deleted", "deletes the webhook at the CMS", _delete_hook)
    yield _webhook("webhook_disabled", "switches the webhook off", _changed(is_enabled=False))
    yield _webhook(
        "webhook_pointed_elsewhere", "lets the webhook lead elsewhere", _changed(url=ELSEWHERE)
    )
    yield _webhook(
        "webhook_events_changed",
        "takes most events off the webhook",
        _changed(events=["entry.create"]),
    )
    yield _webhook(
        "webhook_header_changed",
        "changes the secret header of the webhook",
        _changed(headers={"authorization": "Bearer of-somebody-else"}),
    )
    yield from _of_providers()
    yield from _of_content()
    yield from _of_resources()


def _of_providers() -> Iterator[Kind]:
    unknown: dict[str, Any] = {"causes": (), "ends": "unknown", "where": ("main",)}
    yield Kind(
        name="provider_stopped",
        says="kills the process of the CMS",
        component="provider/cms",
        do=_stop_cms,
        is_right=_cms_answers,
        mend=_start_cms,
        group="cms",
        **unknown,
    )
    yield Kind(
        name="shop_stopped",
        says="kills the process of the shop",
        component="provider/ecommerce",
        do=_stop_shop,
        is_right=_shop_answers,
        mend=_start_shop,
        group="shop",
        **unknown,
    )
    yield Kind(
        name="credential_revoked",
        says="revokes the token that the CMS is read with",
        component="provider/cms",
        causes=("credential_invalid",),
        ends="told",
        where=("main",),
        do=_revoke,
        is_right=_token_works,
        mend=_token_anew,
        group="content",
    )
    yield Kind(
        name="source_removed",
        says="removes the source that takes in the events of the CMS",
        component="provider/cms",
        causes=("provider_missing",),
        ends="healed",
        where=("main", "branch"),
        do=_remove_source,
        is_right=_has_source,
        group="content",
    )


def _of_content() -> Iterator[Kind]:
    common: dict[str, Any] = {
        "component": "content/article",
        "where": ("main",),
        "group": "content",
    }
    told: dict[str, Any] = {"ends": "told", "is_right": _are_published, "mend": _publish}
    yield Kind(
        name="content_aged",
        says="takes all new articles back",
        causes=("content_stale",),
        do=_only_old,
        **told,
        **common,
    )
    yield Kind(
        name="content_stale",
        says="changes an article in the database, so that nothing tells of it",
        causes=("content_differs", "content_stale"),
        ends="healed",
        do=_write_behind,
        is_right=_is_believed,
        **common,
    )
    yield Kind(
        name="build_broken",
        says="breaks a template of the site, and publishes an article",
        causes=("build_broken",),
        ends="approved",
        do=_break_build,
        is_right=_is_built,
        mend=_mend_template,
        **{**common, "component": "resource/blog"},
    )
    yield Kind(
        name="site_wiped",
        says="deletes the page of the site from its server",
        causes=("resource_unhealthy",),
        ends="healed",
        do=_wipe,
        is_right=_is_shown,
        **{**common, "component": "resource/home"},
    )
    yield Kind(
        name="content_emptied",
        says="takes all articles back",
        causes=("content_missing",),
        do=_empty,
        **told,
        **common,
    )


def _of_resources() -> Iterator[Kind]:
    changed: dict[str, Any] = {
        "causes": ("configuration_changed",),
        "ends": "approved",
        "where": ("main", "branch"),
    }
    yield _lost(
        "queue_deleted",
        "deletes the queue",
        "resource/orders",
        lambda world, name: world.cloud.delete_queue(_queue(name)),
        _queue_is_right,
    )
    yield _lost(
        "bucket_missing",
        "deletes the bucket",
        "resource/media",
        lambda world, name: world.cloud.delete_bucket(_called(name, "media")),
        _bucket_is_right,
    )
    yield _lost(
        "table_deleted",
        "deletes the table",
        "resource/content-cache",
        lambda world, name: world.cloud.delete_table(_called(name, "content")),
        _table_is_right,
    )
    yield _lost(
        "topic_deleted",
        "deletes the topic",
        "resource/changes",
        lambda world, name: world.cloud.delete_topic(_called(name, "changes")),
        _topic_is_right,
    )
    yield _lost(
        "file_deleted",
        "deletes the configuration file",
        "resource/flags",
        lambda world, name: flags(world, name).unlink(),
        _flags_are_right,
    )
    yield Kind(
        name="queue_changed",
        says="sets the visibility timeout of the queue by hand",
        component="resource/orders",
        do=lambda world, name: world.cloud.change_queue(_queue(name), VisibilityTimeout="7"),
        is_right=_queue_is_right,
        group="resource/orders",
        **changed,
    )
    yield Kind(
        name="configuration_edited",
        says="edits the configuration file by hand",
        component="resource/flags",
        do=_edit,
        is_right=_flags_are_right,
        group="resource/flags",
        **changed,
    )
    yield Kind(
        name="half_of_the_fleet",
        says="deletes the queues of half of the fleet at once",
        component="resource/sales",
        causes=("resource_missing",),
        ends="agreed",
        where=("fleet",),
        do=_delete_half,
        is_right=_half_is_right,
    )


KINDS: Mapping[str, Kind] = {each.name: each for each in _all()}
"""All kinds by name, in an order in which they can be done one after the other."""
