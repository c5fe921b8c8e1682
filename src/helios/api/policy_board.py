"""What holds for a stack, of its policy and of the defaults, rule by rule. Pure."""

from typing import Any, Final, Literal

import msgspec

from helios.kernel import durations
from helios.reconcile.compositions import causes, deciding, model, policy, reading


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """What is done about drifts of one cause.

    Attributes:
        severity: of such a drift; severity_origin: whether the policy says so.
        reason: why it is this mode; origin: whether the policy says so, or the defaults.
    """

    cause: str
    type: str
    severity: str
    severity_origin: Literal["policy", "default"]
    mode: policy.Mode
    reason: str
    origin: Literal["policy", "default"]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One value that holds for a stack, as the policy would write it."""

    name: str
    value: Any
    default: Any
    origin: Literal["policy", "default"]


class EffectivePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a stack, whoever said so.

    Attributes:
        declared: a policy was declared; readable: this version of Helios can read it.
    """

    client_id: str
    stack_id: str
    declared: bool
    readable: bool
    modes: list[Mode]
    settings: list[Setting]


def modes(rules: policy.Policy) -> list[Mode]:
    """What is done about drifts of each cause."""
    return [_mode(cause, rules) for cause in causes.TYPES]


def _mode(cause: model.Cause, rules: policy.Policy) -> Mode:
    words = causes.words(cause, causes.TYPES[cause])
    mode, reason = deciding.mode_by(rules, words)
    is_usual = (mode, reason) == deciding.mode_by(policy.DEFAULT, words)
    named = any(word in rules.severities for word in words)
    return Mode(
        cause=cause,
        type=causes.TYPES[cause],
        severity=causes.severity_of(cause, rules),
        severity_origin="policy" if named else "default",
        mode=mode,
        reason=reason,
        origin="default" if is_usual else "policy",
    )


_SPANS: Final = frozenset(("interval", "persistence", "backoff_base", "backoff_max", "ttl"))


def settings(rules: policy.Policy) -> list[Setting]:
    """The values that hold, those of the policy and the defaults."""
    usual = policy.DEFAULT
    return [
        _setting("schedule.interval", rules.interval, usual.interval),
        _setting("schedule.timezone", rules.timezone, usual.timezone),
        *_settings("auto_heal", rules.auto_heal, usual.auto_heal, but="modes"),
        *_settings("approvals", rules.approvals, usual.approvals),
        _setting("require_environment", rules.require_environment, usual.require_environment),
        _setting("rollback_on_failure", rules.rollback_on_failure, usual.rollback_on_failure),
        _setting("maintenance_windows", [each.id for each in rules.windows], []),
        _setting("ignore", [each.id for each in rules.ignore], []),
        _setting("notifications", [each.name for each in rules.channels], []),
    ]


def _settings(
    above: str, found: msgspec.Struct, usual: msgspec.Struct, but: str = ""
) -> list[Setting]:
    return [
        _setting(f"{above}.{name}", getattr(found, name), getattr(usual, name))
        for name in found.__struct_fields__
        if name != but
    ]


def _setting(name: str, found: Any, usual: Any) -> Setting:
    is_span = name.rpartition(".")[2] in _SPANS

    def plain(value: Any) -> Any:
        if is_span:
            return durations.to_text(value)
        return list(value) if isinstance(value, tuple) else value

    return Setting(
        name=name,
        value=plain(found),
        default=plain(usual),
        origin="default" if found == usual else "policy",
    )


def effective(known: reading.Known, *, declared: bool) -> EffectivePolicy:
    """What holds for a stack."""
    rules = known.policy
    return EffectivePolicy(
        client_id=known.state.client_id,
        stack_id=known.state.stack_id,
        declared=declared,
        readable=rules is not None,
        modes=[] if rules is None else modes(rules),
        settings=[] if rules is None else settings(rules),
    )
