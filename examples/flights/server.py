"""Starts, reaches and stops the server that the example runs on."""

import json
import os
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

READY_SECONDS = 60


class Server:
    """`strata serve` on one data directory. An already running one is used as it is."""

    def __init__(self, strata: Path, data: Path, fixed_ports: bool):
        self.strata, self.data = strata, data
        self.endpoints = data / "run" / "endpoints.json"
        self.process: subprocess.Popen | None = None
        if not self._answers():
            self._start(fixed_ports)

    def _start(self, fixed_ports: bool) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        command = [self.strata, "serve", "--data", self.data]
        if not fixed_ports:
            command += ["--http", "127.0.0.1:0", "--s3", "127.0.0.1:0", "--pg", "127.0.0.1:0"]
        self.endpoints.unlink(missing_ok=True)
        log = self.data / "serve.log"
        begin = log.stat().st_size if log.exists() else 0  # of what this start writes
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=self._with_path(os.environ),
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self.process.poll() is not None:
                raise SystemExit(
                    f"strata serve ended with {self.process.returncode}: {_tail(log, begin)}"
                )
            if time.monotonic() > deadline:
                self.process.kill()
                raise SystemExit(
                    f"strata serve is not ready after {READY_SECONDS} s: {_tail(log, begin)}"
                )
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            url = json.loads(self.endpoints.read_text())["http"]
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (FileNotFoundError, json.JSONDecodeError, urllib.error.URLError, TimeoutError):
            return False

    @property
    def url(self) -> str:
        return json.loads(self.endpoints.read_text())["http"]

    def environment(self) -> dict[str, str]:
        """This process's environment with what `strata env` exports."""
        text = self.command("env", "--data", str(self.data))
        exported = [
            line.removeprefix("export ") for line in text.splitlines() if line.startswith("export ")
        ]
        pairs = [shlex.split(line)[0].split("=", 1) for line in exported]
        return self._with_path(os.environ | {name: value for name, value in pairs})

    def _with_path(self, environ) -> dict[str, str]:
        """Steps find this interpreter as python3, and the command line as strata."""
        folders = [os.path.dirname(sys.executable), str(self.strata.parent), environ["PATH"]]
        return {**environ, "PATH": os.pathsep.join(folders)}

    def command(self, *arguments: str, env: dict | None = None) -> str:
        """Standard output of a client command. Ends the run with the command's own words when it
        fails.
        """
        done = subprocess.run([self.strata, *arguments], capture_output=True, text=True, env=env)
        if done.returncode != 0:
            raise SystemExit(
                f"strata {' '.join(arguments)} failed ({done.returncode}): {done.stderr.strip()}"
            )
        return done.stdout

    def stop(self) -> None:
        self.command("stop", "--data", str(self.data))
        if self.process is not None:
            self.process.wait(timeout=30)


def _tail(log: Path, begin: int) -> str:
    """What was written behind `begin`, each line once, and the way out of a taken port."""
    written = log.read_bytes()[begin:].decode(errors="replace")
    lines = list(dict.fromkeys(written.splitlines()))[-5:]
    if "in use" in written:
        lines.append("Other ports: STRATA_HTTP=127.0.0.1:7710 STRATA_S3=127.0.0.1:7711 make demo")
    return "\n".join(lines)
