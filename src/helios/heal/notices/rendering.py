"""A message as each kind of channel wants it. Pure.

What is told comes from other systems: it is escaped for where it goes, and cut to what fits there.
"""

from typing import Any, Final

from helios.heal.notices import message, notice
from helios.kernel import jsonio

SLACK_TEXT_MAX: Final = 2_900
"""Characters of one section; Slack takes 3,000."""
SLACK_HEADER_MAX: Final = 150
PAGERDUTY_SUMMARY_MAX: Final = 1_024

_PAGERDUTY: Final = {"low": "info", "medium": "warning", "high": "error", "critical": "critical"}
_MARKS: Final = {"firing": "\N{LARGE RED CIRCLE}", "resolved": "\N{LARGE GREEN CIRCLE}", "info": ""}


def plain(said: message.Message, look: str = "") -> str:
    """As text, for an e-mail; `look` is an address where more is to be seen."""
    lines: list[str] = [said.title, ""]
    if said.summary:
        lines += [f"  {each}" for each in said.summary]
    else:
        for each in said.lines:
            lines.append(f"- [{each.severity}] {each.headline}")
            lines += [f"    {detail}" for detail in each.detail.splitlines()]
        if said.more:
            lines.append(f"and {said.more} more")
    if said.links:
        lines += ["", *(f"{link.text}: {link.command}" for link in said.links)]
    if look:
        lines += ["", look]
    return "\n".join(lines) + "\n"


def slack(said: message.Message, look: str = "") -> bytes:
    """As the body for an incoming webhook of Slack (Block Kit)."""
    mark = _MARKS[said.status]
    header = f"{mark} {said.title}".strip()
    parts = [_escaped(each) for each in said.summary] or [_mrkdwn(each) for each in said.lines]
    if said.more and not said.summary:
        parts.append(f"and {said.more} more")
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": notice.line(header, SLACK_HEADER_MAX)},
        },
        *(_section(text) for text in _packed(parts)),
    ]
    links = [f"{link.text}: `{_code(link.command)}`" for link in said.links]
    if look:
        links.append(f"<{_escaped(look)}|everything about it>")
    if links:
        blocks.append(
            {"type": "context", "elements": [{"type": "mrkdwn", "text": text} for text in links]}
        )
    # `text` is what shows in notifications, and where blocks are not shown.
    return jsonio.encode({"text": _escaped(header), "blocks": blocks})


def pagerduty(said: message.Message, routing_key: str, look: str = "") -> bytes:
    """As an event of PagerDuty's Events API v2; the incident is its dedup key."""
    if said.status == "resolved":
        ended = {
            "routing_key": routing_key,
            "event_action": "resolve",
            "dedup_key": said.incident,
        }
        return jsonio.encode(ended)
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": said.incident,
        "payload": {
            "summary": notice.line(said.title, PAGERDUTY_SUMMARY_MAX),
            "source": "helios",
            "severity": _PAGERDUTY[said.severity],
            "timestamp": said.at,
            "component": said.lines[0].drift.component if said.lines[0].drift else None,
            "group": f"{said.client_id}/{said.stack_id}" if said.stack_id else said.client_id,
            "class": said.lines[0].kind,
            "custom_details": {
                **_fields(said),
                "told": [_told(each) for each in said.lines],
                "more": said.more,
                "commands": [link.command for link in said.links],
            },
        },
    }
    if look:
        event["links"] = [{"href": look, "text": "everything about it"}]
    return jsonio.encode(event)


def webhook(said: message.Message, look: str = "") -> bytes:
    """As JSON for any other receiver: the drift notification fields are those of the gravest."""
    return jsonio.encode(
        {
            "type": said.lines[0].kind,
            "id": said.key,
            "status": said.status,
            "incident": said.incident,
            "timestamp": said.at,
            "client_id": said.client_id,
            "stack_id": said.stack_id or None,
            "title": said.title,
            **_fields(said),
            "notices": [_told(each) for each in said.lines],
            "summary": said.summary,
            "more": said.more,
            "links": {
                "look": look or None,
                "commands": [{"text": each.text, "command": each.command} for each in said.links],
            },
        }
    )


def _fields(said: message.Message) -> dict[str, Any]:
    """`drift_type, expected, observed, severity, auto_heal_attempted, reconciliation_id`."""
    first = next((each for each in said.lines if each.drift is not None), said.lines[0])
    drift = first.drift
    return {
        "drift_type": None if drift is None else drift.drift_type,
        "component": None if drift is None else drift.component,
        "expected": None if drift is None else drift.expected,
        "observed": None if drift is None else drift.observed,
        "severity": said.severity,
        "auto_heal_attempted": drift is not None and drift.auto_heal_attempted,
        "reconciliation_id": first.reconciliation_id,
    }


def _told(each: notice.Notice) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "level": each.level,
        "severity": each.severity,
        "stack_id": each.stack_id or None,
        "timestamp": each.at,
        "headline": each.headline,
        "detail": each.detail,
        "reconciliation_id": each.reconciliation_id,
        "drift": each.drift,
    }


def _mrkdwn(each: notice.Notice) -> str:
    lines = [f"*{_escaped(each.headline)}* ({each.severity})"]
    lines += [f"> {_escaped(detail)}" for detail in each.detail.splitlines()]
    return "\n".join(lines)


def _packed(parts: list[str]) -> list[str]:
    """The parts in as few sections as hold them."""
    packed: list[str] = []
    for part in parts:
        text = part if len(part) <= SLACK_TEXT_MAX else f"{part[: SLACK_TEXT_MAX - 1]}…"
        if packed and len(packed[-1]) + len(text) + 1 <= SLACK_TEXT_MAX:
            packed[-1] = f"{packed[-1]}\n{text}"
        else:
            packed.append(text)
    return packed


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _escaped(text: str) -> str:
    """As Slack wants it: without this `<!channel>` in a value would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(text: str) -> str:
    return _escaped(text).replace("`", "'")
