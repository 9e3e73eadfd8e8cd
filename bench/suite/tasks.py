"""Tasks that do nothing, from their submission to the end of the last, beside HyperQueue."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request

from .peers import VENV, needed
from .processes import ROOT, Strata
from .report import Row, Rows
from .run import Run

TASKS = 200
# Its client looks at the job once a second: more tasks, so that this matters little.
THEIR_TASKS = 3000
ENDED = ("succeeded", "failed", "cancelled")


class Pipelines:
    """A pipeline of independent steps that each run `true`."""

    def __init__(self, strata: Strata, count: int = TASKS) -> None:
        self.strata, self.count = strata, count
        step = {"command": ["true"], "resources": {"cpu": 1}}
        spec = {"name": "noop", "steps": {f"t{i:04}": step for i in range(count)}}
        self.call("PUT", "/api/v1/flows/noop", spec)  # JSON is YAML

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        url = self.strata.http + path
        asked = urllib.request.Request(url, data, self.strata.bearer, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read())

    def run(self) -> float:
        """Tasks for each second of one run."""
        began = time.monotonic()
        run = self.call("POST", "/api/v1/flows/noop/runs", {"params": {}})["id"]
        while (state := self.call("GET", f"/api/v1/flow-runs/{run}")["state"]) not in ENDED:
            time.sleep(0.05)
        if state != "succeeded":
            raise RuntimeError(f"the run of {self.count} tasks ended as {state}")
        return self.count / (time.monotonic() - began)


class HyperQueue:
    """HyperQueue's own server and worker, in the process of its Python package."""

    title = "HyperQueue, without its journal"

    def __init__(self, run: Run) -> None:
        command = [needed(VENV / "bin" / "python"), ROOT / "bench" / "suite" / "hyperqueue_side.py"]
        folder = run.fresh("hyperqueue")
        self.process = subprocess.Popen(
            [*command, str(folder), str(THEIR_TASKS), str(os.cpu_count())],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "output.txt").open("w"),
            text=True,
        )

    def run(self) -> float:
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            mark, _, seconds = line.partition(" ")
            if mark == "took":
                return THEIR_TASKS / float(seconds)
        raise RuntimeError("HyperQueue's side ended")

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def tasks(run: Run) -> list[Row]:
    rows = Rows("tasks", HyperQueue.title)
    strata = Strata(run.fresh("strata"))
    peer = None
    try:
        peer = HyperQueue(run)
        pipelines = Pipelines(strata)
        pipelines.run()
        peer.run()
        pairs = [(pipelines.run(), peer.run()) for _ in range(run.repetitions)]
        what = f"tasks of `true`, {os.cpu_count()} at once"
        rows.measure(what, "tasks/s", True, *zip(*pairs, strict=True))
    finally:
        strata.stop()
        if peer is not None:
            peer.stop()
    return rows
