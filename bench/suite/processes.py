"""Servers under measurement: started in a folder of their own, watched as whole process trees."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


class CannotRun(Exception):
    """A side that is not to be had on this machine, with the reason that the table shows."""


def wait_for(condition: Callable[[], object], what: str, timeout: float = 120) -> object:
    """Asks every millisecond until `condition` gives something true; that."""
    deadline = time.monotonic() + timeout
    while not (got := condition()):
        if time.monotonic() > deadline:
            raise CannotRun(f"{what} did not happen within {timeout:.0f} s")
        time.sleep(0.001)
    return got


def free_port() -> int:
    """A port that was free a moment ago, for peers that cannot take one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status < 400
    except (urllib.error.URLError, OSError):
        return False


class Program:
    """One side of a comparison: a process with all its children, and where it keeps its data."""

    def __init__(self, command: list[object], folder: pathlib.Path, **env: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / "output.txt"
        with self.log.open("ab") as output:
            self.began = time.monotonic()
            self.process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | env,
            )

    def ready_when(self, condition: Callable[[], object], timeout: float = 300) -> float:
        """Seconds from the start until `condition` holds."""

        def look() -> object:
            if self.process.poll() is not None:
                raise CannotRun(f"it ended at once: {self.log.read_text()[-400:]}")
            return condition()

        wait_for(look, f"the start of {self.process.args[0]}", timeout)
        return time.monotonic() - self.began

    def members(self) -> list[int]:
        """The process, its descendants, and those that name its folder (they may have left)."""
        parents, named = {}, set()
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    parents[int(entry.name)] = int(stat[1])
                    if str(self.folder).encode() in (entry / "cmdline").read_bytes():
                        named.add(int(entry.name))
        found = {self.process.pid} | named
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found & set(parents))

    def resident(self) -> int:
        """Bytes in memory of all members; pages that they share count for each."""
        total = 0
        for pid in self.members():
            with contextlib.suppress(OSError):
                total += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        return total

    def proportional(self) -> int:
        """The same with each shared page divided by the number of processes that share it."""
        total = 0
        for pid in self.members():
            with contextlib.suppress(OSError):
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(rollup.partition("\nPss:")[2].split()[0]) * 1024
        return total

    def cpu(self) -> float:
        """Processor seconds that the members and their ended children have used."""
        total = 0
        for pid in self.members():
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += sum(int(field) for field in stat[11:15])
        return total / TICK

    def stop(self) -> None:
        members = self.members()
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(15)


class Strata(Program):
    """The server under test, with the local admin's credentials."""

    binary = pathlib.Path(os.environ.get("STRATA_BINARY", ROOT / "build" / "strata")).resolve()

    def __init__(self, folder: pathlib.Path) -> None:
        any_port = "127.0.0.1:0"
        super().__init__(
            [self.binary, "serve", "--data", folder / "data", "--http", any_port, "--s3", any_port],
            folder,
        )
        endpoints = folder / "data" / "run" / "endpoints.json"
        self.start_seconds = self.ready_when(endpoints.exists)
        known = json.loads(endpoints.read_text())
        self.http, self.s3 = known["http"], known["s3"]
        lines = self.command("env").splitlines()
        self.env = dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def command(self, *words: str) -> str:
        """Runs a command of the CLI as the local admin; what it prints."""
        command = [self.binary, *words, "--data", self.folder / "data"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.env['STRATA_TOKEN']}"}


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
