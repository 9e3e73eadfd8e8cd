"""Pipelines as their users run them: through the CLI and through the HTTP API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest

ENDED = {"succeeded", "failed", "cancelled"}


class Flows:
    """The flow API of one server."""

    def __init__(self, server) -> None:
        self.server = server

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bool = False,
        token: str | None = None,
    ):
        data = (
            body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        )
        request = urllib.request.Request(
            self.server.http + path, data=data, method=method, headers=self.server.bearer(token)
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return content if raw else json.loads(content)

    def refused(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> tuple[int, dict]:
        with pytest.raises(urllib.error.HTTPError) as caught:
            self.call(method, path, body, token=token)
        return caught.value.code, json.loads(caught.value.read())["error"]

    def apply(self, text: str) -> dict:
        name = text.split("\n", 1)[0].removeprefix("name:").strip()
        return self.call("PUT", f"/api/v1/flows/{name}", text.encode())

    def start(self, name: str, params: dict | None = None, **more) -> dict:
        return self.call("POST", f"/api/v1/flows/{name}/runs", {"params": params or {}} | more)

    def run(self, text: str, params: dict | None = None, **more) -> dict:
        return self.start(self.apply(text)["name"], params, **more)

    def get(self, run: dict | str) -> dict:
        return self.call("GET", f"/api/v1/flow-runs/{run if isinstance(run, str) else run['id']}")

    def wait(self, run: dict, until=lambda run: run["state"] in ENDED, timeout: float = 60) -> dict:
        deadline = time.monotonic() + timeout
        while not until(now := self.get(run)):
            assert time.monotonic() < deadline, json.dumps(now, indent=1)
            time.sleep(0.02)
        return now

    def wait_step(self, run: dict, step: str, state: str) -> dict:
        self.wait(run, lambda now: self.step(now, step)["state"] == state)
        return self.step(self.get(run), step)

    @staticmethod
    def step(run: dict, name: str) -> dict:
        return next(step for step in run["steps"] if step["step"] == name)

    def logs(self, run: dict, query: str = "") -> str:
        return self.call("GET", f"/api/v1/flow-runs/{run['id']}/logs{query}", raw=True).decode()


@pytest.fixture
def flows(server):
    return Flows(server)


@pytest.fixture
def fresh_flows(fresh_server):
    return Flows(fresh_server.start())
