"""What is known to run out: certificates, credentials, quotas, patience with a webhook. Pure."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import model
from helios.reconcile.compositions.predicting import prediction, slopes

AHEAD_S: Final = prediction.HORIZONS["week"]
"""So long before its date a thing that runs out is told of."""

RENEWED_RARELY: Final = 0.9
"""What has not been renewed a week before its end mostly is not renewed in time."""

COUNTED: Final = 0.7
"""Probability that a count that has come this far reaches its limit."""

COUNTED_FROM: Final = 0.5
"""Share of its limit from which on a count is a sign."""

SPENT: Final = 0.65
"""Probability that a quota that is on its way to nothing gets there before it is filled again."""

FAILURES_MAX: Final[Mapping[str, int]] = {"shopify": 8, "woocommerce": 5, "gitlab": 40}
"""Failed deliveries in a row after which a provider switches a webhook off, by adapter."""

_FAILURES: Final = ("failures", "failure_count", "consecutive_failures")
_JWT = re.compile(r"[\w-]+\.([\w-]+)\.[\w-]*", re.ASCII)
_JWT_CHARS_MAX = 16_384
_HOOK = "failed deliveries in a row"


class _Claims(msgspec.Struct):
    exp: float | None = None


def token_expiry(text: str) -> clocks.Timestamp | None:
    """When a JSON Web Token says that it expires; None: it is none, or does not say.

    Its signature is not looked at: who checks the token goes by this date too.
    """
    found = _JWT.fullmatch(text) if len(text) <= _JWT_CHARS_MAX else None
    if found is None:
        return None
    body = found[1]
    try:
        said = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        claims = msgspec.json.decode(said, type=_Claims)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return None
    if claims.exp is None or not 0 < claims.exp < 1e11:
        return None
    return clocks.Timestamp(round(claims.exp * clocks.SECOND_US))


def of_hook(adapter: str, detail: Mapping[str, Any]) -> model.Outlook | None:
    """What a provider tells of its patience with a webhook; None: nothing."""
    limit = FAILURES_MAX.get(adapter)
    count = next((detail[name] for name in _FAILURES if isinstance(detail.get(name), int)), None)
    if count is None or limit is None:
        if detail.get("alert_status") == "temporarily_disabled" and limit is not None:
            # The provider pauses between tries, which it does after the first few failures.
            return model.Outlook(counts={_HOOK: (float(limit) / 2, float(limit))})
        return None
    return model.Outlook(counts={_HOOK: (float(count), float(limit))})


def bases(outlook: model.Outlook, now: clocks.Timestamp) -> tuple[prediction.Basis, ...]:
    """The signs in what is known of how long a component lasts."""
    found = [
        basis
        for what, at in outlook.runs_out.items()
        if (basis := _dated(what, at, now)) is not None
    ]
    found += [
        basis
        for what, (count, limit) in outlook.counts.items()
        if (basis := _counted(what, count, limit)) is not None
    ]
    return tuple(found)


def quota(trend: slopes.Trend) -> prediction.Basis | None:
    """The sign that a provider will soon answer no more; None: its quota lasts."""
    left = trend.reaches_in_s(0.0)
    if left is None or left > prediction.HORIZONS["hours"]:
        return None
    return prediction.Basis(
        kind="quota",
        signal="quota",
        horizon="hours",
        probability=SPENT,
        expected_in_s=left,
        reason=f"{trend.last:g} calls are left, and none in {left / 60:.0f} min at this pace",
    )


def _dated(what: str, at: clocks.Timestamp, now: clocks.Timestamp) -> prediction.Basis | None:
    left_s = (at - now) / clocks.SECOND_US
    if not -AHEAD_S <= left_s <= AHEAD_S:
        return None
    return prediction.Basis(
        kind="date",
        signal=what,
        horizon="week",
        probability=RENEWED_RARELY if left_s > 0.0 else prediction.DUE,
        expected_in_s=max(0.0, left_s),
        reason=f"{what} runs out at {clocks.to_rfc3339(at)}",
    )


def _counted(what: str, count: float, limit: float) -> prediction.Basis | None:
    if not limit * COUNTED_FROM <= count:
        return None
    return prediction.Basis(
        kind="counter",
        signal=what,
        horizon="day",
        probability=COUNTED,
        expected_in_s=prediction.HORIZONS["day"] * max(0.0, 1.0 - count / limit),
        reason=f"{count:g} of {limit:g} {what}",
    )
