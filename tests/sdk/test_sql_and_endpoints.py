"""The Python package's sql() and endpoint() against a live server."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import strata


@pytest.fixture
def client(server):
    return strata.connect(server.http, server.env["STRATA_TOKEN"])


def test_sql_gives_rows_scalars_pandas_and_arrow_with_their_types(client):
    result = strata.sql(
        "SELECT i, i / 4 AS quarter, DATE '2013-01-01' + i::INTEGER AS day FROM range(?) t(i)",
        [3],
        client=client,
    )
    assert result.columns == ["i", "quarter", "day"]
    assert [row[0] for row in result] == [0, 1, 2] and len(result) == 3
    frame = result.to_pandas()
    assert frame["quarter"].tolist() == [0.0, 0.25, 0.5]
    assert str(result.to_arrow().schema.field("day").type) == "date32[day]"
    named = strata.sql("SELECT $a + $b", {"a": 40, "b": 2}, client=client)
    assert named.scalar() == 42


def test_a_statement_that_changes_something_happens_at_once_and_once(client):
    table = f"sdk_{uuid.uuid4().hex[:8]}"
    strata.sql(f"CREATE TABLE {table} AS SELECT 1 AS v", client=client)
    inserted = strata.sql(f"INSERT INTO {table} VALUES (2)", client=client)
    _ = inserted.rows
    assert strata.sql(f"SELECT count(*) FROM {table}", client=client).scalar() == 2


@pytest.mark.parametrize(
    "change",
    [
        "WITH x AS (SELECT 7 AS v) INSERT INTO {t} SELECT v FROM x",
        "-- adds\nWITH x (v) AS MATERIALIZED (SELECT 7), y AS (FROM x) INSERT INTO {t} FROM y",
        "/* ; */ INSERT INTO {t} VALUES (7)",
        "SELECT 'a;b'; INSERT INTO {t} VALUES (7)",
    ],
)
def test_a_change_that_does_not_begin_with_its_verb_happens_at_once_and_once(client, change):
    table = f"sdk_{uuid.uuid4().hex[:8]}"
    strata.sql(f"CREATE TABLE {table} (v INTEGER)", client=client)
    result = strata.sql(change.format(t=table), client=client)
    assert strata.sql(f"SELECT count(*) FROM {table}", client=client).scalar() == 1
    _ = result.rows
    result.to_arrow()
    assert strata.sql(f"SELECT count(*) FROM {table}", client=client).scalar() == 1


def test_a_number_of_a_sequence_is_taken_once(client):
    name = f"seq_{uuid.uuid4().hex[:8]}"
    strata.sql(f"CREATE SEQUENCE {name}", client=client)
    taken = strata.sql(f"SELECT nextval('{name}') AS n", client=client)
    assert taken.scalar() == 1 and taken.to_arrow().to_pydict() == {"n": [1]}
    assert strata.sql(f"SELECT nextval('{name}') AS n", client=client).scalar() == 2


@pytest.mark.parametrize(
    "query",
    [
        "-- why\nSELECT 1.50::DECIMAL(9,2) AS d, DATE '2020-01-31' AS t",
        "(SELECT 1.50::DECIMAL(9,2) AS d, DATE '2020-01-31' AS t);",
        "WITH x AS (SELECT 'insert; -- no' AS s) /* ' */ "
        "SELECT 1.50::DECIMAL(9,2) AS d, DATE '2020-01-31' AS t FROM x",
        "FROM (VALUES (1.50::DECIMAL(9,2), DATE '2020-01-31')) v(d, t)",
    ],
)
def test_a_query_keeps_its_types_however_it_begins(client, query):
    table = strata.sql(query, client=client).to_arrow()
    assert [str(field.type) for field in table.schema] == ["decimal128(9, 2)", "date32[day]"]


def test_the_answer_of_a_change_in_another_form_changes_nothing_again(client):
    table = f"sdk_{uuid.uuid4().hex[:8]}"
    strata.sql(f"CREATE TABLE {table} (v INTEGER)", client=client)
    inserted = strata.sql(f"INSERT INTO {table} VALUES (2) RETURNING v", client=client)
    assert inserted.to_arrow().to_pydict() == {"v": [2]}
    assert inserted.to_pandas()["v"].tolist() == [2]
    assert strata.sql(f"SELECT count(*) FROM {table}", client=client).scalar() == 1


def test_an_answer_shows_whether_it_was_looked_at_and_its_shape(client):
    result = strata.sql("SELECT 1 AS one, 2 AS two", client=client)
    assert "not run yet" in repr(result) and "SELECT 1 AS one" in repr(result)
    _ = result.rows
    assert "1 rows of one, two" in repr(result)
    table = strata.sql("SELECT 1 AS one", client=client)
    _ = table.to_arrow()
    assert "1 rows of one" in repr(table)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("DATE", date(2020, 1, 31), "2020-01-31"),
        ("TIME", time(23, 59, 59, 123456), "23:59:59.123456"),
        ("TIMESTAMP", datetime(2020, 1, 31, 1, 2, 3, 4), "2020-01-31 01:02:03.000004"),
        ("TIMESTAMP", pd.Timestamp("2020-01-31 01:02:03"), "2020-01-31 01:02:03"),
        ("TIMESTAMP", np.datetime64("2020-01-31T01:02:03", "ns"), "2020-01-31 01:02:03"),
        (
            "TIMESTAMP",
            datetime(2020, 1, 31, 2, tzinfo=timezone(timedelta(hours=2))),
            "2020-01-31 00:00:00",
        ),
        ("DECIMAL(38, 18)", Decimal("12345678901234567.000000000000000001"), None),
        ("UUID", uuid.UUID("8c5f2f0e-0000-4000-8000-000000000001"), None),
        ("BLOB", b"a\x00\xff\\x41'", "a\\x00\\xFF\\x5Cx41\\x27"),
        ("INTEGER", np.int32(7), "7"),
        ("DOUBLE", np.float32(0.5), "0.5"),
        ("BOOLEAN", np.bool_(True), "true"),
        ("HUGEINT", 2**100, None),
        ("DOUBLE", float("inf"), "inf"),
        ("DOUBLE", -np.inf, "-inf"),
        ("INTEGER[]", np.array([1, 2]), "[1, 2]"),
    ],
)
def test_values_of_python_and_numpy_are_parameters_and_stay_exact(client, kind, value, text):
    table = f"sdk_{uuid.uuid4().hex[:8]}"
    strata.sql(f"CREATE TABLE {table} (v {kind})", client=client)
    strata.sql(f"INSERT INTO {table} VALUES (?)", [value], client=client)
    stored = strata.sql(f"SELECT v::VARCHAR FROM {table}", client=client).scalar()
    assert stored == (str(value) if text is None else text)
    for where, params in (("?", [value]), ("$it", {"it": value})):
        found = strata.sql(
            f"SELECT count(*) FROM {table} WHERE v = {where}::{kind}", params, client=client
        )
        assert found.scalar() == 1


@pytest.mark.parametrize("missing", [None, float("nan"), np.float64("nan"), pd.NaT, pd.NA])
def test_what_is_missing_is_null(client, missing):
    assert strata.sql("SELECT ? IS NULL", [missing], client=client).scalar() is True


def test_a_parameter_that_cannot_be_one_is_named(client):
    for params, name in (
        ([1, object()], r"params\[1\]: .*object"),
        ({"when": timedelta(1)}, r"params\['when'\]: .*timedelta"),
        ([[1, {2}]], r"params\[0\]\[1\]: .*set"),
        ("text", "params: "),
    ):
        with pytest.raises(TypeError, match=name):
            strata.sql("SELECT ?", params, client=client)


def test_wrong_sql_says_what_is_wrong(client):
    with pytest.raises(strata.InvalidArgumentError, match="no_such_column"):
        _ = strata.sql("SELECT no_such_column FROM range(1)", client=client).rows


def test_a_prediction_agrees_with_the_model_and_can_be_asked_why(client, flights, table):
    frame = table[0].drop(columns=["origin"]).head(5)
    endpoint = strata.endpoint(flights.name, client=client)
    assert endpoint.describe()["state"] == "ready"
    expected = flights.models["1"].predict(frame)
    answer = endpoint.predict(frame)
    np.testing.assert_allclose(answer.values, expected, rtol=1e-12)
    assert answer.model_version == "1" and answer.model_digest.startswith("sha256:")
    records = endpoint.predict(frame.to_dict(orient="records"))
    np.testing.assert_allclose(records.values, expected, rtol=1e-12)
    assert records.id != answer.id
    kinds = {n["ref"].split(":")[0] for n in strata.why(answer.id, client=client)["nodes"]}
    assert {"prediction", "endpoint", "model", "run"} <= kinds


@pytest.mark.parametrize("missing", [None, float("nan"), np.float64("nan"), pd.NA])
def test_a_missing_value_is_nan_to_the_model_in_every_form(client, flights, missing):
    endpoint = strata.endpoint(flights.name, client=client)
    row = {"distance": 100, "wind": missing, "hour": 3, "cold": True}
    expected = flights.models["1"].predict(np.array([[100, np.nan, 3, 1.0]])).tolist()
    frame = pd.DataFrame([row])
    for data in ([row], frame, frame.astype(object), {name: [row[name]] for name in row}):
        assert endpoint.predict(data).values == expected


def test_an_infinite_value_is_refused_by_its_place_and_not_taken_for_a_missing_one(client, flights):
    endpoint = strata.endpoint(flights.name, client=client)
    row = {"distance": 100, "wind": float("inf"), "hour": 3, "cold": True}
    with pytest.raises(ValueError, match=r"data\[0\]\['wind'\]: inf"):
        endpoint.predict([row])
    with pytest.raises(ValueError, match=r"data\[0\]\[1\]: inf"):
        endpoint.predict(pd.DataFrame([row]))


def test_data_that_does_not_fit_is_refused_with_the_column(client, flights):
    with pytest.raises(strata.InvalidArgumentError, match="wind") as raised:
        strata.endpoint(flights.name, client=client).predict(pd.DataFrame({"distance": [1.0]}))
    assert "error_code" not in str(raised.value) and "{" not in str(raised.value)
    assert raised.value.code


def test_a_client_of_a_project_sees_that_project(server):
    name = f"sdk-{uuid.uuid4().hex[:8]}"
    server.strata("project", "create", name)
    inside = strata.connect(server.http, server.env["STRATA_TOKEN"], name)
    strata.sql("CREATE TABLE here AS SELECT 7 AS v", client=inside)
    assert strata.sql("SELECT v FROM here", client=inside).scalar() == 7
    outside = strata.connect(server.http, server.env["STRATA_TOKEN"], "")
    with pytest.raises(strata.InvalidArgumentError):
        _ = strata.sql("SELECT v FROM here", client=outside).rows
