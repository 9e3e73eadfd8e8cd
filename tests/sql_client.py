"""SQL asked of a server as its HTTP clients do, and a look at the engine behind it."""

from __future__ import annotations

import pathlib
import threading
import time

import requests


def post(server, sql, accept="application/json", token=None, **body):
    return requests.post(
        f"{server.http}/api/v1/sql",
        json={"sql": sql, **body},
        headers={**server.bearer(token), "Accept": accept},
        timeout=120,
    )


def ask(server, sql, **body):
    answer = post(server, sql, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_for(what, limit=30.0):
    deadline = time.monotonic() + limit
    pause = threading.Event()
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        pause.wait(0.02)
    raise AssertionError("it did not happen in time")


def ended(server, query, state):
    """The query's history once it is in that state."""
    url = f"{server.http}/api/v1/sql/queries/{query}"
    facts = requests.get(url, headers=server.bearer(), timeout=30).json()
    return facts if facts.get("state") == state else None


def engine_pid(server):
    """The engine is a child of the server whose command line says `warehouse`."""
    for path in pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/children"):
        for pid in path.read_text().split():
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if len(line) > 1 and line[1] == b"warehouse":
                return int(pid)
    return None
