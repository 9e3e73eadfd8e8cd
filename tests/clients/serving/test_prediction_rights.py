"""Who may read what endpoints were asked: SQL asks for the same right as the endpoint's own log."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest
import requests

BY_NAME = [
    "SELECT inputs, outputs FROM strata.predictions",
    'SELECT count(*) FROM warehouse."strata"."Predictions"',
    "FROM STRATA.predictions LIMIT 0",
    "WITH p AS (SELECT * FROM strata.predictions) SELECT 1 FROM p WHERE false",
    "SELECT (SELECT max(time) FROM strata.predictions)",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM strata.predictions)",
    "SELECT 1 UNION ALL SELECT row FROM strata.predictions",
    "TABLE strata.predictions",
    "SUMMARIZE strata.predictions",
    "EXPLAIN ANALYZE SELECT * FROM strata.predictions",
    "PIVOT strata.predictions ON version USING count(*)",
    # What an error or an answer without rows would tell of the values.
    "SELECT 1 FROM strata.predictions WHERE error(inputs::VARCHAR) IS NULL",
    "SELECT 1 FROM strata.predictions WHERE version = '1' AND false",
    "CREATE TABLE {new} AS FROM strata.predictions",
    "CREATE VIEW {new} AS FROM strata.predictions",
    "CREATE TEMP TABLE {new} AS FROM strata.predictions; FROM {new}",
    "BEGIN; CREATE TABLE {new} AS FROM strata.predictions; COMMIT",
    "CREATE TABLE {new} (i INTEGER); INSERT INTO {new} SELECT row FROM strata.predictions",
    "CREATE MACRO {new}() AS TABLE FROM strata.predictions; FROM {new}()",
    "CREATE MACRO {new}() AS (SELECT max(time) FROM strata.predictions); SELECT {new}()",
    "COPY (FROM strata.predictions) TO 's3://{bucket}/x.parquet'",
]


@pytest.fixture(scope="module")
def asked(server, linear):
    """An endpoint that has answered, and a right to SQL without the one to endpoints."""
    values = np.ones((1, 4), "f4").tolist()
    sent = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": values}]}
    assert linear.infer(sent).status_code == 200
    sql = server_sql(server, server.env["STRATA_TOKEN"])
    status, answer = sql("SELECT count(*) FROM strata.predictions")
    assert status == 200 and answer["rows"][0][0] > 0
    return linear


def new_token(server, scope: str) -> str:
    made = server.strata("token", "create", "--user", "admin", "--scope", scope, "-o", "json")
    return json.loads(made.stdout)["token"]


def server_sql(server, token: str):
    def ask(text: str, accept: str = "application/json"):
        answer = requests.post(
            f"{server.http}/api/v1/sql",
            json={"sql": text},
            headers={**server.bearer(token), "Accept": accept},
            timeout=60,
        )
        return answer.status_code, answer.json() if "json" in answer.headers["Content-Type"] else {}

    return ask


@pytest.fixture(scope="module")
def narrow(server, asked):
    return server_sql(server, new_token(server, "sql:query,lake"))


@pytest.fixture(scope="module")
def whole(server, asked):
    return server_sql(server, server.env["STRATA_TOKEN"])


@pytest.fixture(scope="module")
def bucket(server):
    name = f"rights-{uuid.uuid4().hex[:8]}"
    answer = requests.post(
        f"{server.http}/api/v1/lake/buckets",
        json={"name": name},
        headers=server.bearer(),
        timeout=30,
    )
    assert answer.status_code in (200, 201), answer.text
    return name


def fresh() -> str:
    return f"n_{uuid.uuid4().hex[:10]}"


def test_the_log_of_an_endpoint_and_sql_ask_for_the_same_right(server, asked, narrow):
    token = new_token(server, "sql:query")
    path = f"{server.http}/api/v1/endpoints/{asked.name}/predictions"
    assert requests.get(path, headers=server.bearer(token), timeout=30).status_code == 403
    status, answer = server_sql(server, token)("SELECT inputs FROM strata.predictions")
    assert status == 403 and "endpoint:read" in answer["error"]["message"]
    both = server_sql(server, new_token(server, "sql:query,endpoint:read"))
    assert both("SELECT inputs FROM strata.predictions LIMIT 1")[0] == 200


def test_lineage_tells_what_was_answered_only_to_who_may_read_it(server, asked):
    log = f"{server.http}/api/v1/endpoints/{asked.name}/predictions"
    prediction = requests.get(log, headers=server.bearer(), timeout=30).json()["predictions"][0]
    why = f"{server.http}/api/v1/why/{prediction['id']}"
    for scope, told in (("lineage:read", False), ("lineage:read,endpoint:read", True)):
        answer = requests.get(why, headers=server.bearer(new_token(server, scope)), timeout=30)
        assert answer.status_code == 200
        facts = answer.json()["nodes"][0]["facts"]
        assert facts["endpoint"] == asked.name and ("rows" in facts) == told, scope


@pytest.mark.parametrize("text", BY_NAME)
def test_without_the_right_no_way_of_naming_the_view_reads_it(narrow, bucket, text):
    status, answer = narrow(text.format(new=fresh(), bucket=bucket))
    assert status == 403 and "rows" not in answer, answer
    assert "endpoint:read" in answer["error"]["message"]


def test_the_name_as_a_text_is_no_table_for_anybody(narrow, whole):
    for ask in (narrow, whole):
        status, answer = ask("FROM 'strata.predictions'")
        assert status == 501 and "rows" not in answer, answer


def test_without_the_right_no_format_gives_it(narrow, whole):
    for accept in ("text/csv", "application/vnd.apache.arrow.stream"):
        assert narrow("FROM strata.predictions", accept)[0] == 403
    assert narrow("FROM strata.predictions", "application/vnd.apache.parquet")[0] == 403


def test_what_others_define_over_it_is_no_way_around(server, narrow, whole):
    view, over, macro, table = fresh(), fresh(), fresh(), fresh()
    for text in (
        f"CREATE VIEW {view} AS SELECT * FROM strata.predictions",
        f'CREATE VIEW {over} AS SELECT inputs AS i FROM "{view}"',
        f"CREATE MACRO {macro}() AS TABLE SELECT * FROM {view}",
        # A table holds its rows itself: whoever made it has given them away.
        f"CREATE TABLE {table} AS SELECT prediction_id FROM {view}",
    ):
        status, answer = whole(text)
        assert status == 200, answer
    for text in (view, over, f"{macro}()"):
        for form in ("FROM {}", "SELECT count(*) FROM {}", "SUMMARIZE FROM {}", "SELECT 1 FROM {}"):
            status, answer = narrow(form.format(text))
            assert status == 403 and "endpoint:read" in answer["error"]["message"], answer
        status, answer = whole(f"SELECT count(*) FROM {text}")
        assert status == 200 and answer["rows"][0][0] > 0, answer
    assert narrow(f"FROM {table}")[0] == 200
    # Nor is the first statement of a new engine, which finds their definitions in the database.
    url = f"{server.http}/api/v1/sql/release"
    assert requests.post(url, headers=server.bearer(), timeout=60).status_code < 300
    assert narrow(f"FROM {over}")[0] == 403
    assert whole(f"FROM {over}")[0] == 200


def test_a_view_over_it_shows_what_was_predicted_later(asked, whole):
    view = fresh()
    assert whole(f"CREATE VIEW {view} AS SELECT prediction_id FROM strata.predictions")[0] == 200
    before = whole(f"SELECT count(*) FROM {view}")[1]["rows"][0][0]
    values = np.ones((1, 4), "f4").tolist()
    asked.infer({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": values}]})
    now = whole("SELECT count(*) FROM strata.predictions")[1]["rows"][0][0]
    assert now > before
    assert whole(f"SELECT count(*) FROM {view}")[1]["rows"][0][0] == now


def test_nobody_gives_himself_the_right(narrow, whole):
    for text in (
        "SET VARIABLE strata_view_predictions = ['x']",
        "SET VARIABLE strata_view_predictions = ['x']; FROM strata.predictions",
        "RESET VARIABLE strata_view_predictions",
        "FROM read_parquet(getvariable('strata_view_predictions'))",
    ):
        status, answer = narrow(text)
        assert status in (400, 403, 501) and "rows" not in answer, answer
    assert narrow("SELECT getvariable('strata_view_predictions')")[1]["rows"] == [[None]]


def test_its_columns_are_no_secret(server, narrow, whole):
    tables = requests.get(
        f"{server.http}/api/v1/sql/tables",
        headers=server.bearer(new_token(server, "sql:query")),
        timeout=30,
    ).json()["tables"]
    assert any(table["name"] == "predictions" for table in tables)
    status, answer = narrow(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = 'predictions'"
    )
    assert status == 200 and ["outputs"] in answer["rows"], answer
