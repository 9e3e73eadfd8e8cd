"""Predictions over the Open Inference Protocol, as JSON and over gRPC, beside MLServer's."""

from __future__ import annotations

import json
import os
import pathlib
import random

from . import grpc_load, load
from .peers import OFFLINE, MlServer
from .processes import CannotRun, Strata, port_of
from .report import Row, Rows, missing
from .run import Run

FEATURES = 10
NAME = "bench"


def train(file: pathlib.Path):
    """A model of 100 trees over ten numbers."""
    import lightgbm
    import numpy as np

    rows = np.random.default_rng(7).normal(size=(2000, FEATURES))
    label = rows[:, 0] + rows[:, 1] * rows[:, 2] > 0
    options = {"objective": "binary", "verbose": -1, "seed": 1, "num_threads": 1}
    model = lightgbm.train(options, lightgbm.Dataset(rows, label), 100)
    model.save_model(file)
    return model, rows


def deploy(strata: Strata, model, rows) -> None:
    """Registers the model through the stock mlflow client and puts an endpoint on it."""
    os.environ.update(strata.env | OFFLINE)
    import mlflow

    mlflow.set_tracking_uri(strata.http)
    mlflow.set_registry_uri(strata.http)
    with mlflow.start_run():
        signature = mlflow.models.infer_signature(rows, model.predict(rows))
        info = mlflow.lightgbm.log_model(
            model, name="model", registered_model_name=NAME, signature=signature
        )
    mlflow.MlflowClient().set_registered_model_alias(NAME, "live", info.registered_model_version)
    strata.command("endpoint", "create", NAME, "--model", f"models:/{NAME}@live", "--wait")


def requests(port: int, headers: dict[str, str]) -> list[bytes]:
    source = random.Random(5)
    path = f"/v2/models/{NAME}/infer"
    fields = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json"} | headers
    out = []
    for _ in range(500):
        data = [round(source.gauss(0, 1), 6) for _ in range(FEATURES)]
        tensor = {"name": "input", "shape": [1, FEATURES], "datatype": "FP64", "data": data}
        out.append(load.request("POST", path, fields, json.dumps({"inputs": [tensor]}).encode()))
    return out


def over_grpc(rows: Rows, run: Run, folder: pathlib.Path, strata, peer, row, expected) -> None:
    """The same over gRPC, by another client: one message again and again."""
    sides = []
    for program, name, at, headers in (
        (strata, "Strata", port_of(strata.http), strata.bearer),
        (peer, peer.title, peer.grpc_port, {}),
    ):
        file = folder / f"{at}.message"
        file.write_bytes(grpc_load.request(NAME, row))
        grpc_load.check(at, NAME, row, headers, expected)
        sides.append(grpc_load.Side(name, program, at, file, headers))
    for connections, streams in ((1, 1), (4, 16)):
        samples = grpc_load.interleave(*sides, connections, streams, run.seconds, run.repetitions)
        plural = "connection" if connections == 1 else "connections"
        calls = "call" if streams == 1 else "calls"
        rows.loads(f"gRPC, one row, {connections} {plural} x {streams} {calls}", *samples)


def inference(run: Run) -> list[Row]:
    rows = Rows("inference", f"{MlServer.title}, LightGBM runtime")
    folder = run.fresh("model")
    model, sample = train(folder / "model.bst")
    strata = Strata(run.fresh("strata"))
    peer = None
    try:
        peer = MlServer(run.fresh("mlserver"), folder / "model.bst")
        deploy(strata, model, sample)
        sides = []
        port = port_of(strata.http)
        for program, name, at, headers in (
            (strata, "Strata", port, strata.bearer),
            (peer, peer.title, peer.port, {}),
        ):
            file = load.write(folder / f"{at}.bin", requests(at, headers))
            sides.append(load.Side(name, program, at, file))
        for connections in (1, 16):
            samples = load.interleave(*sides, connections, run.seconds, run.repetitions)
            plural = "connection" if connections == 1 else "connections"
            rows.loads(f"JSON, one row, {connections} {plural}", *samples)
        try:
            over_grpc(rows, run, folder, strata, peer, sample[:1], model.predict(sample[:1]))
        except CannotRun as reason:
            rows.append(missing(rows.bench, rows.peer, f"gRPC: {reason}"))
    finally:
        strata.stop()
        if peer is not None:
            peer.stop()
    return rows
