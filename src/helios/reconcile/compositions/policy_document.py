"""Reads a `ReconciliationPolicy`: what may be done about drift, when, and who is told.

Everything is checked when it is declared, so that a rule with a misspelt word is refused and does
not silently never match: causes and types of drift, time zones, cron fields, references, ids.
"""

import datetime as dt
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any, get_args

import cronsim

from helios.eventlog import envelope
from helios.kernel import durations, rfc3339, yamldoc
from helios.reconcile.compositions import hashing, literals, model, policy, shapes

EFFECTS = (
    "cms_provider_change",
    "data_deletion",
    "resource_replacement",
    "webhook_recreated",
)
"""Words for what an action brings about besides what it is for."""

CAUSES: tuple[str, ...] = get_args(model.Cause)
TYPES: tuple[str, ...] = get_args(model.DriftType)
DRIFT_WORDS = (*CAUSES, *TYPES)
"""What a drift may be called by."""
ACTIONS: tuple[str, ...] = get_args(model.ActionKind)

RULES_MAX = 200
WINDOWS_MAX = 50
CHANNELS_MAX = 20

_CRON_FIELDS = 5
_FROM = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
"""Where the check of a cron expression begins to look; any time would do."""

_SEVERITY = shapes.word(*model.SEVERITIES)
_DRIFT = shapes.word(*DRIFT_WORDS)


def _timezone(node: yamldoc.Node) -> str:
    value = node.string(chars_max=64)
    try:
        zoneinfo.ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise node.error(
            f"{value!r} is no time zone; expected an IANA name such as UTC or Europe/Berlin"
        ) from None
    return value


def _cron(node: yamldoc.Node) -> str:
    value = " ".join(node.string(chars_max=256).split())
    wrong = "" if len(value.split()) == _CRON_FIELDS else "another number of them"
    try:
        next(cronsim.CronSim(value, _FROM))
    except StopIteration:
        wrong = "it never comes"
    except cronsim.CronSimError as error:
        wrong = str(error).lower()
    if wrong:
        raise node.error(
            f"{value!r} is not five cron fields (minute, hour, day, month, weekday), such as "
            f"'0 22 * * 1-5': {wrong}"
        )
    return value


def _address(node: yamldoc.Node) -> str:
    value = node.string(chars_max=254)
    name, at, host = value.rpartition("@")
    if not (name and at and host) or not value.isascii() or any(c in value for c in " <>,;\r\n"):
        raise node.error("expected an address such as ops@example.com")
    return value


def _pointer(node: yamldoc.Node) -> str:
    value = node.scalar()
    if value and not value.startswith(("/", "$")):
        raise node.error("expected a JSON pointer (/headers/x) or a JSONPath ($.headers.x)")
    return value[:1_000]


TIMEZONE = shapes.Shape(read=_timezone, schema={"type": "string", "examples": ["Europe/Berlin"]})
CRON = shapes.Shape(read=_cron, schema={"type": "string", "examples": ["0 22 * * 1-5"]})
_EMAIL = shapes.Shape(read=_address, schema={"type": "string", "format": "email"})
_POINTER = shapes.Shape(read=_pointer, schema={"type": "string", "pattern": "^($|/|[$])"})
_PATTERN = shapes.text(256)
_ID = shapes.name_of(shapes.NAME)

