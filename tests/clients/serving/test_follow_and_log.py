"""Endpoints follow their alias without losing a request, and every prediction is in the log."""

from __future__ import annotations

import glob
import json
import os
import re
import subprocess
import threading
import uuid

import duckdb
import numpy as np
import pytest
import requests
from programs import ROOT


@pytest.fixture
def two_versions(make_served, table):
    from mlflow.models import infer_signature
    from serving_models import train

    frame, late = table[0].drop(columns=["origin"]), table[1]
    served = make_served("moving")
    for rounds in (3, 9):
        booster = train(frame, late, rounds)
        served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    served.point("1")
    served.create()
    return served


ROW = {"distance": 500, "wind": 12.25, "hour": 9, "cold": True}
VALUES = np.array([[500, 12.25, 9, 1]])


def test_the_documented_wait_ends_when_the_version_that_the_alias_names_answers(
    server, two_versions
):
    page = (ROOT / "docs" / "how-to" / "deploy-a-model.md").read_text()
    (wait,) = [block for block in re.findall(r"```sh\n(.*?)```", page, re.S) if "/ready" in block]
    two_versions.point("2")
    subprocess.run(
        ["bash", "-c", wait.replace("/houses/", f"/{two_versions.name}/")],
        env=os.environ | server.env,
        check=True,
        timeout=90,
    )
    assert two_versions.show()["live"]["version"] == "2"


def test_moving_the_alias_moves_the_endpoint_without_a_failed_or_mixed_answer(server, two_versions):
    served = two_versions
    expected = {v: served.models[v].predict(VALUES)[0] for v in ("1", "2")}
    digests: dict[str, set[str]] = {"1": set(), "2": set()}
    stop, faults, counts = threading.Event(), [], {"1": 0, "2": 0}

    def ask():
        session = requests.Session()
        session.headers.update(server.bearer())
        while not stop.is_set():
            answer = session.post(
                f"{server.http}/endpoints/{served.name}/invocations",
                json={"dataframe_records": [ROW]},
                timeout=30,
            )
            version = answer.headers.get("Strata-Model-Version")
            if answer.status_code != 200 or answer.json()["predictions"] != [expected[version]]:
                faults.append(answer.text)
                return
            counts[version] += 1
            digests[version].add(answer.headers["Strata-Model-Digest"])

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for move in range(6):
        version = str(2 - move % 2)
        served.point(version)
        served.wait_for(version)
        # What was live when the endpoint said so answers from then on.
        assert (
            served.invoke({"dataframe_records": [ROW]}).headers["Strata-Model-Version"] == version
        )
    stop.set()
    for asker in askers:
        asker.join()
    assert not faults
    assert counts["1"] > 0 and counts["2"] > 0
    assert all(len(d) == 1 for d in digests.values()) and digests["1"] != digests["2"]


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(two_versions, table, until):
    served = two_versions
    from serving_models import train

    broken = served.log(
        "lightgbm", train(table[0].drop(columns=["origin"]), table[1], 2)
    )  # without a signature
    served.point(broken)
    until(lambda: served.show()["state"] == "degraded")
    shown = served.show()
    assert shown["wanted_version"] == broken and "infer_signature" in shown["error"]
    assert shown["live"]["version"] == "1"
    assert served.invoke({"dataframe_records": [ROW]}).headers["Strata-Model-Version"] == "1"
    served.point("2")
    served.wait_for("2")
    assert served.show()["error"] is None


def listed_by_page(served, limit: int) -> list[str]:
    """The ids of all predictions of an endpoint, newest first."""
    path = f"/api/v1/endpoints/{served.name}/predictions?limit={limit}"
    ids, token = [], ""
    while token is not None:
        page = served.get(path + (f"&page_token={token}" if token else "")).json()
        assert 0 < len(page["predictions"]) <= limit
        ids += [p["id"] for p in page["predictions"]]
        token = page["next_page_token"]
    return ids


def test_the_log_keeps_every_row_exactly_and_sql_reads_it(server, two_versions):
    served = two_versions
    rng = np.random.default_rng(5)
    sent = {}
    for rows in (1, 3, 1, 2):
        records = [
            {**ROW, "wind": float(rng.random() * 30), "distance": int(rng.integers(0, 2**53))}
            for _ in range(rows)
        ]
        answer = served.invoke({"dataframe_records": records})
        sent[answer.headers["Strata-Prediction-Id"]] = (records, answer.json()["predictions"])
    for prediction_id, (records, outputs) in sent.items():
        logged = served.get(f"/api/v1/predictions/{prediction_id}").json()
        assert [row["inputs"] for row in logged["rows"]] == records
        assert [row["outputs"]["predict"] for row in logged["rows"]] == outputs
        assert logged["status"] == "ok" and logged["latency_us"] >= 0
    newest = served.get(f"/api/v1/endpoints/{served.name}/predictions?limit=2").json()[
        "predictions"
    ]
    assert [p["id"] for p in newest] == list(sent)[:-3:-1]
    assert listed_by_page(served, 3) == list(sent)[::-1]
    files = glob.glob(str(server.data / "predictions" / "*" / served.name / "*.parquet"))
    rows = duckdb.sql(
        "SELECT prediction_id, row, inputs.wind, inputs.distance, outputs.predict, digest, time "
        f"FROM read_parquet({files}) "
        "ORDER BY prediction_id, row"
    ).fetchall()
    expected = [
        (i, n, r["wind"], r["distance"], out[n])
        for i, (records, out) in sorted(sent.items())
        for n, r in enumerate(records)
    ]
    assert [row[:5] for row in rows] == expected
    assert all(row[5].startswith("sha256:") and row[6].year >= 2024 for row in rows)
    assert served.get("/api/v1/predictions/0190163d-8694-739b-aea5-966c26f8ad91").status_code == 404
    assert served.get("/api/v1/predictions/nonsense").status_code == 404


