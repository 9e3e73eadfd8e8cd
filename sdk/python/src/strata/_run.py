"""Runs of pipelines: their state, results and logs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ._client import Client, connect, segment
from ._errors import RunFailedError

ENDED = frozenset({"succeeded", "failed", "cancelled"})


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True)
class Attempt:
    """One try of a step. ``exit_code`` is 128 + signal when a signal ended it; times are UTC."""

    number: int
    state: str
    started: datetime | None
    finished: datetime | None
    exit_code: int | None
    ending: str | None
    message: str
    cpu_seconds: float
    max_rss_bytes: int
    wall_seconds: float

    @staticmethod
    def of(raw: dict[str, Any]) -> Attempt:
        usage = raw.get("usage") or {}
        return Attempt(
            raw["number"],
            raw["state"],
            _time(raw["started"]),
            _time(raw["finished"]),
            raw["exit_code"],
            raw["ending"],
            raw["message"],
            usage.get("cpu_seconds", 0.0),
            usage.get("max_rss_bytes", 0),
            usage.get("wall_seconds", 0.0),
        )


@dataclass(frozen=True)
class StepStatus:
    """A step of a run. ``reason`` says why it waits or failed."""

    name: str
    state: str
    reason: str
    needs: tuple[str, ...]
    outputs: dict[str, str]  # name -> digest
    attempts: tuple[Attempt, ...]


class Run:
    """A run of a pipeline, as the server last described it; :meth:`refresh` asks again."""

    def __init__(self, client: Client, raw: dict[str, Any]) -> None:
        self._client = client
        self._raw = raw

    @property
    def id(self) -> str:
        return str(self._raw["id"])

    @property
    def flow(self) -> str:
        return str(self._raw["flow"])

    @property
    def state(self) -> str:
        return str(self._raw["state"])

    @property
    def reason(self) -> str:
        return str(self._raw["reason"])

    @property
    def params(self) -> dict[str, Any]:
        return dict(self._raw["params"])

    @property
    def steps(self) -> dict[str, StepStatus]:
        if "steps" not in self._raw:
            self.refresh()
        return {
            step["step"]: StepStatus(
                step["step"],
                step["state"],
                step["reason"],
                tuple(step["needs"]),
                {output["name"]: output["digest"] for output in step["outputs"]},
                tuple(Attempt.of(attempt) for attempt in step["attempts"]),
            )
            for step in self._raw["steps"]
        }

    @property
    def _path(self) -> str:
        return f"/api/v1/flow-runs/{segment(self.id)}"

    def refresh(self) -> Run:
        self._raw = self._client.json("GET", self._path)
        return self

    def wait(self, timeout: float | None = None, *, poll: float = 0.2) -> Run:
        """Waits for the end.

        Raises RunFailedError when it did not succeed, TimeoutError after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.refresh().state not in ENDED:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"run {self.id} is still {self.state} after {timeout} s")
            time.sleep(poll)
        if self.state != "succeeded":
            raise RunFailedError(f"run {self.id} {self.state}: {self.reason}")
        return self

    def cancel(self) -> Run:
        """Stops the run. Raises ConflictError when it has ended."""
        self._raw = self._client.json("POST", f"{self._path}/cancel", {})
        return self

    def artifact(self, step: str, name: str) -> bytes:
        """The content of an output of a step. Raises NotFoundError until the step has succeeded."""
        content, _ = self._client.request(
            "GET", f"{self._path}/artifacts/{segment(step)}/{segment(name)}"
        )
        return content

    def result(self, step: str) -> Any:
        """What a Python step returned."""
        return json.loads(self.artifact(step, "result.json"))

    def logs(self, step: str | None = None, *, follow: bool = False) -> Iterator[str]:
        """What the steps printed, piece by piece; with ``follow`` until the run has ended."""
        query = {"step": step, "follow": 1 if follow else None}
        for piece in self._client.stream(f"{self._path}/logs", query=query):
            yield piece.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.flow}: {self.state}>"


def get_run(id: str, *, client: Client | None = None) -> Run:
    """A run by its id. Raises NotFoundError."""
    client = client or connect()
    return Run(client, client.json("GET", f"/api/v1/flow-runs/{segment(id)}"))


def runs(flow: str | None = None, *, limit: int = 50, client: Client | None = None) -> list[Run]:
    """The newest runs, of one pipeline or of all."""
    client = client or connect()
    answer = client.json("GET", "/api/v1/flow-runs", query={"flow": flow, "limit": limit})
    return [Run(client, raw) for raw in answer["runs"]]
