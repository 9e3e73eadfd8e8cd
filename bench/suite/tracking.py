"""Metric points logged and runs found over MLflow's REST API, beside its own server."""

from __future__ import annotations

import json
import pathlib
import random
import urllib.request
from collections.abc import Callable

from . import load
from .peers import Mlflow
from .processes import Strata, port_of
from .report import Row, Rows
from .run import Run

POINTS = 1000  # of one log-batch: the most that the API allows
BATCHES = 250  # of one sample at most
RUNS = 300
API = "/api/2.0/mlflow"


class Api:
    """One side's REST API."""

    def __init__(self, name: str, program, port: int, headers: dict[str, str]) -> None:
        self.name, self.program, self.port = name, program, port
        self.headers = headers | {"Content-Type": "application/json"}

    def call(self, path: str, body: dict) -> dict:
        url = f"http://127.0.0.1:{self.port}{API}{path}"
        asked = urllib.request.Request(url, json.dumps(body).encode(), self.headers)
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return json.loads(answer.read())

    def raw(self, path: str, body: dict) -> bytes:
        headers = {"Host": f"127.0.0.1:{self.port}"} | self.headers
        return load.request("POST", API + path, headers, json.dumps(body).encode())

    def side(self, requests: pathlib.Path, **limits) -> load.Side:
        return load.Side(self.name, self.program, self.port, requests, **limits)

    def new_run(self, experiment: str, name: str) -> str:
        made = self.call("/runs/create", {"experiment_id": experiment, "run_name": name})
        return made["run"]["info"]["run_id"]


def batches(api: Api, count: int) -> list[bytes]:
    """Batches of 10 metrics with 100 steps each, for four runs in turn; no point comes twice."""
    experiment = api.call("/experiments/create", {"name": "points"})["experiment_id"]
    runs = [api.new_run(experiment, f"points-{i}") for i in range(4)]
    out = []
    for i in range(count):
        steps = range(i * 100, i * 100 + 100)
        metrics = [
            {"key": f"metric_{k}", "value": step * 0.001 + k, "timestamp": step, "step": step}
            for step in steps
            for k in range(10)
        ]
        out.append(api.raw("/runs/log-batch", {"run_id": runs[i % 4], "metrics": metrics}))
    return out


def searches(api: Api) -> list[bytes]:
    """Runs with five params, metrics and tags, and the searches that a user's page makes."""
    source = random.Random(3)
    experiment = api.call("/experiments/create", {"name": "found"})["experiment_id"]
    for i in range(RUNS):
        run_id = api.new_run(experiment, f"run-{i}")
        metrics = [
            {"key": f"m{k}", "value": source.random(), "timestamp": i, "step": 0} for k in range(5)
        ]
        params = [{"key": f"p{k}", "value": str(source.randrange(4))} for k in range(5)]
        tags = [{"key": f"t{k}", "value": str(source.randrange(4))} for k in range(5)]
        body = {"run_id": run_id, "metrics": metrics, "params": params, "tags": tags}
        api.call("/runs/log-batch", body)
    out = []
    for k in range(5):
        body = {
            "experiment_ids": [experiment],
            "filter": f"metrics.m{k} < 0.5 and params.p{k} = '1'",
            "order_by": [f"metrics.m{k} ASC"],
            "max_results": 50,
        }
        out.append(api.raw("/runs/search", body))
    return out


def tracking(run: Run) -> list[Row]:
    rows = Rows("tracking", f"{Mlflow.title} on SQLite")
    strata, mlflow = Strata(run.fresh("strata")), Mlflow(run.fresh("mlflow"))
    try:
        ours = Api("Strata", strata, port_of(strata.http), strata.bearer)
        theirs = Api(mlflow.title, mlflow, mlflow.port, {})
        folder = run.fresh("requests")
        count = (BATCHES + 4) * (run.repetitions + 1)

        def sides(name: str, make: Callable[[Api], list[bytes]], **limits) -> list[load.Side]:
            return [
                api.side(load.write(folder / f"{name}-{api.port}.bin", make(api)), **limits)
                for api in (ours, theirs)
            ]

        points = sides("points", lambda api: batches(api, count), most=BATCHES, once=True)
        samples = load.interleave(*points, 4, run.seconds, run.repetitions)
        rows.loads("log_batch of 1,000 points, 4 connections", *samples, POINTS, "points/s")
        samples = load.interleave(*sides("runs", searches), 4, run.seconds, run.repetitions)
        rows.loads(f"search of {RUNS} runs, 4 connections", *samples, unit="searches/s")
    finally:
        strata.stop()
        mlflow.stop()
    return rows
