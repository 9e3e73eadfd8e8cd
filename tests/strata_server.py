"""A real server, started from the built binary on free ports."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import time

from programs import binary


class Server:
    """A `strata serve` process and everything that a client needs to reach it."""

    def __init__(self, data: pathlib.Path, *options: str) -> None:
        self.data = data
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        self.http = self.s3 = ""
        self.launched = self.ready_s = 0.0
        self.env: dict[str, str] = {}

    def start(self, timeout: float = 60.0) -> "Server":
        self.launch()
        self.wait_ready(timeout)
        return self

    def launch(self) -> None:
        """Starts the process without waiting for anything."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.launched = time.monotonic()
        self.process = subprocess.Popen(
            [
                binary(),
                "serve",
                "--data",
                self.data,
                "--http",
                "127.0.0.1:0",
                "--s3",
                "127.0.0.1:0",
                *self.options,
            ],
            stdout=(self.data / "stdout.txt").open("ab"),
            stderr=subprocess.STDOUT,
        )

    def wait_ready(self, timeout: float) -> None:
        """Waits until clients can come; notes how long that took in `ready_s`."""
        ready = self.data / "run" / "endpoints.json"
        deadline = time.monotonic() + timeout
        while not ready.exists():
            assert self.process.poll() is None, (self.data / "stdout.txt").read_text()
            assert time.monotonic() < deadline, "the server did not become ready"
            time.sleep(0.005)
        self.ready_s = time.monotonic() - self.launched
        endpoints = json.loads(ready.read_text())
        self.http, self.s3 = endpoints["http"], endpoints["s3"]
        lines = self.strata("env").stdout.splitlines()
        exports = [line.removeprefix("export ") for line in lines if line.startswith("export ")]
        self.env = dict(line.split("=", 1) for line in exports)

    def strata(
        self, *arguments: str, check: bool = True, **options
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command of the CLI against this server as its local admin."""
        return subprocess.run(
            [binary(), *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            check=check,
            timeout=120,
            **options,
        )

    def kill(self) -> None:
        """kill -9, as a crash would. A stale endpoints.json must not look like readiness."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        (self.data / "run" / "endpoints.json").unlink(missing_ok=True)

    def stop(self) -> int:
        """Asks the server to end; its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait(timeout=30)
        self.process = None
        return code

    def bearer(self, token: str | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token or self.env['STRATA_TOKEN']}"}
