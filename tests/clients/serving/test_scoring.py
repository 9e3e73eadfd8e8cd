"""Models over whole tables and objects: the endpoint's bits, all or nothing, in the lineage."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pandas as pd
import pytest
import requests
from s3_client import client_for
from scoring_client import (
    call,
    endpoint_says,
    finished,
    has_table,
    put_table,
    rows_of,
    start,
    table_says,
    with_ids,
)
from sql_client import ask, wait_for


@pytest.fixture
def name():
    return "t" + uuid.uuid4().hex[:8]


@pytest.fixture
def planes(server, table, name):
    """A table of what the model `flights` takes, with ids."""
    frame = with_ids(table[0].drop(columns=["origin"]))
    put_table(server, name, frame)
    return frame


def test_a_table_gets_the_bits_of_the_endpoint(server, flights, planes, name):
    scoring = finished(server, start(server, flights, input=name, output=name + "_out"))
    assert scoring["rows"] == scoring["total"] == len(planes)
    live = flights.show()["live"]
    assert (scoring["version"], scoring["digest"]) == (live["version"], live["digest"])
    expected = endpoint_says(flights, planes.drop(columns=["id"]))
    assert np.array_equal(table_says(server, name + "_out"), expected)
    answer = ask(server, f"SELECT * FROM {name}_out ORDER BY id LIMIT 2")
    named = [column["name"] for column in answer["columns"]]
    assert named == [*planes.columns, "prediction", "model", "model_version", "model_digest"]
    assert answer["rows"][0][-3:] == [flights.registered, "1", live["digest"]]
    kept = rows_of(
        server, f"SELECT count(*) FROM {name} a JOIN {name}_out b USING (id) WHERE a.wind = b.wind"
    )
    assert kept == [[len(planes)]]


def test_the_command_line_scores_and_keeps_the_chosen_columns(server, flights, planes, name):
    arguments = ["model", "score", f"{flights.registered}@live", "--input", name]
    done = server.strata(
        *arguments, "--into", name + "_out", "--keep", "id", "--prediction", "late", "-o", "json"
    )
    scoring = json.loads(done.stdout)
    assert scoring["state"] == "finished" and scoring["result"] == f"table:main.{name}_out@1"
    answer = ask(server, f"SELECT * FROM {name}_out LIMIT 1")
    named = [column["name"] for column in answer["columns"]]
    assert named == ["id", "late", "model", "model_version", "model_digest"]
    again = server.strata(*arguments, "--into", name + "_out", check=False)
    assert again.returncode == 5 and "already" in again.stderr
    more = server.strata(
        *arguments, "--into", name + "_out", "--keep", "id", "--prediction", "late", "--append"
    )
    assert "finished" in more.stdout
    assert rows_of(server, f"SELECT count(*) FROM {name}_out") == [[2 * len(planes)]]
    assert scoring["id"] in server.strata("scoring", "list").stdout


def test_objects_are_read_and_written(server, flights, planes, name):
    output = f"s3://frames/{name}_out.parquet"
    source = f"s3://frames/{name}.parquet"
    scoring = finished(server, start(server, flights, input=source, output=output, keep=["id"]))
    assert [ref.split("@")[0] for ref in scoring["sources"]] == [f"object:frames/{name}.parquet"]
    expected = endpoint_says(flights, planes.drop(columns=["id"]))
    assert np.array_equal(table_says(server, f"'{output}'"), expected)
    size = client_for(server).head_object(Bucket="frames", Key=f"{name}_out.parquet")
    assert size["ContentLength"] > 0


def test_an_onnx_model_of_one_tensor_gets_the_columns_in_order(server, linear, name):
    rng = np.random.default_rng(5)
    frame = with_ids(pd.DataFrame(rng.normal(size=(300, 4)).astype("f4"), columns=list("abcd")))
    put_table(server, name, frame)
    finished(server, start(server, linear, input=name, output=name + "_out", keep=["id"]))
    expected = endpoint_says(linear, frame.drop(columns=["id"]).astype("f8")).astype("f4")
    scored = table_says(server, name + "_out").astype("f4")
    assert np.array_equal(scored.view("u4"), expected.view("u4"))


def test_what_was_read_and_the_model_are_in_the_lineage(server, flights, planes, name):
    ask(server, f"INSERT INTO {name} SELECT * FROM {name} LIMIT 1")
    scoring = finished(server, start(server, flights, input=name, output=name + "_out"))
    assert scoring["sources"] == [f"table:main.{name}@2"]
    nodes = {
        node["ref"] for node in call(server, "GET", f"why/{scoring['result']}").json()["nodes"]
    }
    wanted = {f"scoring:{scoring['id']}", f"table:main.{name}@2", f"model:{flights.registered}@1"}
    assert wanted <= nodes
    found = call(server, "GET", f"impact?ref=model:{flights.registered}@1").json()["nodes"]
    assert scoring["result"] in {node["ref"] for node in found}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("SELECT * EXCLUDE (wind)", ["no column 'wind'"]),
        ("SELECT * REPLACE (CAST(wind AS VARCHAR) AS wind)", ["'wind' is VARCHAR", "double"]),
        ("SELECT * REPLACE (IF(id = 7, NULL, cold) AS cold)", ["'cold', row 7", "missing"]),
        ("SELECT * REPLACE (IF(id = 300, 1.5, hour) AS hour)", ["'hour', row 300", "1.5"]),
        ("SELECT * REPLACE (id AS id) WHERE_NONE", ["no rows"]),
        ("SELECT *, 1 AS prediction", ["two columns 'prediction'"]),
    ],
)
def test_what_does_not_fit_is_refused_with_column_and_row(
    server, flights, planes, name, change, words
):
    change = change.replace("WHERE_NONE", f"FROM {name} WHERE false")
    source = change if " FROM " in change else f"{change} FROM {name}"
    ask(server, f"CREATE TABLE {name}_bad AS {source} ORDER BY id")
    begun = start(server, flights, input=name + "_bad", output=name + "_out")
    scoring = finished(server, begun, "failed")
    assert all(word in scoring["error"]["message"] for word in words), scoring["error"]
    assert scoring["error"]["field"] in ("input", "keep")
    assert not has_table(server, name + "_out")


def test_what_can_be_told_at_once_is_refused_at_once(server, flights, planes, name):
    for draft, field in [
        ({"input": "nowhere", "output": "x"}, "input"),
        ({"input": name, "output": "s3://frames/out.txt"}, "output"),
        ({"input": name, "output": "s3://frames/out.csv", "mode": "append"}, "mode"),
        ({"input": name, "output": name + "_none", "mode": "append"}, "output"),
        ({"input": name, "output": "a.b.c"}, "output"),
        ({"input": name, "output": name}, "output"),
    ]:
        answer = start(server, flights, **draft)
        assert 400 <= answer.status_code < 500, (draft, answer.text)
        assert answer.json()["error"]["field"] == field, answer.text
    missing = call(
        server, "POST", "scorings", json={"model": "models:/none@x", "input": name, "output": "x"}
    )
    assert missing.status_code == 404


def test_missing_and_infinite_numbers_go_in_as_they_are(server, flights, planes, name):
    ask(server, f"UPDATE {name} SET wind = 'NaN' WHERE id = 1")
    ask(server, f"UPDATE {name} SET wind = NULL WHERE id = 2")
    ask(server, f"UPDATE {name} SET wind = 'Infinity' WHERE id = 3")
    finished(server, start(server, flights, input=name, output=name + "_out"))
    frame = planes.drop(columns=["id"]).copy()
    frame.loc[1, "wind"] = frame.loc[2, "wind"] = np.nan
    frame.loc[3, "wind"] = np.inf
    expected = flights.models["1"].predict(frame)
    assert np.array_equal(table_says(server, name + "_out"), expected)


def test_a_large_table_is_scored_in_parts_and_types_are_kept(server, flights, name):
    ask(
        server,
        f"CREATE TABLE {name} AS SELECT range AS id, range::HUGEINT AS big, "
        "'red'::ENUM('red', 'green') AS colour, (range % 3000)::BIGINT AS distance, "
        "(range % 31)::DECIMAL(6, 2) AS wind, (range % 24)::INTEGER AS hour, "
        "range % 2 = 0 AS cold FROM range(300000)",
    )
    scoring = finished(server, start(server, flights, input=name, output=name + "_out"))
    assert scoring["rows"] == 300_000
    types = {
        c["name"]: c["type"] for c in ask(server, f"SELECT * FROM {name}_out LIMIT 1")["columns"]
    }
    assert types["big"] == "HUGEINT" and types["colour"].startswith("ENUM")
    assert types["wind"] == "DECIMAL(6,2)"
    same = rows_of(
        server,
        f"SELECT count(*), count(DISTINCT b.id), bool_and(a.big = b.big AND a.hour = b.hour) "
        f"FROM {name} a JOIN {name}_out b USING (id)",
    )
    assert same == [[300_000, 300_000, True]]
    ids = [0, 4095, 4096, 131_071, 131_072, 299_999]
    frame = pd.DataFrame(
        {
            "distance": [i % 3000 for i in ids],
            "wind": [float(i % 31) for i in ids],
            "hour": np.array([i % 24 for i in ids], "int32"),
            "cold": [i % 2 == 0 for i in ids],
        }
    )
    listed = ", ".join(map(str, ids))
    scored = table_says(server, f"{name}_out WHERE id IN ({listed})")
    assert np.array_equal(scored, flights.models["1"].predict(frame))


def long_table(server, name):
    ask(
        server,
        f"CREATE TABLE {name} AS SELECT range AS id, (range % 3000)::BIGINT AS distance, "
        "(range % 31)::DOUBLE AS wind, (range % 24)::INTEGER AS hour, range % 2 = 0 AS cold "
        "FROM range(2000000)",
    )


def test_a_scoring_that_is_cancelled_writes_nothing(server, flights, name):
    long_table(server, name)
    begun = start(server, flights, input=name, output=name + "_out")
    path = f"scorings/{begun.json()['id']}"
    wait_for(lambda: call(server, "GET", path).json()["rows"] > 0)
    assert call(server, "POST", path + "/cancel", json={}).status_code == 200
    finished(server, begun, "cancelled")
    assert not has_table(server, name + "_out")
    assert call(server, "POST", path + "/cancel", json={}).status_code == 409


def test_who_may_not_read_models_or_write_tables_scores_nothing(server, flights, planes, name):
    for scope in ("lake:write,sql:query", "model:read,sql:query", "model:read,lake:write"):
        issued = json.loads(server.strata("token", "create", "--scope", scope, "-o", "json").stdout)
        refused = server.bearer(issued["token"])
        answer = requests.post(
            f"{server.http}/api/v1/scorings",
            json={"model": f"models:/{flights.registered}@live", "input": name, "output": "x"},
            headers=refused,
            timeout=30,
        )
        assert answer.status_code == 403, (scope, answer.text)


@pytest.mark.parametrize("moment", ["running", "committing"])
def test_after_kill_9_there_is_the_whole_table_or_none(other_mlflow, fresh_server, table, moment):
    from mlflow.models import infer_signature
    from served import Served
    from serving_models import train

    frame = table[0].drop(columns=["origin"])
    served = Served(fresh_server, other_mlflow, "killed")
    booster = train(frame, table[1])
    served.point(
        served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    )
    long_table(fresh_server, "flights")
    begun = start(fresh_server, served, input="flights", output="scored")
    path = f"scorings/{begun.json()['id']}"

    def reached():
        seen = call(fresh_server, "GET", path).json()
        assert seen["state"] in ("queued", "running", "committing"), seen
        return seen["state"] == moment and (moment == "committing" or seen["rows"] > 0)

    wait_for(reached, 120)
    fresh_server.kill()
    fresh_server.start()

    def over():
        seen = call(fresh_server, "GET", path).json()
        return seen if seen["state"] in ("finished", "failed") else None

    scoring = wait_for(over)
    whole = scoring["state"] == "finished"
    assert whole or "again" in scoring["error"]["message"]
    assert has_table(fresh_server, "scored") == whole
    if whole:
        assert rows_of(fresh_server, "SELECT count(*) FROM scored") == [[2_000_000]]
    assert not any((fresh_server.data / "scoring").glob("*"))
    events = call(fresh_server, "GET", f"events?subject=scoring:{scoring['id']}").json()["events"]
    assert "scoring.ended" in [event["type"] for event in events]
    ask(fresh_server, "CREATE TABLE few AS SELECT * FROM flights LIMIT 10")
    again = start(fresh_server, served, input="few", output="scored", mode="replace")
    assert finished(fresh_server, again)["rows"] == 10
    assert rows_of(fresh_server, "SELECT count(*) FROM scored") == [[10]]