def create_as(running, user: str, endpoint: str) -> None:
    """An endpoint for models:/m/1 that belongs to `user`."""
    made = running.strata("token", "create", "--user", user, "-o", "json")
    answer = requests.post(
        running.http + "/api/v1/endpoints",
        json={"name": endpoint, "model": "models:/m/1"},
        headers=running.bearer(json.loads(made.stdout)["token"]),
        timeout=30,
    )
    assert answer.ok, answer.text


def answers(running, endpoint: str) -> bool:
    ping = f"{running.http}/endpoints/{endpoint}/ping"
    return requests.get(ping, headers=running.bearer(), timeout=30).status_code == 200


def test_endpoints_come_back_after_a_crash_and_keep_what_was_logged(
    fresh_server, other_mlflow, table, until
):
    from mlflow.models import infer_signature
    from serving_models import train

    running, mlflow = fresh_server, other_mlflow
    frame = table[0].drop(columns=["origin"])
    booster = train(frame, table[1], 3)
    experiment = mlflow.create_experiment("crash")
    with mlflow.start_run(experiment_id=experiment):
        mlflow.lightgbm.log_model(
            booster,
            name="model",
            registered_model_name="m",
            signature=infer_signature(frame, booster.predict(frame)),
        )
    running.strata("endpoint", "create", "e", "--model", "models:/m/1", "--wait")
    url = "/endpoints/e/invocations"
    body = {"dataframe_records": [ROW]}
    first = requests.post(running.http + url, json=body, headers=running.bearer(), timeout=30)
    assert (
        requests.get(
            running.http + "/api/v1/predictions/" + first.headers["Strata-Prediction-Id"],
            headers=running.bearer(),
            timeout=30,
        ).status_code
        == 200
    )  # it is on disk from here on
    counted = json.loads(running.strata("endpoint", "show", "e", "-o", "json").stdout)["requests"]
    assert counted["answered"] == 1
    running.strata("user", "create", "carl")
    create_as(running, "carl", "carls")
    until(lambda: answers(running, "carls"))
    running.strata("user", "disable", "carl")
    running.kill()
    running.start()
    # An endpoint does not stop serving because its owner has left.
    until(lambda: answers(running, "e") and answers(running, "carls"))
    again = requests.post(running.http + url, json=body, headers=running.bearer(), timeout=30)
    assert again.json() == first.json()
    shown = json.loads(running.strata("endpoint", "show", "e", "-o", "json").stdout)
    # Requests are counted by each server anew, which says so; the log has them all.
    assert shown["requests"]["answered"] == 1 and shown["requests"]["since"] > counted["since"]
    every = "SELECT count(DISTINCT prediction_id) FROM strata.predictions WHERE endpoint = 'e'"
    assert running.strata("sql", every, "-o", "csv").stdout.split()[-1] == "2"
    assert (
        shown["live"]["deployment"] == 1
    )  # the same version as before the crash is no new deployment
    logged = requests.get(
        running.http + "/api/v1/predictions/" + first.headers["Strata-Prediction-Id"],
        headers=running.bearer(),
        timeout=30,
    ).json()
    assert logged["rows"][0]["inputs"] == ROW
    running.strata("endpoint", "delete", "e")
    assert (
        requests.post(
            running.http + url, json=body, headers=running.bearer(), timeout=30
        ).status_code
        == 404
    )
    assert running.stop() == 0


def test_the_command_line_tells_what_happened(server, flights):
    listed = json.loads(server.strata("endpoint", "list", "-o", "json").stdout)["endpoints"]
    assert flights.name in [endpoint["name"] for endpoint in listed]
    assert flights.name in server.strata("endpoint", "list").stdout
    taken = server.strata(
        "endpoint",
        "create",
        flights.name,
        "--model",
        f"models:/{flights.registered}@live",
        check=False,
    )
    assert taken.returncode == 5
    assert server.strata("endpoint", "show", "nobody", check=False).returncode == 3
    for reference, code in (("models:/nobody@live", 3), ("nobody", 2)):
        assert (
            server.strata("endpoint", "create", "x", "--model", reference, check=False).returncode
            == code
        )


def test_the_time_of_a_prediction_has_one_type_whether_there_are_any_or_not(server, flights):
    flights.invoke({"dataframe_records": [{}]})  # answered or refused: the log is opened
    kinds = set()
    project = f"empty-{uuid.uuid4().hex[:8]}"
    server.strata("project", "create", project)
    for where in ("default", project):
        kind = server.strata(
            "sql",
            "SELECT typeof(time) FROM (SELECT time FROM strata.predictions UNION ALL "
            "SELECT NULL) LIMIT 1",
            "-o",
            "csv",
            "--project",
            where,
        )
        kinds.add(kind.stdout.splitlines()[1])
    assert kinds == {'"TIMESTAMP WITH TIME ZONE"'} or kinds == {"TIMESTAMP WITH TIME ZONE"}
