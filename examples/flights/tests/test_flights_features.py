"""The feature table against a slow, plain recomputation that knows nothing of running sums or
ASOF joins.
"""

import math
import random
from datetime import timedelta

import pytest

from poison import build, rows_as_bytes
from project import feature_names, sql_script

WINDOWS = {
    "origin": [("3h", timedelta(hours=3)), ("24h", timedelta(hours=24))],
    "carrier": [("24h", timedelta(hours=24)), ("7d", timedelta(days=7))],
    "route": [("24h", timedelta(hours=24)), ("7d", timedelta(days=7))],
    "number": [("28d", timedelta(days=28))],
}
KEYS = {
    "origin": lambda f: f["origin"],
    "carrier": lambda f: f["carrier"],
    "route": lambda f: (f["origin"], f["dest"]),
    "number": lambda f: (f["carrier"], f["flight"], f["origin"]),
}


@pytest.fixture(scope="module")
def sample(autumn):
    rows = {row["flight_id"]: row for row in autumn["features"].to_pylist()}
    chosen = random.Random(7).sample(sorted(autumn["facts"], key=lambda f: f["flight_id"]), 60)
    return [(flight, rows[flight["flight_id"]]) for flight in chosen]


def test_windows_hold_exactly_the_flights_landed_in_them(autumn, sample):
    landed = [f for f in autumn["facts"] if f["outcome"] == "landed"]
    for flight, row in sample:
        t = flight["predict_at"]
        for key, windows in WINDOWS.items():
            same = [f for f in landed if KEYS[key](f) == KEYS[key](flight)]
            for name, length in windows:
                inside = [f for f in same if t - length < f["landed_at"] <= t]
                n = max(len(inside), 1)
                delay = sum(max(-30, min(180, f["arr_delay"])) for f in inside) / n
                assert row[f"{key}_n_{name}"] == len(inside)
                assert math.isclose(row[f"{key}_delay_{name}"], delay)
                assert math.isclose(row[f"{key}_late_{name}"], sum(f["late"] for f in inside) / n)


def test_the_previous_leg_is_the_last_that_had_landed(autumn, sample):
    for flight, row in sample:
        before = [
            f
            for f in autumn["facts"]
            if f["outcome"] == "landed"
            and f["tailnum"] == flight["tailnum"]
            and f["landed_at"] <= flight["predict_at"]
        ]
        if flight["tailnum"] is None or not before:
            assert (row["leg_delay"], row["leg_age"]) == (-100, -1)
        else:
            last = max(before, key=lambda f: f["landed_at"])
            assert (
                row["leg_age"] == (flight["predict_at"] - last["landed_at"]).total_seconds() // 60
            )


def test_weather_is_the_last_report_whose_hour_was_over(autumn, sample):
    for flight, row in sample:
        known = [
            r
            for r in autumn["reports"]
            if r["origin"] == flight["origin"] and r["known_at"] <= flight["predict_at"]
        ]
        if not known:
            assert row["weather_age"] == -1
            continue
        last = max(known, key=lambda r: r["known_at"])
        assert row["weather_age"] == (flight["predict_at"] - last["known_at"]).total_seconds() // 60
        assert row["temp"] == (-100 if last["temp"] is None else last["temp"])


def test_every_feature_is_declared_in_order_and_finite(autumn):
    names = feature_names()
    table = autumn["features"]
    assert table.column_names[-len(names) :] == names
    for name in names:
        column = table[name].to_numpy()
        assert column.dtype == "float64" and all(map(math.isfinite, column)), name


def test_results_do_not_depend_on_the_time_zone_of_the_session(autumn):
    autumn["platform"].sql("SET TimeZone = 'Asia/Tokyo'")
    try:
        again = build(autumn["platform"], sql_script("30_features.sql"))
    finally:
        autumn["platform"].sql("RESET TimeZone")
    assert rows_as_bytes(again) == rows_as_bytes(autumn["features"])


def test_landing_times_fit_the_time_in_the_air(autumn):
    """Gate to gate minus air time is taxiing: a wrong time zone or day of arrival would be off by
    hours.
    """
    gap = (
        autumn["platform"]
        .sql(
            """SELECT min(gap) AS low, max(gap) AS high, count(*) AS n FROM (
               SELECT
                   date_diff('minute', s.sched_dep, o.landed_at)
                       - r.dep_delay - r.air_time AS gap
               FROM typed.outcomes AS o JOIN typed.schedule AS s USING (flight_id)
               JOIN raw.flights AS r USING (flight_id)
               WHERE o.outcome = 'landed')"""
        )
        .to_pylist()[0]
    )
    assert gap["n"] > 10_000 and gap["low"] >= 0 and gap["high"] <= 240


def test_flights_without_an_arrival_have_no_label(autumn):
    rows = (
        autumn["platform"]
        .sql("SELECT outcome, count(late) AS labels, count(*) AS n FROM typed.outcomes GROUP BY 1")
        .to_pylist()
    )
    labels = {row["outcome"]: (row["labels"], row["n"]) for row in rows}
    assert labels["cancelled"][0] == 0 and labels["diverted"][0] == 0
    assert labels["landed"][0] == labels["landed"][1]
