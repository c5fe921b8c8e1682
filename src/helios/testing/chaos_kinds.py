"""Kinds of drift that real systems know: what somebody does there, and what has to follow.

A kind knows whether the system itself says that all is as declared again, and what people have
to mend because Helios must not.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from helios.testing import chaos_deeds as deeds
from helios.testing.real_stack import Name, RealStack

Ends: TypeAlias = Literal["healed", "approved", "told", "unknown", "agreed"]
"""How it has to end. `healed`: by itself; `approved`: once somebody agreed; `told`: people were
told, and nothing was done; `unknown`: nothing was claimed of what could not be seen; `agreed`: the
fuse blew, and went on with one agreement for all."""

HEALABLE: frozenset[Ends] = frozenset(("healed", "approved", "agreed"))


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
    do: Callable[[RealStack, Name], deeds.Memory]
    is_right: Callable[[RealStack, Name, deeds.Memory], bool]
    mend: Callable[[RealStack, Name, deeds.Memory], None] = deeds.nothing
    group: str = ""


def _webhook(name: str, says: str, do: Callable[[RealStack, Name], deeds.Memory]) -> Kind:
    return Kind(
        name=name,
        says=says,
        component="integration/cms-webhook",
        causes=("webhook_broken",),
        ends="healed",
        where=("main", "branch"),
        do=do,
        is_right=deeds.hook_is_right,
        group="webhook",
    )


def _lost(
    name: str,
    says: str,
    component: str,
    do: Callable[[RealStack, Name], deeds.Memory],
    is_right: Callable[[RealStack, Name, deeds.Memory], bool],
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


# -- all of them ---------------------------------------------------------------------------------


def _all() -> Iterator[Kind]:
    yield _webhook("webhook_deleted", "deletes the webhook at the CMS", deeds.delete_hook)
    yield _webhook("webhook_disabled", "switches the webhook off", deeds.changed(is_enabled=False))
    yield _webhook(
        "webhook_pointed_elsewhere",
        "lets the webhook lead elsewhere",
        deeds.changed(url=deeds.ELSEWHERE),
    )
    yield _webhook(
        "webhook_events_changed",
        "takes most events off the webhook",
        deeds.changed(events=["entry.create"]),
    )
    yield _webhook(
        "webhook_header_changed",
        "changes the secret header of the webhook",
        deeds.changed(headers={"authorization": "Bearer of-somebody-else"}),
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
        do=deeds.stop_cms,
        is_right=deeds.cms_answers,
        mend=deeds.start_cms,
        group="cms",
        **unknown,
    )
    yield Kind(
        name="shop_stopped",
        says="kills the process of the shop",
        component="provider/ecommerce",
        do=deeds.stop_shop,
        is_right=deeds.shop_answers,
        mend=deeds.start_shop,
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
        do=deeds.revoke,
        is_right=deeds.token_works,
        mend=deeds.token_anew,
        group="content",
    )
    yield Kind(
        name="source_removed",
        says="removes the source that takes in the events of the CMS",
        component="provider/cms",
        causes=("provider_missing",),
        ends="healed",
        where=("main", "branch"),
        do=deeds.remove_source,
        is_right=deeds.has_source,
        group="content",
    )


def _of_content() -> Iterator[Kind]:
    common: dict[str, Any] = {
        "component": "content/article",
        "where": ("main",),
        "group": "content",
    }
    told: dict[str, Any] = {
        "ends": "told",
        "is_right": deeds.are_published,
        "mend": deeds.publish,
    }
    yield Kind(
        name="content_aged",
        says="takes all new articles back",
        causes=("content_stale",),
        do=deeds.only_old,
        **told,
        **common,
    )
    yield Kind(
        name="content_stale",
        says="changes an article in the database, so that nothing tells of it",
        causes=("content_differs", "content_stale"),
        ends="healed",
        do=deeds.write_behind,
        is_right=deeds.is_believed,
        **common,
    )
    yield Kind(
        name="build_broken",
        says="breaks a template of the site, and publishes an article",
        causes=("build_broken",),
        ends="approved",
        do=deeds.break_build,
        is_right=deeds.is_built,
        mend=deeds.mend_template,
        **{**common, "component": "resource/blog"},
    )
    yield Kind(
        name="site_wiped",
        says="deletes the page of the site from its server",
        causes=("resource_unhealthy",),
        ends="healed",
        do=deeds.wipe,
        is_right=deeds.is_shown,
        **{**common, "component": "resource/home"},
    )
    yield Kind(
        name="content_emptied",
        says="takes all articles back",
        causes=("content_missing",),
        do=deeds.empty,
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
        lambda world, name: world.cloud.delete_queue(deeds.queue(name)),
        deeds.queue_is_right,
    )
    yield _lost(
        "bucket_missing",
        "deletes the bucket",
        "resource/media",
        lambda world, name: world.cloud.delete_bucket(deeds.called(name, "media")),
        deeds.bucket_is_right,
    )
    yield _lost(
        "table_deleted",
        "deletes the table",
        "resource/content-cache",
        lambda world, name: world.cloud.delete_table(deeds.called(name, "content")),
        deeds.table_is_right,
    )
    yield _lost(
        "topic_deleted",
        "deletes the topic",
        "resource/changes",
        lambda world, name: world.cloud.delete_topic(deeds.called(name, "changes")),
        deeds.topic_is_right,
    )
    yield _lost(
        "file_deleted",
        "deletes the configuration file",
        "resource/flags",
        lambda world, name: deeds.flags(world, name).unlink(),
        deeds.flags_are_right,
    )
    yield Kind(
        name="queue_changed",
        says="sets the visibility timeout of the queue by hand",
        component="resource/orders",
        do=lambda world, name: world.cloud.change_queue(deeds.queue(name), VisibilityTimeout="7"),
        is_right=deeds.queue_is_right,
        group="resource/orders",
        **changed,
    )
    yield Kind(
        name="configuration_edited",
        says="edits the configuration file by hand",
        component="resource/flags",
        do=deeds.edit,
        is_right=deeds.flags_are_right,
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
        do=deeds.delete_half,
        is_right=deeds.half_is_right,
    )


KINDS: Mapping[str, Kind] = {each.name: each for each in _all()}
"""All kinds by name, in an order in which they can be done one after the other."""
