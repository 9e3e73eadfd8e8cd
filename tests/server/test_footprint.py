"""What a server that has nothing to do holds, with every door open and its node agent running."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable

import pytest
import requests
from waits import pause

MOST = 64 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")


def of_data(folder: pathlib.Path) -> list[pathlib.Path]:
    """The processes that name a data directory: server and agent, and shims while a task runs."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if str(folder).encode() in words:
            found.append(process)
    return found


def resident(process: pathlib.Path) -> int:
    return int((process / "statm").read_text().split()[1]) * PAGE


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        pause(0.05)


def test_every_door_answers_once_the_server_is_ready_and_idling_takes_little(fresh_server):
    server = fresh_server.start()
    if b"__asan_init" in pathlib.Path(f"/proc/{server.process.pid}/exe").read_bytes():
        pytest.skip("a sanitizer keeps memory of its own")
    headers = server.bearer()
    for url in (
        server.http + "/readyz",
        server.http + "/v2/health/ready",
        server.http + "/api/2.0/mlflow/experiments/search?max_results=1",
        server.http + "/api/v1/flows",
        server.s3 + "/",
    ):
        assert requests.get(url, headers=headers).status_code == 200, url
    flow = server.http + "/api/v1/flows/noop"
    spec = {"name": "noop", "steps": {"t": {"command": ["true"]}}}
    assert requests.put(flow, json=spec, headers=headers).status_code < 300
    run = requests.post(flow + "/runs", json={}, headers=headers).json()["id"]

    def ended() -> bool:
        asked = requests.get(server.http + f"/api/v1/flow-runs/{run}", headers=headers)
        return asked.json()["state"] == "succeeded"

    wait_for(ended, "the end of the run")
    wait_for(lambda: len(of_data(server.data)) == 2, "the end of the shim")
    held = {process: resident(process) for process in of_data(server.data)}
    assert sum(held.values()) <= MOST, held
