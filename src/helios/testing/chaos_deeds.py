"""What somebody does to real systems, how it is mended, and what the systems themselves say of it.

Everything goes through a system's own API, its process, its database or its files.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from helios.kernel import clock as clocks
from helios.testing import strapi
from helios.testing.real_stack import FLEET, MAIN, Name, RealStack

EVENTS = ("entry.create", "entry.delete", "entry.publish", "entry.unpublish", "entry.update")
ELSEWHERE = "http://127.0.0.1:65009/nobody"
FLAGS = {"checkout": True, "banner": "spring", "pages": 20}
VISIBILITY = "45"
DAY_US = 24 * 3600 * clocks.SECOND_US

Memory: TypeAlias = Any
"""What was there before, for whoever mends it."""


class ImpossibleError(Exception):
    """It cannot be done as things are now; says why."""


def nothing(_world: RealStack, _name: Name, _memory: Memory) -> None:
    """Nothing has to be mended by people."""


# -- webhooks ------------------------------------------------------------------------------------


def door(world: RealStack, name: Name) -> str:
    """Where the webhook of a stack has to lead."""
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


def hook_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    """Whether the CMS has the webhook as it is declared."""
    try:
        found = hook(world, name)
    except ImpossibleError:
        return False
    return (
        found.is_enabled
        and found.url == door(world, name)
        and sorted(found.events) == list(EVENTS)
        and {n.lower(): v for n, v in found.headers.items()}
        == {"authorization": f"Bearer {world.secret('door')}"}
    )


def changed(**fields: Any) -> Callable[[RealStack, Name], Memory]:
    """Sets fields of the webhook otherwise."""

    def do(world: RealStack, name: Name) -> Memory:
        before = hook(world, name)
        world.cms.api.update_webhook(strapi.changed(before, **fields))

    return do


def delete_hook(world: RealStack, name: Name) -> Memory:
    """Delete the webhook at the CMS."""
    world.cms.api.delete_webhook(hook(world, name).id)


# -- providers -----------------------------------------------------------------------------------


def stop_cms(world: RealStack, _name: Name) -> Memory:
    """Kill the CMS."""
    world.cms.stop(crash=True)


def start_cms(world: RealStack, _name: Name, _memory: Memory) -> None:
    """Start the CMS again, on its data and port."""
    world.cms.start()


def cms_answers(world: RealStack, _name: Name, _memory: Memory) -> bool:
    """Whether the CMS is there."""
    return answers(f"{world.cms.about['url']}/_health")


def stop_shop(world: RealStack, _name: Name) -> Memory:
    """Kill the shop."""
    world.shop.stop(crash=True)


def start_shop(world: RealStack, _name: Name, _memory: Memory) -> None:
    """Start the shop again, on its data and port."""
    world.shop.start()


def shop_answers(world: RealStack, _name: Name, _memory: Memory) -> bool:
    """Whether the shop is there."""
    return answers(f"{world.shop.about['url']}/health")


def answers(url: str) -> bool:
    """Whether somebody answers there, and well."""
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, trust_env=False, timeout=10).is_success
    return False


def revoke(world: RealStack, _name: Name) -> Memory:
    """Delete the token that the CMS is read with."""
    world.cms_admin.revoke_token("helios")


def token_anew(world: RealStack, _name: Name, _memory: Memory) -> None:
    """Make a new token, and put it where Helios looks for it."""
    world.keep("cms-token", world.cms_admin.create_token("helios"))


def token_works(world: RealStack, _name: Name, _memory: Memory) -> bool:
    """Whether the CMS takes the token that Helios has."""
    headers = {"authorization": f"Bearer {world.secret('cms-token')}"}
    url = f"{world.cms.about['url']}/api/articles"
    return httpx.get(url, headers=headers, trust_env=False, timeout=30).is_success


def remove_source(world: RealStack, name: Name) -> Memory:
    """Remove the source that takes in the events of the CMS."""
    world.cli("sources", "remove", "cms", "--client-id", name[0])


def has_source(world: RealStack, name: Name, _memory: Memory) -> bool:
    """Whether Helios has that source."""
    found = world.get("/api/v1/sources", client_id=name[0])["sources"]
    return any(each["name"] == "cms" for each in found)


# -- content -------------------------------------------------------------------------------------


def empty(world: RealStack, _name: Name) -> Memory:
    """Take all articles back; which those were."""
    gone = [each.document_id for each in world.cms.api.articles()]
    for each in gone:
        world.cms.api.unpublish(each)
    return gone


def only_old(world: RealStack, _name: Name) -> Memory:
    """Take all articles back that are new; which those were."""
    day_ago = clocks.to_rfc3339(clocks.Timestamp(world.clock.now() - DAY_US))
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


def publish(world: RealStack, _name: Name, memory: Memory) -> None:
    """Publish again what was taken back."""
    for each in memory:
        world.cms.api.publish(each)


def are_published(world: RealStack, _name: Name, memory: Memory) -> bool:
    """Whether all of it is published."""
    return set(memory) <= {each.document_id for each in world.cms.api.articles()}


def write_behind(world: RealStack, _name: Name) -> Memory:
    """A migration that goes round the CMS: nothing tells of it."""
    some = world.cms.api.articles()[-1]
    at = world.clock.now()
    title = f"{some.title.partition(',')[0]}, migrated at {clocks.to_rfc3339(at)}"
    sql = (
        "UPDATE articles SET title = ?, updated_at = ? "
        "WHERE document_id = ? AND published_at IS NOT NULL"
    )
    if not world.in_database(sql, (title, at // 1000, some.document_id)):
        raise ImpossibleError(f"article {some.document_id} is not in the database of the CMS")
    return (some.document_id, title)


def is_believed(world: RealStack, name: Name, memory: Memory) -> bool:
    """Whether Helios knows of what was written."""
    document, title = memory
    items = world.get("/api/v1/content", client_id=name[0], stage="published", limit=1000)["items"]
    return any(each["id"] == document and each["title"] == title for each in items)


# -- the site ------------------------------------------------------------------------------------


def template(world: RealStack) -> Path:
    """A template that every page of the site is made with."""
    return world.site.sources / "entry.njk"


def break_build(world: RealStack, _name: Name) -> Memory:
    """Break the template, and change an article so that the site is built."""
    before = template(world).read_text()
    template(world).write_text(before + "{% this is no template")
    some = world.cms.api.articles()[-1]
    body = f"{some.body}, and more"
    world.cms.api.update(some.document_id, body=body)
    return (before, some.slug, body)


def mend_template(world: RealStack, _name: Name, memory: Memory) -> None:
    """Make the template what it was."""
    template(world).write_text(memory[0])


def is_built(world: RealStack, name: Name, memory: Memory) -> bool:
    """Whether the site shows what was changed."""
    _, slug, body = memory
    site = world.get("/api/v1/sites/blog", client_id=name[0])
    page = httpx.get(f"{world.web_url}/{slug}/index.html", trust_env=False)
    return not site["failed_attempts"] and page.is_success and body in page.text


def wipe(world: RealStack, _name: Name) -> Memory:
    """Delete the first page of the site where it is served."""
    (world.root / "www" / "index.html").unlink()


def is_shown(world: RealStack, _name: Name, _memory: Memory) -> bool:
    """Whether the first page of the site is there."""
    page = httpx.get(f"{world.web_url}/index.html", trust_env=False)
    return page.is_success and "</html>" in page.text


# -- the cloud and files -------------------------------------------------------------------------


def called(name: Name, what: str) -> str:
    """What a resource of a stack is called in the cloud."""
    return f"{name[0] if name != MAIN else 'acme'}-{what}"


def queue(name: Name) -> str:
    """The queue of a stack."""
    return f"{name[1]}-sales" if name[0] == FLEET else called(name, "orders")


def queue_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    """Whether the cloud has the queue, with the attributes that are declared."""
    found = world.cloud.queue(queue(name))
    if found is None:
        return False
    return name[0] == FLEET or (
        found["VisibilityTimeout"] == VISIBILITY and found["MessageRetentionPeriod"] == "86400"
    )


def bucket_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    """Whether the cloud has the bucket as it is declared."""
    found = world.cloud.bucket(called(name, "media"))
    return found == "Enabled" if name == MAIN else found is not None


def table_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    """Whether the cloud has the table."""
    found = world.cloud.table(called(name, "content"))
    return found is not None and found["TableStatus"] == "ACTIVE"


def topic_is_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    """Whether the cloud has the topic."""
    return world.cloud.topic(called(name, "changes")) is not None


def flags(world: RealStack, name: Name) -> Path:
    """The configuration file of a stack."""
    return world.root / name[0] / "flags.json"


def edit(world: RealStack, name: Name) -> Memory:
    """Edit the configuration file of a stack."""
    said: dict[str, Any] = json.loads(flags(world, name).read_text())
    flags(world, name).write_text(json.dumps({**said, "checkout": False}))


def flags_are_right(world: RealStack, name: Name, _memory: Memory) -> bool:
    """Whether the configuration file says what is declared."""
    with contextlib.suppress(FileNotFoundError):
        return bool(json.loads(flags(world, name).read_text()) == FLAGS)
    return False


# -- the fleet -----------------------------------------------------------------------------------


def half(world: RealStack) -> list[Name]:
    """Half of the fleet."""
    kiosks = world.kiosks
    return kiosks[: len(kiosks) // 2]


def delete_half(world: RealStack, _name: Name) -> Memory:
    """Delete the queues of half of the fleet."""
    for each in half(world):
        world.cloud.delete_queue(queue(each))


def half_is_right(world: RealStack, _name: Name, _memory: Memory) -> bool:
    """Whether all of these queues are there."""
    return all(queue_is_right(world, each, None) for each in half(world))
