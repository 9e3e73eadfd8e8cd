"""Making flags and keys, and running the SDKs of npm."""

from __future__ import annotations

import json
import os
import subprocess

import requests
from programs import ROOT

ASSIGN = ROOT / "tests/clients/flags/assign.mjs"


class Flags:
    """The flags of one server, as its API gives them."""

    def __init__(self, server) -> None:
        self.server = server

    def call(self, method: str, path: str, body: dict | None = None) -> requests.Response:
        url = self.server.http + "/api/v1/" + path
        return requests.request(method, url, json=body, headers=self.server.bearer(), timeout=20)

    def put(self, name: str, definition: dict, kind: str = "flags", **more) -> requests.Response:
        body = {"definition": definition, "reason": "a test", **more}
        return self.call("PUT", f"{kind}/{name}", body)

    def set(self, name: str, default, rules: list | None = None, **more) -> dict:
        answer = self.put(name, {"default": default, "rules": rules or []}, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self, name: str, state: str) -> dict:
        answer = self.call("POST", f"flags/{name}/state", {"state": state, "reason": "a test"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def key(self, remote: bool = False) -> dict:
        answer = self.call("POST", "flag-keys", {"name": "tests", "remote": remote})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def evaluate(self, name: str, attributes: dict) -> dict:
        answer = self.call("POST", f"flags/{name}/evaluate", {"attributes": attributes})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sql(self, sql: str) -> list[list]:
        answer = self.call("POST", "sql", {"sql": sql})
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"]


def node(mode: str, **asked):
    """What tests/clients/flags/assign.mjs says, by the SDKs of npm."""
    beside = str(ROOT / "build/deps/node/bin")
    done = subprocess.run(
        ["node", ASSIGN],
        input=json.dumps({"mode": mode, **asked}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PATH": beside + os.pathsep + os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
