"""One action while it is carried out: its secrets, its time, and whether it wrote.

Whoever writes does so inside `writing`, so that a failure can be told from a failure that may have
changed something: the first may be tried again at once, the second is looked at before.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from helios.heal import masking
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret
from helios.providers import ports as providers
from helios.reconcile.compositions import model, ports
from helios.reconcile.compositions.observing import marks

RESERVE_S = 2.0
"""Kept of an action's time for telling what it did."""

_REFUSED_BEFORE = frozenset(("forbidden_address", "forbidden_host", "tls"))
"""Of `OutboundError`: nothing was sent."""

_MAY_HAVE = frozenset((408, 499))
"""Of the answers 4xx: those that do not say that nothing was done."""


class Attempt:
    """See the module.

    Args:
        job: what is to be done.
        vault: where the values of secrets are.
        clock: for the time that is left.
    """

    def __init__(self, job: ports.Job, vault: secret.Vault, clock: clocks.Clock) -> None:
        self.job = job
        self.mask = masking.Mask()
        self._vault = vault
        self._clock = clock
        self._ends = clock.monotonic() + job.action.timeout_s
        self._wrote = False

    @property
    def action(self) -> model.Action:
        return self.job.action

    @property
    def params(self) -> Mapping[str, Any]:
        return self.job.action.params

    @property
    def wanted(self) -> Mapping[str, Any]:
        """`set` of the params: fields with the values they are to have."""
        found = self.params.get("set")
        named = found if isinstance(found, Mapping) else {}
        return {name.strip("/"): reached(value) for name, value in named.items()}

    @property
    def was(self) -> Mapping[str, Any]:
        """`was` of the params: fields with the values that were seen."""
        found = self.params.get("was")
        return found if isinstance(found, Mapping) else {}

    @property
    def wrote(self) -> bool:
        """Whether something may have been changed at the other side."""
        return self._wrote

    @property
    def left_s(self) -> float:
        """Seconds that are left for what comes after the write."""
        return max(0.0, self._ends - self._clock.monotonic() - RESERVE_S)

    @property
    def vault(self) -> secret.Vault:
        """Finds secrets; whatever it finds is masked from now on in all that is told."""
        return _Masking(self._vault, self.mask)

    def kept(self, reference: str) -> secret.Secret:
        """The value of a secret. Raises HealError: it is not there."""
        return self.vault.find(reference)

    def header(self, declared: str) -> secret.Secret:
        """The value of a header: a literal, a reference, or a word and a reference.

        Raises:
            HealError: the secret is not there.
        """
        return marks.header_value(self.vault, declared)

    def secrets(self, references: Mapping[str, str]) -> dict[str, secret.Secret]:
        """Likewise for several, by name."""
        return {name: self.kept(reference) for name, reference in references.items()}

    def hide(self, source: providers.Source) -> None:
        """Mask the secrets of a source."""
        for each in (*source.secrets, *source.credentials.values()):
            self.mask.hide(each)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Around each call that changes something at the other side.

        Raises:
            HealError: this is a dry run.
        """
        if self.job.dry_run:
            raise ports.HealError("internal", "a dry run was about to write; nothing was done")
        try:
            yield
        except Exception as error:
            self._wrote = self._wrote or may_have_happened(error)
            raise
        except BaseException:
            # The time is over, or the process ends: nobody knows how far it came.
            self._wrote = True
            raise
        self._wrote = True


class _Masking:
    """`secret.Vault` that shows what it finds to a mask."""

    def __init__(self, vault: secret.Vault, mask: masking.Mask) -> None:
        self._vault = vault
        self._mask = mask

    def find(self, reference: str) -> secret.Secret:
        """See `secret.Vault.find`. Raises HealError: it is not there."""
        try:
            found = self._vault.find(reference)
        except errors.HeliosError as error:
            raise ports.HealError("secret_missing", str(error)) from None
        self._mask.hide(found)
        return found


def reached(value: Any) -> Any:
    """A value that satisfies what is expected: of `{"$min": 3}` it is 3."""
    if isinstance(value, Mapping):
        if len(value) == 1 and (name := next(iter(value))).startswith("$"):
            return reached(value[name])
        return {name: reached(each) for name, each in value.items()}
    return value


def may_have_happened(error: Exception) -> bool:
    """Whether a write that ended so may have been carried out."""
    match error:
        case ports.HealError():
            return error.happened
        case providers.ProviderApiError():
            return error.status is None or not is_refusal(error.status)
        case outbound.OutboundError():
            return error.reason not in _REFUSED_BEFORE
        case errors.InvalidInputError() | errors.ConflictError() | errors.IdempotencyError():
            return False
        case errors.OverloadError() | errors.LimitedError() | errors.NotFoundError():
            return False
        case _:
            return True


def is_refusal(status: int) -> bool:
    """Whether an HTTP status says that nothing was done."""
    return 400 <= status < 500 and status not in _MAY_HAVE


def told(error: Exception) -> tuple[str, float | None]:
    """The code of `HealError` for an error, and when the other side wants to be asked again."""
    wait_s: float | None = getattr(error, "retry_after_s", None)
    match error:
        case ports.HealError():
            code = error.code
        case providers.ProviderApiError():
            code = of_status(error.status)
        case outbound.OutboundError():
            code = _OUTBOUND.get(error.reason, "unreachable")
        case errors.InvalidInputError() if (error.field or "").startswith("spec.credentials"):
            # What an adapter says of a source that lacks a credential.
            code = "secret_missing"
        case _:
            code = next((word for kind, word in _CODES if isinstance(error, kind)), "internal")
    return code, wait_s


def of_status(status: int | None) -> str:
    """The code for what an HTTP API answered."""
    if status in (401, 403):
        return "unauthorised"
    if status == 404:
        return "not_found"
    if status in (408, 504):
        return "timeout"
    if status in (409, 412):
        return "precondition_failed"
    return "refused" if status is not None and 400 <= status < 500 else "unreachable"


_OUTBOUND = {"timeout": "timeout", "forbidden_address": "refused", "forbidden_host": "refused"}
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (errors.OverloadError, "unreachable"),
    (errors.LimitedError, "unreachable"),
    (TimeoutError, "timeout"),
    (errors.DeadlineError, "timeout"),
    (errors.NotFoundError, "not_found"),
    (errors.ConflictError, "precondition_failed"),
    (errors.IdempotencyError, "precondition_failed"),
    (errors.InvalidInputError, "unsupported"),
)
