"""Small real models, registered through the stock mlflow client, and endpoints that serve them."""

from __future__ import annotations

import json
import os
import time
import uuid

import numpy as np
import pandas as pd
import pytest
import requests

from serving_models import train

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


@pytest.fixture(scope="session")
def mlflow_client(server):
    patch = pytest.MonkeyPatch()
    for name, value in server.env.items():
        patch.setenv(name, value)
    import mlflow

    mlflow.set_tracking_uri(server.http)
    mlflow.set_registry_uri(server.http)
    mlflow.set_experiment("serving")
    yield mlflow
    patch.undo()


@pytest.fixture(scope="session")
def table():
    rng = np.random.default_rng(1)
    rows = 400
    frame = pd.DataFrame(
        {
            "distance": rng.integers(100, 3000, rows),
            "wind": rng.random(rows) * 30,
            "hour": rng.integers(0, 24, rows).astype("int32"),
            "cold": rng.random(rows) > 0.5,
            "origin": pd.Categorical(rng.choice(["EWR", "JFK", "LGA"], rows)),
        }
    )
    late = (frame.wind + frame.hour + rng.normal(0, 5, rows) > 25).astype(int)
    return frame, late


def wait_until(condition, timeout: float = 60) -> None:
    """Asks until `condition` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def until():
    return wait_until


class Served:
    """An endpoint with the Python model that it should agree with."""

    def __init__(self, server, mlflow, name: str) -> None:
        self.server, self.mlflow, self.name = server, mlflow, name
        self.registered = f"{name}-model"
        self.models: dict[str, object] = {}

    def log(self, flavor: str, model, **options) -> str:
        """Registers one more version; its number."""
        with self.mlflow.start_run():
            module = getattr(self.mlflow, flavor)
            info = module.log_model(
                model, name="model", registered_model_name=self.registered, **options
            )
        version = str(info.registered_model_version)
        self.models[version] = model
        return version

    def point(self, version: str) -> None:
        self.mlflow.MlflowClient().set_registered_model_alias(self.registered, "live", version)

    def create(self) -> dict:
        done = self.server.strata(
            "endpoint",
            "create",
            self.name,
            "--model",
            f"models:/{self.registered}@live",
            "--wait",
            "-o",
            "json",
        )
        return json.loads(done.stdout)

    def show(self) -> dict:
        return self.get(f"/api/v1/endpoints/{self.name}").json()

    def wait_for(self, version: str) -> None:
        wait_until(lambda: self.show()["live"]["version"] == version)

    def get(self, path: str):
        return requests.get(self.server.http + path, headers=self.server.bearer(), timeout=30)

    def invoke(
        self,
        body,
        content_type: str = "application/json",
        more_headers: dict | None = None,
        **options,
    ):
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        headers = {**self.server.bearer(), "Content-Type": content_type, **(more_headers or {})}
        return requests.post(
            f"{self.server.http}/endpoints/{self.name}/invocations",
            data=data,
            headers=headers,
            timeout=30,
            **options,
        )

    def infer(self, body, **headers):
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return requests.post(
            f"{self.server.http}/v2/models/{self.name}/infer",
            data=data,
            timeout=30,
            headers={**self.server.bearer(), "Content-Type": "application/json", **headers},
        )


@pytest.fixture(scope="session")
def make_served(server, mlflow_client):
    return lambda prefix: Served(server, mlflow_client, f"{prefix}-{uuid.uuid4().hex[:6]}")


@pytest.fixture(scope="session")
def flights(make_served, table):
    """A LightGBM booster on named columns."""
    from mlflow.models import infer_signature

    frame, late = table
    columns = frame.drop(columns=["origin"])
    served = make_served("flights")
    booster = train(columns, late)
    signature = infer_signature(columns, booster.predict(columns))
    served.point(
        served.log("lightgbm", booster, signature=signature, input_example=columns.head(2))
    )
    served.created = served.create()
    return served


@pytest.fixture(scope="session")
def linear(make_served):
    """A small ONNX graph: y = x @ w + b."""
    import onnx
    from mlflow.models import infer_signature
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(2)
    weights, bias = rng.normal(size=(4, 2)).astype("f4"), np.array([0.5, -1], "f4")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    sample = rng.normal(size=(3, 4)).astype("f4")
    served = make_served("linear")
    served.point(
        served.log("onnx", model, signature=infer_signature(sample, sample @ weights + bias))
    )
    served.create()
    served.weights, served.bias = weights, bias
    return served


@pytest.fixture
def other_mlflow(fresh_server, monkeypatch):
    """mlflow pointed at a server of the test's own, and back at its former one afterwards."""
    import mlflow

    running = fresh_server.start()
    for name, value in running.env.items():
        monkeypatch.setenv(name, value)
    previous = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(running.http)
    mlflow.set_registry_uri(running.http)
    monkeypatch.setattr(mlflow.tracking.fluent, "_active_experiment_id", None)
    mlflow.set_experiment("serving")
    yield mlflow
    mlflow.set_tracking_uri(previous)
    mlflow.set_registry_uri(previous)
