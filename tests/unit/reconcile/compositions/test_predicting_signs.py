"""The signs of drift to come: dates, climbing signals, pauses between drifts, ages, surprises."""

import base64
import json
import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.reconcile.compositions import model
from helios.reconcile.compositions.predicting import (
    ageing,
    dates,
    estimators,
    hazard,
    slopes,
    surprise,
)

SECOND = clocks.SECOND_US
NOW = clocks.Timestamp(1_760_000_000 * SECOND)
HOUR, DAY = 3_600.0, 86_400.0


def at(seconds: float) -> clocks.Timestamp:
    return clocks.Timestamp(NOW + round(seconds * SECOND))


def token(claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part(claims)}.c2ln"


# -- dates ----------------------------------------------------------------------------------------


def test_a_token_says_itself_when_it_expires() -> None:
    assert dates.token_expiry(token({"exp": 1_760_000_000})) == NOW


@pytest.mark.parametrize(
    "text",
    [
        "shpat_0123456789abcdef",
        "a.b",
        "a.b.c",
        "...",
        token({"sub": "ada"}),
        token({"exp": "tomorrow"}),
        token({"exp": -5}),
        token({"exp": 1e300}),
        token(["exp"]),
        "x." * 20_000,
    ],
)
def test_what_is_no_token_with_a_date_has_none(text: str) -> None:
    assert dates.token_expiry(text) is None


@given(st.text(max_size=200))
def test_no_credential_breaks_the_reader_of_tokens(text: str) -> None:
    dates.token_expiry(text)
    dates.token_expiry(f"a.{text}.b")


def test_a_date_is_a_sign_in_the_week_before_it() -> None:
    outlook = model.Outlook(runs_out={"certificate": at(8 * DAY)})
    assert dates.bases(outlook, NOW) == ()
    (found,) = dates.bases(outlook, at(2 * DAY))
    assert (found.kind, found.horizon, found.expected_in_s) == ("date", "week", 6 * DAY)
    assert "certificate runs out at" in found.reason


def test_a_date_that_has_come_keeps_what_was_told_and_tells_nothing_new() -> None:
    (found,) = dates.bases(model.Outlook(runs_out={"certificate": NOW}), at(60))
    assert found.probability < 0.6
    assert found.expected_in_s == 0.0


def test_a_webhook_is_given_up_by_count_where_its_provider_counts() -> None:
    few = dates.of_hook("shopify", {"failures": 3})
    many = dates.of_hook("shopify", {"failures": 6})
    assert few is not None
    assert many is not None
    assert dates.bases(few, NOW) == ()
    (found,) = dates.bases(many, NOW)
    assert found.kind == "counter"
    assert found.reason.startswith("6 of 8")
    assert dates.of_hook("strapi", {"failures": 6}) is None
    assert dates.of_hook("shopify", {}) is None


def test_a_provider_that_pauses_a_webhook_is_losing_patience() -> None:
    found = dates.of_hook("gitlab", {"alert_status": "temporarily_disabled"})
    assert found is not None
    assert [each.kind for each in dates.bases(found, NOW)] == ["counter"]


def test_a_quota_that_runs_dry_is_told_and_one_that_lasts_is_not() -> None:
    fast, slow = slopes.Trend(), slopes.Trend()
    for number in range(30):
        fast.observe(at(300 * number), 5_000 - 100 * number)
        slow.observe(at(300 * number), 5_000 - number)
    found = dates.quota(fast)
    assert found is not None
    assert found.kind == "quota"
    assert 0 < found.expected_in_s < 3 * HOUR
    assert dates.quota(slow) is None


# -- signals that climb ---------------------------------------------------------------------------


def usual(rule: slopes.Rule, value: float, count: int = 100) -> slopes.Series:
    found = slopes.Series()
    for _ in range(count):
        found.observe(value, rule)
    return found


def told(found: slopes.Series, rule: slopes.Rule) -> float:
    basis = found.basis(rule)
    return 0.0 if basis is None else basis.probability


