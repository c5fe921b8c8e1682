"""What is worth telling: the values between an event of the log and a message to people. Pure."""

import hashlib
from typing import Any, Final, Literal, TypeAlias

import msgspec

from helios.kernel import jsonio
from helios.reconcile.compositions import model, policy

Kind: TypeAlias = Literal[
    "drift_detected",
    "drift_changed",
    "drift_escalated",
    "drift_resolved",
    "auto_heal_success",
    "auto_heal_failed",
    "heal_blocked",
    "approval_requested",
    "approval_expired",
    "plan_ended",
    "condition_set",
    "condition_cleared",
    "stack_removed",
    "fuse_blown",
    "fuse_reset",
    "breaker_opened",
    "breaker_closed",
    "kill_switch_on",
    "kill_switch_off",
    "healing_suspended",
    "healing_resumed",
    "test",
]
Does: TypeAlias = Literal["open", "once", "tell", "close", "end"]
"""What a notice does to what a channel knows. `open`: something needs attention from now on;
`once`: likewise, if the channel does not know yet; `tell`: nothing; `close`: it needs none any
more, which matters only to who was told; `end`: nothing of the subject does."""

Level: TypeAlias = Literal["info", "warning", "critical"]

VALUE_CHARS_MAX: Final = 400
"""An expected or observed value as text. Above: cut, with three dots."""
VALUE_BYTES_MAX: Final = 2_000
"""The same as JSON. Above: its text, cut."""
LINE_CHARS_MAX: Final = 600


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a person can do next: a command to type."""

    text: str
    command: str


class Drifted(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a drift notification."""

    drift_id: str
    drift_type: model.DriftType
    cause: str
    component: str
    path: str
    expected: Any
    observed: Any
    severity: model.Severity
    detected_at: str
    auto_heal_eligible: bool
    auto_heal_attempted: bool


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell.

    Attributes:
        client_id: whose channels.
        stack_id: which stack it is about; empty: it is about a guard of the client.
        subject: what messages are grouped by: `stack:shop`, `fuse:…`, `breaker:…`.
        item: what is opened or closed, unique in the log.
        level: for programs that count; `severity` is what channels are filtered by.
        headline: one line.
        detail: more lines, or none.
        words: of a drift: what a fuse may have blown for.
    """

    kind: Kind
    does: Does
    client_id: str
    stack_id: str = ""
    subject: str
    item: str
    severity: model.Severity
    level: Level = "warning"
    at: str
    headline: str
    detail: str = ""
    drift: Drifted | None = None
    reconciliation_id: str | None = None
    links: tuple[Link, ...] = ()
    words: tuple[str, ...] = ()


def rank(severity: model.Severity) -> int:
    """0 for `low`, to 3."""
    return model.SEVERITIES.index(severity)


def target(channel: policy.Channel) -> str:
    """Names where a channel leads, in 16 hex digits: two stacks may share one."""
    place = [
        channel.type,
        channel.url,
        channel.routing_key,
        channel.secret,
        sorted(channel.addresses),
    ]
    return hashlib.blake2b(jsonio.encode(place), digest_size=8).hexdigest()


def line(text: str, most: int = LINE_CHARS_MAX) -> str:
    """The text in one line, cut: what comes from outside may hold anything."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * most]).split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def shown(value: Any) -> str:
    """A JSON value for people."""
    text = value if isinstance(value, str) else jsonio.encode(value).decode()
    return line(text, VALUE_CHARS_MAX)


def bounded(value: Any) -> Any:
    """A JSON value for programs: itself, or the start of its text when it is large."""
    return value if len(jsonio.encode(value)) <= VALUE_BYTES_MAX else shown(value)
