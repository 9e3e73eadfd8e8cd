import pytest

from poison import CUTS, judge
from project import sql_script

STORM = CUTS["the worst storm day"]

# Each is a mistake that scores would not show.
MISTAKES = {
    "the two hours are forgotten": ("predict_at AS t,", "sched_dep AS t,"),
    "landings count by schedule": (
        "tailnum, landed_at, greatest(",
        "tailnum, sched_arr AS landed_at, greatest(",
    ),
    "the hour's weather is used before the hour is over": (
        "p.t >= weather.known_at",
        "p.t >= weather.known_at - INTERVAL 1 HOUR",
    ),
    "the previous leg need not have landed": (
        "p.tailnum = leg.tailnum AND p.t >= leg.landed_at",
        "p.tailnum = leg.tailnum AND p.t >= leg.landed_at - INTERVAL 3 HOUR",
    ),
}


@pytest.mark.parametrize("cut", CUTS.values())
def test_features_known_before_the_cut_do_not_change(year, cut):
    verdicts = judge(year, cut)
    assert [v.how for v in verdicts] == ["alter", "delete"]
    for verdict in verdicts:
        assert verdict.compared > 5_000 and verdict.different == 0 and verdict.later_changed > 0


def test_the_warehouse_of_a_server_keeps_the_promise_too(warehouse):
    for verdict in judge(warehouse, STORM):
        assert verdict.compared > 5_000 and verdict.different == 0 and verdict.later_changed > 0
    forgotten = mistaken("the two hours are forgotten")
    assert not any(v.holds for v in judge(warehouse, STORM, feature_sql=forgotten))


def mistaken(mistake: str) -> str:
    right, wrong = MISTAKES[mistake]
    script = sql_script("30_features.sql")
    assert script.count(right) == 1
    return script.replace(right, wrong)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_look_into_the_future_is_found(year, mistake):
    assert not any(v.holds for v in judge(year, STORM, feature_sql=mistaken(mistake)))


@pytest.mark.parametrize("cut", CUTS.values())
def test_every_cut_bites(year, cut):
    """A cut with no flights near it would hold whatever the features do."""
    assert not any(
        v.holds for v in judge(year, cut, feature_sql=mistaken("the two hours are forgotten"))
    )