METADATA: shapes.Shapes = {
    "client_id": shapes.text(128),
    "stack_id": shapes.name_of(shapes.NAME),
    "description": shapes.LONG,
    "labels": shapes.table(shapes.TEXT),
}
SCHEDULE: shapes.Shapes = {"interval": shapes.span("1s", "7d"), "timezone": TIMEZONE}
AUTO_HEAL: shapes.Shapes = {
    "enabled": shapes.BOOLEAN,
    "max_attempts": shapes.integer(1, 20),
    "backoff_strategy": shapes.word(*get_args(policy.Backoff)),
    "allowed_drift_types": shapes.words(_DRIFT),
    "require_approval": shapes.words(shapes.word(*dict.fromkeys((*EFFECTS, *DRIFT_WORDS)))),
    "modes": shapes.table(shapes.word(*get_args(policy.Mode))),
    "confidence": shapes.number(0, 1),
    "confirmations": shapes.integer(1, 100),
    "persistence": shapes.span("0s", "1d"),
    "backoff_base": shapes.span("1ms", "1d"),
    "backoff_max": shapes.span("1ms", "7d"),
}
APPROVALS: shapes.Shapes = {
    "quorum": shapes.integer(1, 20),
    "roles": shapes.words(_ID, most=50),
    "not_requester": shapes.BOOLEAN,
    "ttl": shapes.span("1m", "30d"),
}
RULE: shapes.Shapes = {
    "id": _ID,
    "component": _PATTERN,
    "path": _POINTER,
    "effect": shapes.word(*get_args(policy.Ignored)),
    "owner": shapes.TEXT,
    "reason": shapes.LONG,
    "expires_at": shapes.TIME,
}
OWNED: shapes.Shapes = {
    "component": _PATTERN,
    "path": _POINTER,
    "manager": shapes.TEXT,
    "mode": shapes.word(*get_args(policy.Ownership)),
}
WINDOW: shapes.Shapes = {
    "id": _ID,
    "kind": shapes.word("allow", "deny"),
    "schedule": CRON,
    "cron": CRON,
    "duration": shapes.span("1m", "31d"),
    "timezone": TIMEZONE,
    "stacks": shapes.WORD_SET,
    "providers": shapes.WORD_SET,
    "severities": shapes.words(_SEVERITY),
    "actions": shapes.words(shapes.word(*ACTIONS)),
    "manual_override": shapes.BOOLEAN,
    "overrun": shapes.BOOLEAN,
}
_SHARED: shapes.Shapes = {"name": _ID, "severity_threshold": _SEVERITY}
CHANNELS: Mapping[str, tuple[shapes.Shapes, tuple[str, ...]]] = {
    "slack": (
        {**_SHARED, "webhook_url": shapes.URL_OR_REFERENCE, "url": shapes.URL_OR_REFERENCE},
        (),
    ),
    "webhook": (
        {
            **_SHARED,
            "webhook_url": shapes.URL_OR_REFERENCE,
            "url": shapes.URL_OR_REFERENCE,
            "secret": shapes.REFERENCE,
        },
        (),
    ),
    "pagerduty": (
        {**_SHARED, "routing_key": shapes.REFERENCE, "url": shapes.URL_OR_REFERENCE},
        ("routing_key",),
    ),
    "email": ({**_SHARED, "addresses": shapes.words(_EMAIL, least=1, most=50)}, ("addresses",)),
}
OBSERVABILITY: shapes.Shapes = {
    "metrics_retention": shapes.span("1h", "3650d"),
    "detailed_logging": shapes.BOOLEAN,
    "performance_tracking": shapes.BOOLEAN,
    "metrics_endpoint": shapes.text(2_048),
}

FIELDS = ("apiVersion", "kind", "metadata", "spec")
SPEC = (
    "schedule",
    "auto_heal",
    "maintenance_windows",
    "notifications",
    "observability",
    "approvals",
    "severities",
    "ignore",
    "ownership",
    "require_environment",
    "rollback_on_failure",
)

Tree = dict[str, Any]


def parse(text: str, *, source: str | None = None) -> policy.Policy:
    """Read one policy.

    Args:
        text: YAML, or JSON.
        source: its file name, for error messages.

    Raises:
        InvalidInputError: with line, column, field and what was expected.
    """
    return of_node(yamldoc.parse(text, source=source), text)


def of_node(root: yamldoc.Node, text: str) -> policy.Policy:
    """The policy that a document is; see `parse`. Its fields stand under `spec`, or at the top."""
    literals.check_text(root)
    entries = dict(root.items())
    is_flat = "spec" not in entries
    top = root.fields((*FIELDS[:3], *SPEC) if is_flat else FIELDS, FIELDS[:3])
    top["apiVersion"].choice((policy.API_VERSION,))
    top["kind"].choice((policy.KIND,))
    spec = (
        {name: each for name, each in top.items() if name not in FIELDS}
        if is_flat
        else top["spec"].fields(SPEC)
    )
    meta = shapes.read(top["metadata"], METADATA, ("stack_id",))
    fields = _spec(spec)
    tree = {
        "apiVersion": policy.API_VERSION,
        "kind": policy.KIND,
        "metadata": meta,
        "spec": fields,
    }
    return _made(meta, fields, text, hashing.digest(tree))


