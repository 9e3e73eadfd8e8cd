"""One real server for the black-box tests, started from the built binary on free ports."""

from __future__ import annotations

import os
import shutil

import pytest

from strata_server import Server

# Most users' boto3 has no awscrt, which signs by other code; tests that want it say so.
os.environ.setdefault("BOTO_DISABLE_CRT", "true")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server shared by the tests of one session; each test uses names of its own."""
    options = ("--python-environment", "off")  # tests/clients/python have it
    running = Server(tmp_path_factory.mktemp("strata"), *options).start()
    yield running
    assert running.stop() == 0
    running.strata("stop", "--now", check=False)


@pytest.fixture
def fresh_server(tmp_path):
    """A server of the test's own, for tests that stop, kill or fill it."""
    running = Server(tmp_path / "data")
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()
    running.strata("stop", "--now", check=False)
    shutil.rmtree(running.data, ignore_errors=True)


@pytest.fixture
def client_env(server, monkeypatch):
    """The variables of `strata env` in this process, for clients that read them."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return server.env
