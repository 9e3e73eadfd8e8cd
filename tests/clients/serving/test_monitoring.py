"""What endpoints are asked and answer, counted exactly, compared with a reference, with alarms."""

from __future__ import annotations

import json

import numpy as np
import pytest
import requests
from mlflow.models import infer_signature
from serving_models import train


def call(served, method: str, path: str, body=None) -> requests.Response:
    return requests.request(
        method,
        f"{served.server.http}/api/v1/monitors{path}",
        json=body,
        headers=served.server.bearer(),
        timeout=60,
    )


def report(served, query: str = "") -> dict:
    answer = call(served, "GET", f"/{served.name}{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def features(served) -> dict[str, dict]:
    return {one["name"]: one for one in report(served)["features"]}


def ask(served, frame) -> np.ndarray:
    answer = served.invoke({"dataframe_split": json.loads(frame.to_json(orient="split"))})
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["predictions"])


@pytest.fixture
def endpoint(make_served, table):
    frame, late = table[0].drop(columns=["origin"]), table[1]
    served = make_served("watched")
    booster = train(frame, late, 5)
    served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    served.point("1")
    served.create()
    return served


@pytest.fixture
def sample():
    import pandas as pd

    def make(seed: int, rows: int, wind: float = 0.0):
        random = np.random.default_rng(seed)
        return pd.DataFrame(
            {
                "distance": random.integers(100, 3000, rows),
                "wind": random.normal(10 + wind, 3, rows),
                "hour": random.integers(0, 24, rows).astype("int32"),
                "cold": random.random(rows) > 0.5,
            }
        )

    return make


def test_the_first_rows_become_the_reference_and_every_row_is_counted_once(endpoint, sample, until):
    before = report(endpoint)
    assert before["reference"] is None and before["rows"] == 0
    for seed in range(5):
        ask(endpoint, sample(seed, 300))
    until(lambda: report(endpoint)["rows"] == 1500)
    got = report(endpoint)
    assert got["reference"]["kind"] == "first rows" and got["reference"]["rows"] >= 1000
    assert got["version"] == "1" and got["failed"] == 0 and got["alarms"] == []
    names = {one["name"] for one in got["features"]}
    assert {"inputs.distance", "inputs.wind", "inputs.hour", "inputs.cold"} < names
    assert any(name.startswith("outputs.") for name in names)
    # Each bin has exactly the rows that numpy counts in it.
    wind = np.concatenate([sample(seed, 300).wind for seed in range(5)])
    one = features(endpoint)["inputs.wind"]
    assert one["current_rows"] == 1500
    assert one["mean_current"] == pytest.approx(wind.mean(), rel=1e-12)
    assert sum(b["current"] for b in one["bins"]) == 1500
    hours = features(endpoint)["inputs.hour"]
    counts = np.bincount(
        np.concatenate([sample(seed, 300).hour for seed in range(5)]), minlength=24
    )
    by_hour = {b["label"]: b["current"] for b in hours["bins"]}
    assert sorted(by_hour.values()) == sorted(counts.tolist())


def test_a_shift_opens_an_alarm_of_that_feature_alone_and_tells_it(endpoint, sample, until):
    # The training set is a table; its columns have the names of the inputs.
    table = f"training_{endpoint.name.replace('-', '_')}"
    endpoint.server.strata(
        "sql",
        f"CREATE TABLE {table} AS SELECT (100 + random() * 2900)::INT AS distance, "
        "10 + 3 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS wind, "
        "(random() * 24)::INT % 24 AS hour, random() > 0.5 AS cold FROM range(20000)",
    )
    endpoint.server.strata(
        "monitor", "set", endpoint.name, "--reference", f"SELECT * FROM {table}", "--window", "1h"
    )
    ask(endpoint, sample(1, 600, wind=4.0))
    until(lambda: report(endpoint)["alarms"] != [])
    got = features(endpoint)
    assert [name for name, one in got.items() if one["alarm"]] == ["inputs.wind"]
    assert got["inputs.wind"]["psi"] > 0.2 > got["inputs.distance"]["psi"]
    assert report(endpoint)["features"][0]["name"] == "inputs.wind", "the farthest comes first"
    events = endpoint.get(f"/api/v1/events?subject=endpoint:{endpoint.name}").json()["events"]
    [told] = [event for event in events if event["type"] == "drift.detected"]
    assert told["data"]["feature"] == "inputs.wind" and told["data"]["rows"] == 600
    shown = endpoint.server.strata("monitor", "show", endpoint.name).stdout
    assert "inputs.wind" in shown and "open" in shown
    listed = json.loads(endpoint.server.strata("monitor", "list", "-o", "json").stdout)
    [mine] = [one for one in listed["monitors"] if one["endpoint"] == endpoint.name]
    assert mine["alarms"] == ["inputs.wind"]
    steps = call(endpoint, "GET", f"/{endpoint.name}/series?feature=wind").json()["steps"]
    assert sum(step["current_rows"] for step in steps) == 600
    assert all(step["mean_current"] > 13 for step in steps)


