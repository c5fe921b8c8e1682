"""A plan as people read it: what is added, changed and taken away, and what stands in its way."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from helios.api import plans as shown_plans
from helios.cli import output as outputs

_SIGNS: Mapping[str, str] = {
    "create_webhook": "+",
    "create_resource": "+",
    "register_provider": "+",
    "notify_only": "!",
}
_COLOURS = {"+": "green", "~": "yellow", "-": "red", "!": "blue"}
_SHOWN_CHARS = 120


def declared(added: Sequence[str], changed: Sequence[str], removed: Sequence[str]) -> list[str]:
    """The lines of what a declaration changes."""
    found = [("+", each) for each in added]
    found += [("~", each) for each in changed]
    found += [("-", each) for each in removed]
    return [_coloured(f"  {sign} {address}", sign) for sign, address in found]


def lines(plan: shown_plans.PlanView) -> list[str]:
    """The lines of a plan."""
    name = f"{plan.client_id}/{plan.stack_id}"
    found = [f"Plan for {name} {plan.desired_version} (generation {plan.generation})", ""]
    blocked = {each.action_id for each in plan.blockers}
    for action in plan.actions:
        found += _action(action, is_blocked=bool({None, action.id} & blocked))
    found += ["", _summary(plan)]
    found += [_blocker(each) for each in plan.blockers]
    found += ["", *_footing(plan)]
    return found


def _action(action: shown_plans.ActionView, *, is_blocked: bool) -> list[str]:
    sign = sign_of(action)
    marks: list[str] = [action.risk] if action.risk in ("high", "destructive") else []
    marks += ["needs approval"] if action.requires_approval else []
    marks += ["blocked"] if is_blocked else []
    mark = f"  ({', '.join(marks)})" if marks else ""
    head = _coloured(f"  {sign} {action.target}", sign)
    found = [f"{head}  {outputs.text(action.summary)}{mark}"]
    if action.requires_approval and action.approval_reason:
        found.append(f"      asks because {outputs.text(action.approval_reason)}")
    found += [f"      {line}" for line in _fields(action.params)]
    if action.effects:
        found.append(f"      effects: {', '.join(action.effects)}")
    return found


def sign_of(action: shown_plans.ActionView) -> str:
    """`+` makes something, `~` changes it, `-` takes it away, `!` only tells."""
    if "data_deletion" in action.effects or "delete" in action.params:
        return "-"
    return _SIGNS.get(action.kind, "~")


def _fields(params: Mapping[str, Any]) -> Iterable[str]:
    wanted, was = params.get("set"), params.get("was")
    if not isinstance(wanted, Mapping):
        return
    seen = was if isinstance(was, Mapping) else {}
    width = max((len(name) for name in wanted), default=0)
    for name, value in wanted.items():
        before = f"{brief(seen[name])} -> " if name in seen else ""
        yield f"{outputs.text(name):{width}}  {before}{brief(value)}"


def brief(value: Any) -> str:
    """A value on one line; cut where it is long."""
    found = outputs.text(json.dumps(value, ensure_ascii=False))
    return found if len(found) <= _SHOWN_CHARS else f"{found[:_SHOWN_CHARS]}…"


def _summary(plan: shown_plans.PlanView) -> str:
    signs = [sign_of(each) for each in plan.actions]
    more = f", {plan.remaining} left for the next plan" if plan.remaining else ""
    told = f", {signs.count('!')} to tell of" if "!" in signs else ""
    return (
        f"Plan: {signs.count('+')} to add, {signs.count('~')} to change, "
        f"{signs.count('-')} to replace{told}{more}."
    )


def _blocker(each: shown_plans.BlockerView) -> str:
    until = f" until {each.until}" if each.until else ""
    remedy = f"; {outputs.text(each.remedy)}" if each.remedy else ""
    return click.style(
        f"Blocked: {each.code}: {outputs.text(each.detail)}{until}{remedy}", fg="red"
    )


def _footing(plan: shown_plans.PlanView) -> list[str]:
    if plan.void:
        return [f"It is void: {plan.void}"]
    if not plan.blockers:
        found = ["Would run at once"]
    elif plan.runs_at is None:
        found = ["Would run once somebody has seen to what blocks it"]
    else:
        found = [f"Would run at {plan.runs_at}"]
    if plan.plan_id:
        name = f"--client-id {plan.client_id} {plan.plan_id}"
        found += [
            f"Digest {plan.digest}",
            f"Expires {plan.expires_at}; carry it out with: helios apply-plan {name}",
        ]
    return found


def _coloured(text: str, sign: str) -> str:
    return click.style(text, fg=_COLOURS[sign])
