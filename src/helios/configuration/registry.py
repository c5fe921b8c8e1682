"""Every setting that may change while Helios runs, but those of single contracts. Pure.

What needs another socket, folder or database is not here: such a thing is set at the start, and
`helios config list` shows it beside these as one that needs a restart.
"""

from collections.abc import Mapping

from helios.configuration import setting as settings
from helios.kernel import errors, limits
from helios.kernel import settings as static

CONTRACT = "contract."
"""Names that begin so are of a contract; see `contracts`."""

HEALING = "healing.enabled"
BUILDS = "builds.enabled"
LOG_LEVEL = "log.level"

_ALL = (
    settings.Setting(
        name=LOG_LEVEL,
        title="Log level",
        description="The least important log messages to write.",
        acts_on="the log messages of every process, from the next message on",
        kind="choice",
        choices=("debug", "info", "warning", "error"),
        default="info",
        field="log_level",
    ),
    settings.Setting(
        name="content.ttl",
        title="Age of stale content",
        description=(
            "How long cached content may go without its provider telling of it. Then it is stale: "
            "still served, marked, and fetched again where the provider can be asked."
        ),
        acts_on="what is read from the content cache, and what pollers compare",
        kind="duration",
        default="1d",
        least="1s",
        most="365d",
        field="content_ttl_s",
    ),
    settings.Setting(
        name="ready.needs_sources",
        title="Ready only with all sources",
        description="Whether a source that cannot fetch makes `/ready` say no.",
        acts_on="the answer of /ready, at once",
        kind="switch",
        default=False,
        field="ready_needs_sources",
    ),
    settings.Setting(
        name=HEALING,
        title="Healing",
        description=(
            "Whether anything is healed. Off is the kill switch of the guards: the same switch as "
            "`helios guards kill-switch`, in other words."
        ),
        acts_on="every heal, at its next action",
        kind="switch",
        default=True,
        scopes=("installation", "client"),
        lives_in="guards",
    ),
    settings.Setting(
        name=BUILDS,
        title="Builds of sites",
        description="Whether sites are built. What changes meanwhile is built once it is on again.",
        acts_on="builds that have not begun; those under way end as they would",
        kind="switch",
        default=True,
        scopes=("installation", "client"),
    ),
    settings.Setting(
        name="builds.quiet_min",
        title="Least quiet time before a build",
        description=(
            "How long content must have been quiet before a site is built, at least; a site may "
            "ask for longer."
        ),
        acts_on="builds for content that has changed",
        kind="duration",
        default="0s",
        least="0s",
        most="1d",
    ),
    settings.Setting(
        name="stacks.look_interval_min",
        title="Least time between looks at a stack",
        description=(
            "How often a stack is looked at when nothing happens to it, at most; the policy of a "
            "stack may ask for longer. A longer time spares the providers that are asked."
        ),
        acts_on="looks that are planned from then on: those of the next half minute stay",
        kind="duration",
        default="1s",
        least="1s",
        most="1d",
    ),
    settings.Setting(
        name="stacks.consistency_window",
        title="Consistency window of commands",
        description=(
            "How long the events are waited for that a command should bring about, where the "
            "command does not say."
        ),
        acts_on="commands that are issued from then on",
        kind="duration",
        default="5s",
        least="100ms",
        most="10m",
    ),
    settings.Setting(
        name="sources.poll_interval_min",
        title="Least time between polls",
        description=(
            "How often a source is polled at most, whatever it declares; for when a provider "
            "limits how often it may be asked."
        ),
        acts_on="the pause after the next poll of each source",
        kind="duration",
        default="0s",
        least="0s",
        most="1d",
    ),
    settings.Setting(
        name="alerts.per_minute_max",
        title="Alerts of a contract in a minute",
        description=(
            "How many keys of a contract are told one by one in a minute; one alert a minute "
            "tells of the rest."
        ),
        acts_on="alerts from the next second on",
        kind="integer",
        unit="alerts",
        default=20,
        least=1,
        most=1_000,
    ),
    settings.Setting(
        name="alerts.asked_max",
        title="Keys that sources are asked for",
        description="How many keys sources are asked for at the same time; others wait.",
        acts_on="questions to sources from the next second on",
        kind="integer",
        unit="keys",
        default=500,
        least=1,
        most=10_000,
    ),
    settings.Setting(
        name="attention.mismatch_rate_max",
        title="Attention: share of keys that do not match",
        description=(
            "From which share of its keys that do not match a contract needs attention, where it "
            "has no objective of its own."
        ),
        acts_on="what the overview says needs attention, at once",
        kind="ratio",
        default=0.01,
        least=0,
        most=1,
    ),
    settings.Setting(
        name="attention.lag_events_max",
        title="Attention: events that a view is behind",
        description="How far a view may be behind the log.",
        acts_on="what the overview says needs attention, at once",
        kind="integer",
        unit="events",
        default=5_000,
        least=0,
        most=1_000_000_000,
    ),
    settings.Setting(
        name="attention.dead_letters_per_minute_max",
        title="Attention: dead letters in a minute",
        description="How many dead letters may come in a minute.",
        acts_on="what the overview says needs attention, at once",
        kind="integer",
        unit="per minute",
        default=10,
        least=0,
        most=1_000_000,
    ),
    settings.Setting(
        name="feed.flush_interval",
        title="Pause between messages of the live feed",
        description=(
            "How long events are gathered before they are sent to who follows the feed. Longer is "
            "calmer for a page and cheaper for the server."
        ),
        acts_on="the next message of every live feed of the page",
        kind="duration",
        default="100ms",
        least="0s",
        most="10s",
    ),
    settings.Setting(
        name="feed.heartbeat",
        title="Heartbeat of the live feed",
        description="After how long a silent feed says that it is alive.",
        acts_on="the next heartbeat of every open feed",
        kind="duration",
        default="15s",
        least="1s",
        most="5m",
    ),
    settings.Setting(
        name="feed.connections_max",
        title="Open live feeds",
        description="How many feeds a server holds open; one more is refused (503).",
        acts_on="feeds that are opened from then on",
        kind="integer",
        unit="feeds",
        default=limits.STREAMS_MAX,
        least=1,
        most=10_000,
    ),
)

SETTINGS: Mapping[str, settings.Setting] = {each.name: each for each in _ALL}


def find(name: str) -> settings.Setting:
    """A setting by its name. Raises NotFoundError that says which one may be meant."""
    found = SETTINGS.get(name)
    if found is None:
        raise errors.NotFoundError(settings.missing(name, SETTINGS))
    return found


def started(found: static.Settings) -> dict[str, settings.Value]:
    """The values that a process was started with, by name, for what it can be started with."""
    made: dict[str, settings.Value] = {}
    for each in _ALL:
        if each.field is None:
            continue
        value = getattr(found, each.field)
        if each.kind == "duration":
            value = settings.duration(value)
        made[each.name] = value
    return made
