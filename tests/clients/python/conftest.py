"""A server that runs models in Python with the tests' own virtual environment."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys
import uuid

import boto3
import pytest
from served import Served, table, until  # noqa: F401
from strata_server import Server

OPTIONS = ("--python-environment", sys.prefix, "--python-memory", "2GiB")


@pytest.fixture(scope="session")
def python_options():
    return OPTIONS


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """As everywhere, but that it knows a Python."""
    running = Server(
        tmp_path_factory.mktemp("strata"), *OPTIONS, "--endpoints-timeout", "30"
    ).start()
    yield running
    assert running.stop() == 0
    running.strata("stop", "--now", check=False)


@pytest.fixture(scope="module")
def mlflow_client(server):
    """mlflow and boto3 pointed at this server, and back at their former one afterwards."""
    import mlflow

    patch = pytest.MonkeyPatch()
    for name, value in server.env.items():
        patch.setenv(name, value)
    patch.setattr(boto3, "DEFAULT_SESSION", None)
    patch.setattr(mlflow.tracking.fluent, "_active_experiment_id", None)
    tracking, registry = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(server.http)
    mlflow.set_registry_uri(server.http)
    mlflow.set_experiment("serving")
    yield mlflow
    mlflow.set_tracking_uri(tracking)
    mlflow.set_registry_uri(registry)
    patch.undo()


@pytest.fixture(scope="module")
def make_served(server, mlflow_client):
    return lambda prefix: Served(server, mlflow_client, f"{prefix}-{uuid.uuid4().hex[:6]}")


@pytest.fixture
def own_server(tmp_path):
    """A server of the test's own, for tests that kill it."""
    running = Server(tmp_path / "data", *OPTIONS)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()
    running.strata("stop", "--now", check=False)
    shutil.rmtree(running.data, ignore_errors=True)


def processes_below(folder) -> list[int]:
    """The processes that run a model whose files lie in that folder."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rpartition(") ")[2][:1]
        except OSError:
            continue
        if os.fsencode(str(folder)) in line and b"worker-" in line and state != "Z":
            found.append(int(entry.name))
    return found


@pytest.fixture(scope="session")
def model_processes():
    return processes_below
