"""Declarations and policies with a few of their fields changed, as text to be declared.

What is changed by a command is declared like anything else, so that the log has one kind of truth.
Comments of the former text are not kept.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from helios.kernel import errors, yamldoc
from helios.reconcile.compositions import composition, document, policy, policy_document

Tree = dict[str, Any]


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """`reconciliation_policy` of a StateRecord; None in a change: as it is."""

    auto_heal: bool | None = None
    max_heal_attempts: int | None = None
    heal_backoff: str | None = None
    require_approval: Sequence[str] | None = None


def short(rules: policy.Policy) -> Short:
    """A policy as a StateRecord shows it."""
    healing = rules.auto_heal
    return Short(
        auto_heal=healing.enabled,
        max_heal_attempts=healing.max_attempts,
        heal_backoff=healing.backoff_strategy,
        require_approval=list(healing.require_approval),
    )


def with_short(rules: policy.Policy, change: Short) -> str:
    """A policy with what a StateRecord says of it.

    Args:
        rules: the present one, with client and stack; its text may be empty.
        change: what becomes different.

    Raises:
        InvalidInputError: a value is wrong; names the field of the policy.
    """
    named = {
        "enabled": change.auto_heal,
        "max_attempts": change.max_heal_attempts,
        "backoff_strategy": change.heal_backoff,
        "require_approval": None
        if change.require_approval is None
        else list(change.require_approval),
    }

    def edit(spec: Tree) -> None:
        before = spec.get("auto_heal", {})
        before = before if isinstance(before, Mapping) else {"enabled": before}
        given = {name: value for name, value in named.items() if value is not None}
        spec["auto_heal"] = {**before, **given}

    return _edited(rules, edit)


def with_observability(
    rules: policy.Policy,
    *,
    metrics_endpoint: str | None = None,
    alert_channels: Sequence[Mapping[str, Any]] | None = None,
) -> str:
    """A policy with other `observability` of a StateRecord; None: as it is.

    Raises:
        InvalidInputError: a value is wrong; names the field of the policy.
    """

    def edit(spec: Tree) -> None:
        if metrics_endpoint is not None:
            before = spec.get("observability", {})
            spec["observability"] = {**before, "metrics_endpoint": metrics_endpoint}
        if alert_channels is not None:
            spec["notifications"] = {"channels": [dict(each) for each in alert_channels]}

    return _edited(rules, edit)


def with_window(rules: policy.Policy, window: Mapping[str, Any]) -> str:
    """A policy with a maintenance window more; one of the same id is replaced.

    Raises:
        InvalidInputError: a value is wrong; names the field of the policy.
    """

    def edit(spec: Tree) -> None:
        kept = _windows_but(spec, str(window.get("id", "")))
        spec["maintenance_windows"] = [*kept, dict(window)]

    return _edited(rules, edit)


def without_window(rules: policy.Policy, window_id: str) -> str:
    """A policy without a maintenance window.

    Raises:
        NotFoundError: it has none of that id.
    """
    known = [each.id for each in rules.windows]
    if window_id not in known:
        shown = ", ".join(known) or "none"
        raise errors.NotFoundError(f"there is no window {window_id[:80]} (there: {shown})")

    def edit(spec: Tree) -> None:
        spec["maintenance_windows"] = _windows_but(spec, window_id)

    return _edited(rules, edit)


def _windows_but(spec: Tree, window_id: str) -> list[Tree]:
    found: list[Tree] = spec.get("maintenance_windows", [])
    named = [{**each, "id": each.get("id", f"window-{n}")} for n, each in enumerate(found, 1)]
    return [each for each in named if each["id"] != window_id]


def with_environment(text: str, environment: str) -> str:
    """A declaration of the same stack in another environment.

    Raises:
        InvalidInputError: it is no name of an environment, or the text is no declaration.
    """
    document.parse(text)
    tree: Tree = yamldoc.parse(text).plain()
    tree["metadata"] = {**tree["metadata"], "environment": environment}
    changed = yamldoc.dump(tree)
    document.parse(changed)
    return changed


def _edited(rules: policy.Policy, edit: Callable[[Tree], None]) -> str:
    tree: Tree = yamldoc.parse(rules.text).plain() if rules.text else {}
    flat = {name: tree.pop(name) for name in policy_document.SPEC if name in tree}
    spec = {**flat, **tree.get("spec", {})}
    edit(spec)
    changed = yamldoc.dump(
        {
            "apiVersion": policy.API_VERSION,
            "kind": policy.KIND,
            "metadata": {
                **tree.get("metadata", {}),
                "client_id": rules.client_id,
                "stack_id": rules.stack_id,
            },
            "spec": spec,
        }
    )
    policy_document.parse(changed)
    return changed


def of_stack(declared: composition.Composition, rules: policy.Policy | None) -> policy.Policy:
    """The policy to change: the declared one, or the defaults for this stack."""
    found = rules or policy.DEFAULT
    return msgspec.structs.replace(found, client_id=declared.client_id, stack_id=declared.stack_id)
