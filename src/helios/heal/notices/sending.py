"""How a message gets to a place: the port, and what a place needs.

A policy holds references; what they lead to is looked up for each message, so that a secret that
was changed counts at once. It is hidden from whatever is told of a failure.
"""

import asyncio
import email.utils
from collections.abc import Mapping
from typing import Protocol

import msgspec
import structlog

from helios.heal import masking
from helios.heal.notices import message, notice
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret
from helios.reconcile.compositions import policy

TIMEOUT_S = 15.0
"""Longest call. Above: the message failed, and is tried again."""
SEND_S_MAX = 30.0
"""Longest wait for a sender, whatever it does."""

_REFERENCES = ("env:", "file:", "secret:")
_UNDOUBTED = frozenset((400, 413, 422))
"""Answers that say that this very message is not wanted, however often it comes."""

_log = structlog.get_logger("helios.notices")


class NotToldError(Exception):
    """A message did not arrive, or nobody knows.

    Attributes:
        detail: for people; no secret.
        permanent: the same message will not be taken later either.
        retry_after_s: when it asks us to come again.
    """

    def __init__(
        self, detail: str, *, permanent: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.permanent = permanent
        self.retry_after_s = retry_after_s


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A channel with what its references lead to."""

    channel: policy.Channel
    url: secret.Secret | None = None
    routing_key: secret.Secret | None = None
    signing: secret.Secret | None = None


class Sender(Protocol):
    """Sends to channels of one type."""

    async def send(self, place: Place, said: message.Message, /) -> None:
        """Return when the message has arrived.

        Raises:
            NotToldError: it did not, or nobody knows.
            HeliosError: it cannot be sent: something is not set, or not allowed.
        """
        ...


class Senders:
    """Sends to any channel.

    Args:
        by_type: one for each type of channel.
        vault: where secrets are.
    """

    def __init__(self, by_type: Mapping[str, Sender], vault: secret.Vault) -> None:
        self._by_type = by_type
        self._vault = vault

    async def send(self, channel: policy.Channel, said: message.Message) -> None:
        """Return when the message has arrived.

        Raises:
            NotToldError: it did not, or nobody knows; nothing else is raised.
        """
        mask = masking.Mask()
        try:
            place = self._place(channel, mask)
            async with asyncio.timeout(SEND_S_MAX):
                await self._by_type[channel.type].send(place, said)
        except NotToldError as error:
            raise NotToldError(
                notice.line(mask.text(error.detail)),
                permanent=error.permanent,
                retry_after_s=error.retry_after_s,
            ) from None
        except TimeoutError:
            raise NotToldError(f"no answer within {SEND_S_MAX:g} s") from None
        except errors.HeliosError as error:
            raise NotToldError(notice.line(mask.text(str(error)))) from None
        except Exception as error:  # noqa: BLE001 - a sender may rest on anyone's library
            # Without its text, which may hold what it was called with.
            _log.error("sender_failed", channel_type=channel.type, error=type(error).__name__)
            raise NotToldError(f"the sender failed: {type(error).__name__}") from None

    def _place(self, channel: policy.Channel, mask: masking.Mask) -> Place:
        found = {
            name: self._find(text, mask)
            for name, text in (
                ("url", channel.url),
                ("routing_key", channel.routing_key),
                ("signing", channel.secret),
            )
            if text is not None
        }
        return Place(channel=channel, **found)

    def _find(self, text: str, mask: masking.Mask) -> secret.Secret:
        is_reference = text.startswith(_REFERENCES)
        found = self._vault.find(text) if is_reference else secret.Secret(text)
        mask.hide(found)
        return found


def judge(answer: outbound.Answer, now: clocks.Timestamp) -> None:
    """Return when an answer says that a message was taken.

    Raises:
        NotToldError: it was not.
    """
    if answer.ok:
        return
    raise NotToldError(
        f"the other side answers {answer.status}",
        permanent=answer.status in _UNDOUBTED,
        retry_after_s=retry_after(answer.headers.get("retry-after"), now),
    )


def retry_after(value: str | None, now: clocks.Timestamp) -> float | None:
    """Seconds that a `Retry-After` header asks for, given as such or as a date; else None."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        return None
    return max(0.0, (clocks.from_datetime(when) - now) / clocks.SECOND_US)