def test_latency_that_stays_up_is_a_sign_and_a_spike_is_none() -> None:
    found = usual(slopes.LATENCY, 0.1)
    found.observe(5.0, slopes.LATENCY)
    assert told(found, slopes.LATENCY) == 0.0
    for _ in range(4):
        found.observe(0.1, slopes.LATENCY)
    for _ in range(4):
        found.observe(0.5, slopes.LATENCY)
    basis = found.basis(slopes.LATENCY)
    assert basis is not None
    assert basis.probability == slopes.LATENCY.probability
    assert "4 rounds" in basis.reason


def test_a_short_outage_is_no_sign_and_a_long_one_is() -> None:
    found = usual(slopes.ERRORS, 0.0)
    for _ in range(4):
        found.observe(1.0, slopes.ERRORS)
    assert told(found, slopes.ERRORS) == 0.0
    found.observe(1.0, slopes.ERRORS)
    assert told(found, slopes.ERRORS) > 0.6


def test_a_pause_keeps_a_sign_but_makes_none() -> None:
    found = usual(slopes.ERRORS, 0.0)
    for _ in range(6):
        found.observe(1.0, slopes.ERRORS)
    found.observe(0.0, slopes.ERRORS)
    assert 0.35 <= told(found, slopes.ERRORS) < 0.6
    for _ in range(40):
        found.observe(0.0, slopes.ERRORS)
    assert told(found, slopes.ERRORS) == 0.0


def test_a_signal_that_is_hardly_known_is_compared_with_its_peers() -> None:
    alone, among = slopes.Series(), slopes.Series()
    for _ in range(6):
        alone.observe(3.0, slopes.LATENCY)
        among.observe(3.0, slopes.LATENCY, peers=0.2)
    assert told(alone, slopes.LATENCY) == 0.0
    assert told(among, slopes.LATENCY) > 0.6


def test_a_new_level_becomes_the_usual_one() -> None:
    found = usual(slopes.LATENCY, 0.1)
    for _ in range(slopes.ADOPTED + 1_500):
        found.observe(0.4, slopes.LATENCY)
    assert told(found, slopes.LATENCY) == 0.0


def test_a_number_on_its_way_to_its_limit_says_when_it_gets_there() -> None:
    found = slopes.Trend()
    for number in range(48):
        found.observe(at(300 * number), 100 + 10 * number)
    basis = found.basis("messages", 1_000)
    assert basis is not None
    # 420 are left at 10 in 5 minutes; the last three values are taken together.
    assert basis.expected_in_s == pytest.approx(43 * 300, rel=0.03)
    assert found.basis("messages", 50) is None


def test_noise_is_on_its_way_nowhere() -> None:
    rng = random.Random(7)
    found = slopes.Trend()
    for number in range(300):
        found.observe(at(300 * number), 100 + rng.gauss(0, 10))
        assert found.basis("messages", 1_000) is None


# -- drift that comes back ------------------------------------------------------------------------


def onsets(*days: float) -> tuple[clocks.Timestamp, ...]:
    return tuple(at(day * DAY) for day in days)


def test_drift_by_the_clock_is_foreseen_the_day_before() -> None:
    before = onsets(0, 3, 6, 9, 12)
    assert hazard.basis(before, [], at(13 * DAY)) is None
    found = hazard.basis(before, [], at(14.6 * DAY))
    assert found is not None
    assert found.probability > 0.6
    assert "5 times" in found.reason


def test_few_drifts_say_nothing() -> None:
    assert hazard.basis(onsets(0, 7, 14), [], at(20.5 * DAY)) is None
    assert hazard.basis((), [], NOW) is None


def test_what_is_far_too_late_follows_no_clock_any_more() -> None:
    assert hazard.basis(onsets(0, 7, 14, 21), [], at(70 * DAY)) is None


