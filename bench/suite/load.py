"""The load program's requests and its answers."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import struct
import subprocess
from collections.abc import Iterable

from .processes import ROOT, Program

LEAST = 20  # answers of a sample, however slow they are
PROGRAM = ROOT / "build" / "release" / "strata_load"


@dataclasses.dataclass
class Side:
    """Who is asked, and the requests that it is asked with."""

    name: str
    program: Program
    port: int
    requests: pathlib.Path
    most: int | None = None  # answers of one sample
    once: bool = False  # no request may be sent twice
    used: int = 0


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A whole HTTP/1.1 request as it goes over the wire."""
    fields = {**headers, "Content-Length": str(len(body))} if body or method != "GET" else headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def write(path: pathlib.Path, requests: Iterable[bytes]) -> pathlib.Path:
    with path.open("wb") as file:
        for one in requests:
            file.write(struct.pack("<I", len(one)) + one)
    return path


def run(side: Side, connections: int, seconds: float, count: int | None = None) -> dict:
    """One sample: the load program's report, with the server's processor time for each answer.
    Ends after `seconds`, or `count` answers."""
    before = side.program.cpu()
    command = [PROGRAM, "--port", side.port, "--requests", side.requests]
    command += ["--connections", connections, "--seconds", seconds, "--least", LEAST]
    count = count or side.most
    command += [] if count is None else ["--count", count]
    command += ["--first", side.used] if side.once else []
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{side.name}: {done.stderr.strip()}")
    report = json.loads(done.stdout)
    failed = {code: n for code, n in report["statuses"].items() if not code.startswith("2")}
    if failed or not report["answers"]:
        raise RuntimeError(f"{side.name}: answers other than success: {failed or 'none at all'}")
    side.used += report["answers"] + connections
    report["cpu_us"] = (side.program.cpu() - before) / report["answers"] * 1e6
    return report


def interleave(
    ours: Side, theirs: Side, connections: int, seconds: float, repetitions: int
) -> tuple[list[dict], list[dict]]:
    """Samples of both sides in turn, after a warm-up of each: A B, A B, A B."""
    for side in (ours, theirs):
        run(side, connections, min(1.0, seconds))
    pairs = [
        (run(ours, connections, seconds), run(theirs, connections, seconds))
        for _ in range(repetitions)
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
