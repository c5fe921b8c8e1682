"""Whether a version that cannot be brought about is left again. Pure."""

from helios.reconcile.compositions import policy, stack


def due(state: stack.Stack, rules: policy.Policy) -> tuple[stack.Version, str] | None:
    """The version to go back to, and why; None: the stack stays as it is declared.

    Only where policy wants it, once healing has given up, and to the version that was last seen to
    be as declared. Afterwards the stack stays there until somebody unpins it.
    """
    if not rules.rollback_on_failure or state.pinned is not None or state.plan is not None:
        return None
    if state.applied_generation in (0, state.generation):
        return None
    given_up = [
        drift.component
        for drift in state.drifts.values()
        if drift.state == "escalated" and drift.attempts >= rules.auto_heal.max_attempts
    ]
    if not given_up:
        return None
    target = next(
        (each for each in state.versions if each.generation == state.applied_generation), None
    )
    if target is None or target.hash == state.hash or target.hash in state.rejected:
        return None
    what = ", ".join(sorted(set(given_up)))
    return target, f"{state.version} could not be brought about ({what})"
