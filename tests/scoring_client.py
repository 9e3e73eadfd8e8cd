"""Whole tables scored, and what the endpoint says of the same rows."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import requests
from s3_client import client_for
from sql_client import ask


def call(server, method, path, **options):
    return requests.request(
        method, f"{server.http}/api/v1/{path}", headers=server.bearer(), timeout=60, **options
    )


def start(server, served, **draft):
    body = {"model": f"models:/{served.registered}@live", **draft}
    return call(server, "POST", "scorings", json=body)


def finished(server, begun, state="finished"):
    assert begun.status_code == 201, begun.text
    scoring = begun.json()
    while scoring["state"] in ("queued", "running", "committing"):
        scoring = call(server, "GET", f"scorings/{scoring['id']}?wait=10").json()
    assert scoring["state"] == state, scoring
    return scoring


def put_table(server, name, frame):
    """The frame as a table of the warehouse, in its order."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    s3 = client_for(server)
    if "frames" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="frames")
    s3.put_object(Bucket="frames", Key=f"{name}.parquet", Body=buffer.getvalue())
    ask(server, f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM 's3://frames/{name}.parquet'")


def rows_of(server, sql):
    return ask(server, sql)["rows"]


def has_table(server, name):
    tables = call(server, "GET", "sql/tables").json()["tables"]
    return any(table["name"] == name for table in tables)


def endpoint_says(served, frame):
    split = json.loads(frame.to_json(orient="split", double_precision=15))
    split["data"] = frame.astype(object).values.tolist()
    answer = served.invoke({"dataframe_split": split})
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    if isinstance(predictions, dict):
        (predictions,) = predictions.values()
    return np.array(predictions)


def table_says(server, name, column="prediction"):
    return np.array([row[0] for row in rows_of(server, f"SELECT {column} FROM {name} ORDER BY id")])


def with_ids(frame):
    return pd.concat(
        [pd.Series(range(len(frame)), name="id"), frame.reset_index(drop=True)], axis=1
    )