# -- to the document that is hashed --------------------------------------------------------------


def _spec(nodes: Mapping[str, yamldoc.Node]) -> Tree:
    found = {name: _READERS[name](node) for name, node in nodes.items()}
    healing = found.get("auto_heal", {})
    defaults = policy.AutoHeal()
    base = _span(healing, "backoff_base", defaults.backoff_base)
    if base > _span(healing, "backoff_max", defaults.backoff_max):
        raise nodes["auto_heal"].error("backoff_base is above backoff_max")
    return found


def _auto_heal(node: yamldoc.Node) -> Tree:
    if not (node.is_mapping or node.is_list or node.is_null):
        return {"enabled": node.boolean()}
    found = shapes.read(node, AUTO_HEAL)
    for name in found.get("modes", ()):
        _drift_word(dict(node.items())["modes"], name)
    return found


def _severities(node: yamldoc.Node) -> Tree:
    found: Tree = shapes.table(_SEVERITY).read(node)
    for name in found:
        _drift_word(node, name)
    return found


def _drift_word(node: yamldoc.Node, name: str) -> None:
    if name not in DRIFT_WORDS:
        node.fields(DRIFT_WORDS)


def _listed(node: yamldoc.Node, name: str, most: int) -> list[yamldoc.Node]:
    nodes = node.elements()
    if len(nodes) > most:
        raise node.error(f"at most {most} {name}, found {len(nodes)}")
    return nodes


def _with_ids(nodes: list[yamldoc.Node], found: list[Tree], word: str) -> list[Tree]:
    """Each with its id; one that has none is called by its place."""
    taken: set[str] = set()
    made = []
    for number, (node, each) in enumerate(zip(nodes, found, strict=True), start=1):
        name = each.get("id", f"{word}-{number}")
        if name in taken:
            raise node.error(f"a second {word} with the id {name!r}")
        taken.add(name)
        made.append({**each, "id": name})
    return made


def _windows(node: yamldoc.Node) -> list[Tree]:
    nodes = _listed(node, "windows", WINDOWS_MAX)
    found = []
    for each in nodes:
        fields = shapes.read(each, WINDOW, ("kind", "duration"))
        if ("cron" in fields) == ("schedule" in fields):
            raise each.error("expected 'schedule': five cron fields that say when it opens")
        if "cron" in fields:
            fields["schedule"] = fields.pop("cron")
        found.append(fields)
    return _with_ids(nodes, found, "window")


def _rules(node: yamldoc.Node) -> list[Tree]:
    nodes = _listed(node, "rules", RULES_MAX)
    found = []
    for each in nodes:
        fields = shapes.read(each, RULE, ("owner", "reason"))
        if fields.get("component", "*") == "*" and not fields.get("path"):
            raise each.error("it leaves out everything: name a component, a path, or both")
        found.append(fields)
    return _with_ids(nodes, found, "rule")


def _ownership(node: yamldoc.Node) -> list[Tree]:
    return [
        shapes.read(each, OWNED, ("component", "path", "manager", "mode"))
        for each in _listed(node, "fields", RULES_MAX)
    ]


def _notifications(node: yamldoc.Node) -> Tree:
    fields = node.fields(("channels",), ("channels",))
    channels = fields["channels"]
    given: list[tuple[str, yamldoc.Node]] = []
    if channels.is_list:
        given += [("", each) for each in channels.elements()]
    else:
        for name, each in channels.items():
            given += [(name, one) for one in (each.elements() if each.is_list else [each])]
    if len(given) > CHANNELS_MAX:
        raise channels.error(f"at most {CHANNELS_MAX} channels, found {len(given)}")
    found: dict[str, Tree] = {}
    for name, each in given:
        channel = _channel(name, each, len(found) + 1)
        if channel["name"] in found:
            raise each.error(f"a second channel called {channel['name']!r}: give it a 'name'")
        found[channel["name"]] = channel
    return {"channels": [found[name] for name in sorted(found)]}


