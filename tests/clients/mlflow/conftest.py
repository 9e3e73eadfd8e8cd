"""The stock mlflow client against one server: fixtures only, nothing here knows Strata."""

from __future__ import annotations

import uuid

import pytest


@pytest.fixture(autouse=True)
def quick_failures(monkeypatch):
    """A call that fails should say so at once instead of being repeated for minutes."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")


@pytest.fixture
def mlflow(client_env, tmp_path, monkeypatch):
    """The mlflow module, pointed at the server by the variables of `strata env` alone."""
    monkeypatch.chdir(tmp_path)
    import mlflow

    mlflow.set_tracking_uri(client_env["MLFLOW_TRACKING_URI"])
    mlflow.set_registry_uri(client_env["MLFLOW_TRACKING_URI"])
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def client(mlflow):
    return mlflow.MlflowClient()


@pytest.fixture
def name():
    """A name that no other test uses."""
    return "t-" + uuid.uuid4().hex[:12]


@pytest.fixture
def experiment(client, name):
    return client.create_experiment(name)
