"""Environments that are really built, from the package index."""

from __future__ import annotations

import sys

import cloudpickle
import pandas as pd
import pytest
from mlflow.models import infer_signature
from served import Served, wait_until
from strata_server import Server

# The processes have no such module: the functions travel as what they are.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def building(tmp_path, monkeypatch):
    import mlflow

    before = mlflow.get_tracking_uri()
    server = Server(tmp_path / "data").start()
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(server.http)
    mlflow.set_registry_uri(server.http)
    mlflow.set_experiment("building")
    yield Served(server, mlflow, "built")
    server.stop()
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


def where(model_input):
    import sys

    import tinydb

    return [f"{sys.prefix} {tinydb.__version__}"]


def log(served, *requirements):
    with served.mlflow.start_run():
        info = served.mlflow.pyfunc.log_model(
            name="model",
            python_model=where,
            signature=infer_signature(pd.DataFrame({"x": [1.0]}), ["text"]),
            registered_model_name=served.registered,
            pip_requirements=list(requirements),
        )
    return str(info.registered_model_version)


def test_a_model_runs_in_the_environment_that_it_names_built_once(building):
    needs = ["mlflow-skinny==3.17.2", "pandas", "tinydb==4.8.2"]
    building.point(log(building, *needs))
    building.server.strata(
        "endpoint", "create", building.name, "--model", f"models:/{building.registered}@live"
    )
    wait_until(lambda: building.show()["state"] != "loading", 240)
    assert building.show()["state"] == "ready", building.show()["error"]
    answer = building.invoke({"dataframe_records": [{"x": 1.0}]})
    assert answer.status_code == 200, answer.text
    folder, version = answer.json()["predictions"][0].split()
    assert version == "4.8.2"
    environments = building.server.data / "environments"
    assert folder.startswith(str(environments))
    assert "tinydb==4.8.2" in (environments / folder / "lock.txt").read_text()
    building.point(log(building, *needs))
    building.wait_for("2")
    again = building.invoke({"dataframe_records": [{"x": 1.0}]}).json()["predictions"][0]
    assert again.split()[0] == folder
    assert len([path for path in environments.iterdir() if path.is_dir()]) == 1

    building.point(log(building, "mlflow-skinny==3.17.2", "tinydb==0.0.0"))

    wait_until(lambda: building.show()["state"] == "degraded", 120)
    assert "tinydb==0.0.0" in building.show()["error"]
    assert building.invoke({"dataframe_records": [{"x": 1.0}]}).status_code == 200
