"""The codes that programs compare are frozen: a new one is added here, none is changed."""

import importlib
import pkgutil

import helios
from helios.api import problems
from helios.kernel import errors

FROZEN = {
    "approval_closed": 409,
    "approval_missing": 409,
    "approver_refused": 403,
    "bad_cursor": 400,
    "conflict": 409,
    "corrupt": 500,
    "deadline_exceeded": 504,
    "digest_mismatch": 409,
    "drift_closed": 409,
    "forbidden": 403,
    "gone": 410,
    "idempotency_key_reused": 422,
    "internal": 500,
    "invalid_input": 400,
    "method_not_allowed": 405,
    "not_found": 404,
    "not_running": 503,
    "nothing_to_do": 409,
    "outbound_failed": 502,
    "overloaded": 503,
    "plan_blocked": 409,
    "plan_expired": 409,
    "plan_stale": 409,
    "promotion_refused": 409,
    "provider_api": 502,
    "rate_limited": 429,
    "refused": 409,
    "removals_refused": 409,
    "revision_rejected": 409,
    "rule_error": None,
    "server_unreachable": None,
    "stack_pinned": 409,
    "storage_failed": 503,
    "storage_unavailable": 503,
    "too_large": 413,
    "unauthenticated": 401,
    "unexpected_answer": None,
    "unsupported_media_type": 415,
    "view_apply_failed": None,
}
"""Code -> HTTP status; None where it never leaves by HTTP."""

WORTH_ANOTHER_TRY = {
    "deadline_exceeded",
    "not_running",
    "outbound_failed",
    "overloaded",
    "provider_api",
    "rate_limited",
    "server_unreachable",
    "storage_unavailable",
}


def _family(root: type[errors.HeliosError]) -> set[type[errors.HeliosError]]:
    return {root}.union(*(_family(child) for child in root.__subclasses__()))


def _kinds() -> set[type[errors.HeliosError]]:
    """Every error of the product; its modules are imported to find them."""
    for module in pkgutil.walk_packages(helios.__path__, "helios."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {
        kind
        for kind in _family(errors.HeliosError)
        if kind.__module__.startswith("helios.")
        and not kind.__module__.startswith("helios.testing")
    }


def test_the_codes_of_errors_never_change() -> None:
    assert {kind.code for kind in _kinds()} == FROZEN.keys()


def test_whether_an_error_is_worth_another_try_never_changes() -> None:
    assert {kind.code for kind in _kinds() if kind.retryable} == WORTH_ANOTHER_TRY


def test_the_http_status_of_a_code_never_changes() -> None:
    assert problems.codes() == {code: status for code, status in FROZEN.items() if status}
