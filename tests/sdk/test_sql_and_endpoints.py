"""The Python package's sql() and endpoint() against a live server."""

from __future__ import annotations

import uuid

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


def test_data_that_does_not_fit_is_refused_with_the_column(client, flights):
    with pytest.raises(strata.InvalidArgumentError, match="wind"):
        strata.endpoint(flights.name, client=client).predict(pd.DataFrame({"distance": [1.0]}))


def test_a_client_of_a_project_sees_that_project(server):
    name = f"sdk-{uuid.uuid4().hex[:8]}"
    server.strata("project", "create", name)
    inside = strata.connect(server.http, server.env["STRATA_TOKEN"], name)
    strata.sql("CREATE TABLE here AS SELECT 7 AS v", client=inside)
    assert strata.sql("SELECT v FROM here", client=inside).scalar() == 7
    outside = strata.connect(server.http, server.env["STRATA_TOKEN"], "")
    with pytest.raises(strata.InvalidArgumentError):
        _ = strata.sql("SELECT v FROM here", client=outside).rows
