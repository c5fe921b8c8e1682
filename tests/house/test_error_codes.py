"""The codes that programs compare are frozen: a new one is added here, none is changed."""

import importlib
import pkgutil

import helios
from helios.kernel import errors

FROZEN = {
    "HeliosError": ("internal", False),
    "InvalidInputError": ("invalid_input", False),
    "TooLargeError": ("too_large", False),
    "MethodError": ("method_not_allowed", False),
    "UnreachableError": ("server_unreachable", True),
    "UnexpectedAnswerError": ("unexpected_answer", False),
    "MediaTypeError": ("unsupported_media_type", False),
    "NotFoundError": ("not_found", False),
    "ConflictError": ("conflict", False),
    "CursorError": ("bad_cursor", False),
    "IdempotencyError": ("idempotency_key_reused", False),
    "DeadlineError": ("deadline_exceeded", True),
    "OverloadError": ("overloaded", True),
    "StorageError": ("storage_unavailable", True),
    "StorageFailedError": ("storage_failed", False),
    "CorruptionError": ("corrupt", False),
    "ApplyError": ("view_apply_failed", False),
}


def _family(root: type[errors.HeliosError]) -> set[type[errors.HeliosError]]:
    return {root}.union(*(_family(child) for child in root.__subclasses__()))


def test_the_codes_of_errors_never_change() -> None:
    for module in pkgutil.walk_packages(helios.__path__, "helios."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = {
        kind.__name__: (kind.code, kind.retryable)
        for kind in _family(errors.HeliosError)
        if kind.__module__.startswith("helios.")
        and not kind.__module__.startswith("helios.testing")
    }
    assert found == FROZEN
