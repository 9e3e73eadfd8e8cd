import copy
import subprocess
import sys

import pytest

from leakage import reasons_against, undeclared
from project import HERE, feature_set, sql_script


@pytest.fixture
def spec():
    return copy.deepcopy(feature_set())


def test_the_examples_own_set_is_accepted(spec):
    assert reasons_against(spec) == []
    assert undeclared(spec, sql_script("30_features.sql")) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dep_delay", ["dep_delay", "departure", "after the prediction"]),
        ("air_time", ["air_time", "landing", "after the prediction"]),
        ("in_the_air", ["origin_delay_1h", "arr_delay", "still in the air"]),
    ],
)
def test_a_leaky_set_is_refused_with_its_reason(name, words):
    done = subprocess.run(
        [sys.executable, HERE / "leakage.py", HERE / "leaky" / f"{name}.yaml"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert all(word in done.stderr for word in words), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_same_delay_of_landed_flights_is_accepted(spec):
    spec["features"]["dest_delay"] = {
        "from": ["typed.outcomes.arr_delay"],
        "admitted_by": "landing",
    }
    assert reasons_against(spec) == []


@pytest.mark.parametrize("admitted_by", ["schedule", "departure", "soon"])
def test_a_window_that_admits_too_early_is_refused(spec, admitted_by):
    spec["features"]["x"] = {
        "from": ["typed.outcomes.late"],
        "admitted_by": admitted_by,
    }
    assert len(reasons_against(spec)) == 1


def test_weather_of_the_current_hour_is_refused(spec):
    spec["features"]["x"] = {
        "from": ["typed.weather.temp"],
        "admitted_by": "schedule",
    }
    assert len(reasons_against(spec)) == 1


def test_a_column_of_unknown_moment_is_refused(spec):
    spec["features"]["x"] = {"from": ["raw.flights.secret"]}
    (reason,) = reasons_against(spec)
    assert "raw.flights.secret" in reason and "becomes known" in reason


def test_sql_that_uses_more_than_is_declared_is_refused(spec):
    sql = (
        sql_script("30_features.sql")
        + "\n-- air_time in a comment is no use of it\nSELECT dep_delay FROM raw.flights;"
    )
    (reason,) = undeclared(spec, sql)
    assert "dep_delay" in reason
