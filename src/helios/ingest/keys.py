"""Who may append by the API: whoever knows one of the secrets that the settings name.

A caller shows that he does in one of three ways: `Authorization: Bearer` with the secret itself,
the three headers of Standard Webhooks, or `X-Helios-Signature`, the HMAC-SHA256 of the body in
hex. Without secrets in the settings everybody may, which is why a server listens on its own machine
only unless it is told otherwise.
"""

from collections.abc import Sequence

from helios.kernel import clock as clocks
from helios.kernel import errors, secret
from helios.providers import ports as providers
from helios.providers import signatures, standard_webhooks

SECRETS_S = 1.0
"""How long the values of the secrets are used before they are looked up again."""

TOLERANCE_S = 300.0
_AUTHORIZATION = "authorization"
_SIGNATURE = "x-helios-signature"
_BEARER = "Bearer "


class Keys:
    """Tells callers of the API apart from strangers.

    Args:
        references: of the secrets, newest first; none: everybody may.
        vault: where their values are.
        clock: for ages of signatures.
    """

    def __init__(self, references: Sequence[str], vault: secret.Vault, clock: clocks.Clock) -> None:
        self._references = tuple(references)
        self._vault = vault
        self._clock = clock
        self._kept: tuple[float, tuple[secret.Secret, ...]] | None = None

    @property
    def is_open(self) -> bool:
        """Everybody may."""
        return not self._references

    def check(self, delivery: providers.Delivery) -> None:
        """Let a caller pass.

        Raises:
            UnauthenticatedError: it is a stranger; the message does not say why.
            StorageError: a secret cannot be read now.
        """
        if not self._references:
            return
        try:
            self._check(delivery, self._secrets())
        except providers.RefusedError as error:
            raise errors.UnauthenticatedError(
                "send the token as `Authorization: Bearer …`, sign as Standard Webhooks has it, or "
                "send the HMAC-SHA256 of the body in hex as X-Helios-Signature"
            ) from error

    def _check(self, delivery: providers.Delivery, active: tuple[secret.Secret, ...]) -> None:
        signatures.once(delivery, (_AUTHORIZATION, _SIGNATURE, *standard_webhooks.HEADERS))
        given = delivery.header(_AUTHORIZATION)
        if given is not None:
            scheme, token = given[: len(_BEARER)], given[len(_BEARER) :].strip()
            if scheme.lower() != _BEARER.lower():
                raise providers.RefusedError("bad_token", "not a bearer token")
            signatures.token(active, token)
        elif (hexed := delivery.header(_SIGNATURE)) is not None:
            signatures.fitting(active, [hexed], lambda key: signatures.digest(key, delivery.body))
        else:
            standard_webhooks.verify(
                delivery, active, self._clock.now(), tolerance_s=TOLERANCE_S, text_keys=True
            )

    def _secrets(self) -> tuple[secret.Secret, ...]:
        now_s = self._clock.monotonic()
        if self._kept is None or now_s - self._kept[0] >= SECRETS_S:
            found = tuple(self._vault.find(reference) for reference in self._references)
            if not all(each.reveal() for each in found):
                raise errors.StorageError("a secret of `ingest_secrets` is empty")
            self._kept = (now_s, found)
        return self._kept[1]


def references(text: str | None) -> tuple[str, ...]:
    """The references that the setting names, separated by commas.

    Raises:
        InvalidInputError: one of them is none.
    """
    parts = [part.strip() for part in (text or "").split(",")]
    try:
        return tuple(secret.check_reference(part) for part in parts if part)
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(error.message, field="ingest_secrets") from None
