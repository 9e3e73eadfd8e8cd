"""Packages of model versions: made from folders of files, by the stock mlflow client."""

from __future__ import annotations

import uuid

import pytest
import requests
from served import mlflow_client  # noqa: F401


@pytest.fixture
def name():
    """A name that no other test uses."""
    return "p-" + uuid.uuid4().hex[:12]


@pytest.fixture
def register(mlflow_client, tmp_path):  # noqa: F811
    """Registers a folder with these files as a new version of a model; its number."""

    def make(name: str, files: dict[str, bytes | str]) -> int:
        folder = tmp_path / uuid.uuid4().hex
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        client = mlflow_client.MlflowClient()
        run = client.create_run("0").info.run_id
        client.log_artifacts(run, str(folder), "model")
        try:
            client.create_registered_model(name)
        except mlflow_client.exceptions.MlflowException:
            pass
        return int(client.create_model_version(name, f"runs:/{run}/model", run).version)

    return make


@pytest.fixture
def package_of(server):
    """What the server says of a version's package."""

    def ask(name: str, version: int) -> dict:
        path = f"{server.http}/api/v1/models/{name}/versions/{version}/package"
        answer = requests.get(path, headers=server.bearer(), timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    return ask


@pytest.fixture
def booster(mlflow_client, name):  # noqa: F811
    """A LightGBM model that was logged with a signature and registered as version 1."""
    import lightgbm
    import numpy
    import pandas

    rows = numpy.random.default_rng(3).normal(size=(100, 2))
    frame = pandas.DataFrame(rows, columns=["wind", "rain"])
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1}
    model = lightgbm.train(settings, lightgbm.Dataset(frame, rows[:, 0] > 0), 4)
    with mlflow_client.start_run():
        mlflow_client.lightgbm.log_model(
            model, name="model", registered_model_name=name, input_example=frame[:2]
        )
    return name, model.predict(frame), frame
