import numpy as np
import pytest

import chart
import metrics


@pytest.fixture
def drawn():
    random = np.random.default_rng(3)
    p = np.round(random.uniform(0, 1, 400), 2)  # with ties
    return np.repeat(np.arange(20), 20), random.uniform(0, 1, 400) < p, p


def test_auc_is_the_chance_that_a_late_flight_ranks_higher(drawn):
    _, late, p = drawn
    pairs = [(a > b) + (a == b) / 2 for a in p[late] for b in p[~late]]
    assert metrics.auc(late, p) == pytest.approx(np.mean(pairs))


def test_auc_of_one_class_is_no_number():
    assert np.isnan(metrics.auc(np.array([True, True]), np.array([0.1, 0.2])))


def test_log_loss_of_a_coin_is_ln_2():
    assert metrics.log_loss(np.array([True, False]), np.array([0.5, 0.5])) == pytest.approx(
        np.log(2)
    )


def test_certain_and_wrong_stays_finite():
    assert np.isfinite(metrics.log_loss(np.array([True]), np.array([0.0])))


def test_calibration_keeps_every_flight_and_sorts_by_risk(drawn):
    _, late, p = drawn
    deciles = metrics.calibration(late, p)
    assert sum(d["n"] for d in deciles) == len(p)
    assert [d["predicted"] for d in deciles] == sorted(d["predicted"] for d in deciles)
    assert metrics.calibration_error(deciles) < 0.15


def test_intervals_hold_the_score_and_repeat(drawn):
    day, late, p = drawn
    first, second = metrics.by_day(day, late, p), metrics.by_day(day, late, p)
    assert first == second
    assert first["auc"][0] < metrics.auc(late, p) < first["auc"][1]


def test_charts_are_well_formed(drawn):
    import xml.etree.ElementTree as xml

    _, late, p = drawn
    days = [
        {"day": "2013-11-01", "observed": 0.2, "predicted": 0.3},
        {"day": "2013-11-02", "observed": 0.5, "predicted": 0},
    ]
    for text in (
        chart.calibration(metrics.calibration(late, p), "Calibration"),
        chart.daily(days, "By day"),
    ):
        assert xml.fromstring(text).tag.endswith("svg")