def test_drift_at_any_time_is_as_probable_late_as_early() -> None:
    shape = 1.0
    early = hazard.within(shape, 10.0, 0.0, 5.0)
    late = hazard.within(shape, 10.0, 20.0, 5.0)
    assert early == pytest.approx(1 - math.exp(-0.5), rel=1e-9)
    assert late == pytest.approx(early, rel=1e-9)


def test_peers_count_where_drift_keeps_no_time() -> None:
    own = [1.0 * DAY, 9.0 * DAY, 0.3 * DAY, 3.0 * DAY]
    shape, alone = hazard.fitted(own, [])
    _, among = hazard.fitted(own, [0.1 * DAY] * 10)
    assert shape < 2.0
    assert among < alone


@given(st.floats(0.3, 60.0), st.floats(1.0, 1e6), st.floats(0.0, 5e6), st.floats(0.0, 1e6))
def test_a_probability_is_one_and_grows_with_the_time_given(
    shape: float, mean: float, since: float, ahead: float
) -> None:
    found = hazard.within(shape, mean, since, ahead)
    assert -1e-9 <= found <= 1.0
    assert hazard.within(shape, mean, since, 2 * ahead) >= found - 1e-9


# -- ages -----------------------------------------------------------------------------------------


def gaps(hours: float, count: int = 20) -> ageing.Gaps:
    found = ageing.Gaps()
    for _ in range(count):
        found.add(hours * HOUR)
    return found


def test_content_that_is_usually_new_and_grows_old_is_foreseen_to_be_too_old() -> None:
    week = 7 * DAY
    assert ageing.ages(gaps(6), 2 * DAY, week) is None
    found = ageing.ages(gaps(6), 6 * DAY, week)
    assert found is not None
    assert found.probability > 0.9
    assert found.expected_in_s == pytest.approx(DAY)


def test_an_age_of_which_nothing_is_known_says_nothing() -> None:
    assert ageing.ages(gaps(6, 2), 6.9 * DAY, 7 * DAY) is None


def test_silence_alone_is_never_enough_to_tell_anything() -> None:
    found = ageing.Gaps()
    for number in range(30):
        found.happened(number * HOUR)
    assert ageing.silence(found, 31 * HOUR) is None
    basis = ageing.silence(found, 29 * HOUR + 10 * DAY)
    assert basis is not None
    assert basis.probability < 0.35


def test_an_event_that_is_told_of_again_is_no_new_one() -> None:
    found = ageing.Gaps()
    for seconds in (0.0, 60.0, 60.0, 30.0, 120.0):
        found.happened(seconds)
    assert (found.count, found.usual) == (2, 60.0)


# -- estimates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_quantile_is_found_and_follows_a_new_level(share: float) -> None:
    rng = random.Random(3)
    found = estimators.Quantile(share, 600)
    for level in (1.0, 5.0):
        values = [level * rng.lognormvariate(0, 0.3) for _ in range(6_000)]
        for value in values:
            found.update(value)
        exact = statistics.quantiles(values, n=100)[round(share * 100) - 1]
        assert found.value == pytest.approx(exact, rel=0.1)


def test_a_level_is_a_plain_mean_first() -> None:
    found = estimators.Level(100)
    values = [3.0, 5.0, 10.0]
    for value in values:
        found.update(value)
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.variance == pytest.approx(statistics.pvariance(values))


def test_a_surprise_is_told_once_and_an_even_series_has_none() -> None:
    rng = random.Random(11)
    found = surprise.Detector()
    scores = [found.update(at(300 * n), rng.gauss(10, 1)) for n in range(600)]
    assert max(scores[100:]) < surprise.THRESHOLD
    assert found.update(at(300 * 600), 60.0) >= surprise.THRESHOLD
    again = [found.update(at(300 * n), 60.0) for n in range(601, 606)]
    assert max(again) == 0.0


@given(st.lists(st.floats(-1e12, 1e12), max_size=200))
def test_a_score_is_a_share_whatever_the_series(values: list[float]) -> None:
    found = surprise.Detector()
    for number, value in enumerate(values):
        assert 0.0 <= found.update(at(300 * number), value) <= 1.0