def _channel(key: str, node: yamldoc.Node, number: int) -> Tree:
    entries = dict(node.items())
    kinds = tuple(CHANNELS)
    if "type" in entries:
        kind = entries["type"].choice(kinds)
    elif key in CHANNELS:
        kind = key
    else:
        raise node.error(f"field 'type' is missing: {', '.join(kinds)}")
    known, required = CHANNELS[kind]
    fields = shapes.read(node, {"type": shapes.word(*kinds), **known}, required)
    if kind in ("slack", "webhook"):
        if ("webhook_url" in fields) == ("url" in fields):
            raise node.error("expected 'webhook_url': where it is told")
        fields["url"] = fields.pop("webhook_url", None) or fields["url"]
    name = fields.get("name") or (key and str(shapes.named(node, shapes.NAME, key)))
    return {**fields, "type": kind, "name": name or f"{kind}-{number}"}


_READERS: Mapping[str, Callable[[yamldoc.Node], Any]] = {
    "schedule": lambda node: shapes.read(node, SCHEDULE),
    "auto_heal": _auto_heal,
    "maintenance_windows": _windows,
    "notifications": _notifications,
    "observability": lambda node: shapes.read(node, OBSERVABILITY),
    "approvals": lambda node: shapes.read(node, APPROVALS),
    "severities": _severities,
    "ignore": _rules,
    "ownership": _ownership,
    "require_environment": shapes.name_of(shapes.ENVIRONMENT).read,
    "rollback_on_failure": lambda node: node.boolean(),
}


# -- to the values -------------------------------------------------------------------------------


def _made(meta: Tree, spec: Tree, text: str, digest: str) -> policy.Policy:
    schedule, seen = spec.get("schedule", {}), spec.get("observability", {})
    usual = policy.DEFAULT
    timezone = schedule.get("timezone", usual.timezone)
    return policy.Policy(
        client_id=meta.get("client_id", envelope.DEFAULT_TENANT),
        stack_id=meta["stack_id"],
        interval=_span(schedule, "interval", usual.interval),
        timezone=timezone,
        auto_heal=_as_auto_heal(spec.get("auto_heal", {})),
        approvals=_as_approvals(spec.get("approvals", {})),
        severities=spec.get("severities", {}),
        ignore=tuple(_as_rule(each) for each in spec.get("ignore", ())),
        ownership=tuple(policy.Owned(**each) for each in spec.get("ownership", ())),
        windows=tuple(_as_window(each, timezone) for each in spec.get("maintenance_windows", ())),
        channels=tuple(
            _as_channel(each) for each in spec.get("notifications", {}).get("channels", ())
        ),
        require_environment=spec.get("require_environment"),
        rollback_on_failure=spec.get("rollback_on_failure", False),
        metrics_retention=_span(seen, "metrics_retention", usual.metrics_retention),
        detailed_logging=seen.get("detailed_logging", False),
        performance_tracking=seen.get("performance_tracking", False),
        metrics_endpoint=seen.get("metrics_endpoint"),
        text=text,
        hash=digest,
    )


def _span(fields: Mapping[str, Any], name: str, usual: int) -> int:
    return durations.parse(fields[name]) if name in fields else usual


def _as_auto_heal(fields: Tree) -> policy.AutoHeal:
    spans = ("persistence", "backoff_base", "backoff_max")
    sets = ("allowed_drift_types", "require_approval")
    made = {
        **fields,
        **{name: durations.parse(fields[name]) for name in spans if name in fields},
        **{name: tuple(fields[name]) for name in sets if name in fields},
    }
    return policy.AutoHeal(**made)


def _as_approvals(fields: Tree) -> policy.Approvals:
    made = dict(fields)
    if "roles" in made:
        made["roles"] = tuple(made["roles"])
    if "ttl" in made:
        made["ttl"] = durations.parse(made["ttl"])
    return policy.Approvals(**made)


def _as_rule(fields: Tree) -> policy.IgnoreRule:
    expires = fields.get("expires_at")
    until = None if expires is None else rfc3339.parse(expires)
    return policy.IgnoreRule(**{**fields, "expires_at": until})


def _as_window(fields: Tree, timezone: str) -> policy.Window:
    sets = ("stacks", "providers", "severities", "actions")
    made = {
        "timezone": timezone,
        **fields,
        "duration": durations.parse(fields["duration"]),
        **{name: tuple(fields[name]) for name in sets if name in fields},
    }
    return policy.Window(**made)


def _as_channel(fields: Tree) -> policy.Channel:
    made = {**fields, "addresses": tuple(fields.get("addresses", ()))}
    return policy.Channel(**made)
