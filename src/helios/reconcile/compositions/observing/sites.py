"""A declared site as a resource: did its last build succeed, and has it what was published?"""

from typing import Any

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import ports as view_ports
from helios.projections.views import content_read
from helios.reconcile.builds import site as declarations
from helios.reconcile.builds import view as builds
from helios.reconcile.compositions.observing import ports

KIND = "site"
SLACK = 600 * clocks.SECOND_US
"""A change may wait that much longer than the site's own longest wait before it is late."""


READ_MAX = 2_000
"""Declarations that are kept as they were read. Above: all are read anew."""


class Check:
    """`ports.ResourceCheck` over the view of builds.

    The site is the one in the setting `site` or `name`, else the one called as the resource. Of
    `expects` it knows:

        built               whether everything that was published is in a build
        unbuilt             how many changes are in none yet
        unbuilt_s           seconds since the oldest of them
        status              of the newest build: `running`, `succeeded`, `failed`
        failed_attempts     builds in a row that failed

    It is not healthy when its newest build failed, or when a change waits much longer for a build
    than its declaration allows.

    Args:
        store: where the views are.
        clock: for ages.
    """

    def __init__(self, store: view_ports.ViewStore, clock: clocks.Clock) -> None:
        self._store = store
        self._clock = clock
        self._read: dict[str, declarations.Site] = {}

    async def check(self, asked: ports.Asked) -> ports.Told:
        """See `ports.ResourceCheck`."""
        name = asked.text("site", "name") or asked.resource.name
        try:
            site = await builds.site(self._store, asked.client_id, name)
        except errors.NotFoundError:
            return ports.absent(f"client {asked.client_id} has declared no site {name}")
        newest = await builds.builds(self._store, asked.client_id, site_name=name, limit=1)
        value: dict[str, Any] = {
            "failed_attempts": site.failed_attempts,
            "status": newest[0].status if newest else None,
            "_": {"site": name, "built_position": site.built_position},
        }
        details: list[str] = []
        late = await self._unbuilt(site, value, details)
        # Its first build has not ended: neither good nor bad is known of it.
        is_young = not site.failed_attempts and not site.built_at
        if not is_young:
            value["healthy"] = not site.failed_attempts and not late
        if site.failed_attempts and newest:
            cause = newest[0].cause or newest[0].status
            details.append(f"{site.failed_attempts} builds in a row failed ({cause})")
        fields = ("healthy", *asked.resource.expects)
        return ports.Told(
            state="present",
            value={field: each for field, each in value.items() if field in (*fields, "_")},
            unknown=tuple(field for field in fields if field not in value),
            detail="it has not been built yet" if is_young else "; ".join(details),
        )

    async def _unbuilt(self, site: builds.Site, value: dict[str, Any], details: list[str]) -> bool:
        """Fill in what waits for a build; returns whether it waits too long."""
        try:
            declared = self._parsed(site)
        except errors.HeliosError as error:
            details.append(f"its declaration cannot be read: {error}")
            return False
        which = content_read.Which(
            client_id=site.client_id,
            sources=declared.content.sources,
            types=declared.content.types,
            stage=declared.content.stage,
        )
        waiting = await content_read.dirty(self._store, which, site.built_position)
        if waiting is None:
            value |= {"built": True, "unbuilt": 0, "unbuilt_s": 0}
            return False
        age = self._clock.now() - waiting.first_at
        value |= {
            "built": False,
            "unbuilt": waiting.changes,
            "unbuilt_s": max(0, age // clocks.SECOND_US),
        }
        late = age > declared.max_delay + declared.timeout + SLACK
        details.append(f"{waiting.changes} changes of content are in no build yet")
        return late

    def _parsed(self, site: builds.Site) -> declarations.Site:
        """A declaration, read once."""
        found = self._read.get(site.hash)
        if found is None:
            found = declarations.parse(site.yaml)
            if len(self._read) >= READ_MAX:
                self._read.clear()
            self._read[site.hash] = found
        return found