def test_a_new_reference_counts_the_whole_log_anew(endpoint, sample, until):
    frame = sample(3, 1200)
    ask(endpoint, frame)
    until(lambda: report(endpoint)["rows"] == 1200)
    done = call(
        endpoint,
        "PATCH",
        f"/{endpoint.name}",
        {"reference": "SELECT 7.5 AS wind, i AS distance FROM range(100) t(i)"},
    )
    assert done.status_code == 200, done.text
    assert done.json()["reference"]["rows"] == 100
    until(lambda: report(endpoint)["rows"] == 1200)
    got = features(endpoint)
    assert set(got) == {"inputs.wind", "inputs.distance"}
    assert got["inputs.wind"]["unseen"] + np.mean(frame.wind == 7.5) == pytest.approx(
        1 - np.mean((frame.wind <= 7.5) & (frame.wind > np.nextafter(7.5, 0)))
    )
    back = call(endpoint, "PATCH", f"/{endpoint.name}", {"reference": None})
    assert back.status_code == 200, back.text
    until(lambda: report(endpoint)["rows"] == 1200)
    assert report(endpoint)["reference"]["kind"] == "first rows"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"window": "1s"}, "window"),
        ({"threshold": -1}, "threshold"),
        ({"minimum_rows": "many"}, "minimum_rows"),
        ({"treshold": 0.3}, "treshold"),
        ({"reference": "SELECT * FROM no_such_table"}, "no_such_table"),
        ({"reference": "SELECT DATE '2026-01-01' AS day"}, "reference"),
    ],
)
def test_bad_settings_are_refused_by_field(endpoint, body, field):
    answer = call(endpoint, "PATCH", f"/{endpoint.name}", body)
    assert answer.status_code in (400, 404), answer.text
    assert field in answer.json()["error"]["message"]


def test_a_reference_changes_no_data(endpoint):
    body = {"reference": "CREATE TABLE made_by_a_monitor AS SELECT 1 AS wind"}
    answer = call(endpoint, "PATCH", f"/{endpoint.name}", body)
    assert answer.status_code == 403, answer.text
    tables = endpoint.get("/api/v1/sql/tables").text
    assert "made_by_a_monitor" not in tables


def test_what_is_not_there_is_told(endpoint):
    assert call(endpoint, "GET", "/no-such-endpoint").status_code == 404
    answer = call(endpoint, "GET", f"/{endpoint.name}?since=yesterday")
    assert answer.status_code == 400 and "since" in answer.json()["error"]["message"]
    late = "?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z"
    assert call(endpoint, "GET", f"/{endpoint.name}{late}").status_code == 400
    assert call(endpoint, "GET", f"/{endpoint.name}/series").status_code == 400
    assert call(endpoint, "GET", f"/{endpoint.name}/series?feature=no").status_code == 400


def test_a_killed_server_counts_every_logged_row_once(other_mlflow, fresh_server, sample, until):
    from served import Served

    frame = sample(1, 200)
    served = Served(fresh_server, other_mlflow, "killed")
    booster = train(frame, (frame.wind > 10).astype(int), 3)
    signature = infer_signature(frame, booster.predict(frame))
    experiment = other_mlflow.create_experiment("killed")
    with other_mlflow.start_run(experiment_id=experiment):
        other_mlflow.lightgbm.log_model(
            booster, name="model", registered_model_name=served.registered, signature=signature
        )
    served.point("1")
    served.create()
    limits = ["--window", "2h", "--threshold", "0.4", "--minimum-rows", "77"]
    fresh_server.strata("monitor", "set", "killed", *limits)
    logged = 0
    for seed in range(6):
        ask(served, sample(seed, 250))
        # What the log has is there after a kill; what came in the last second may be lost.
        logged += 250
        until(lambda n=logged: counted(served) >= n)
        fresh_server.kill()
        fresh_server.start()
        until(lambda: served.show()["state"] == "ready")
    until(lambda: report(served)["rows"] == 1500)
    assert sum(b["current"] for b in features(served)["inputs.wind"]["bins"]) == 1500
    settings = report(served)["settings"]
    assert (settings["window"], settings["threshold"], settings["minimum_rows"]) == ("2h", 0.4, 77)


def counted(served) -> int:
    """Rows in the log's files, by SQL."""
    query = {"sql": "SELECT count(*) FROM strata.predictions WHERE endpoint = 'killed'"}
    answer = requests.post(
        served.server.http + "/api/v1/sql", json=query, headers=served.server.bearer(), timeout=60
    )
    return answer.json()["rows"][0][0]
