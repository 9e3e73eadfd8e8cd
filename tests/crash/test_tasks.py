"""kill -9 of server and node agent under running tasks.

The oracle is what the tasks themselves write outside of the server.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import signal
import subprocess
import time
import urllib.request

import pytest
from programs import binary
from waits import pause

ENDED = {"succeeded", "failed", "cancelled"}


class World:
    """One data directory, whose server and agent die and come back."""

    def __init__(self, server) -> None:
        self.server = server

    def call(self, method: str, path: str, body: bytes | None = None):
        request = urllib.request.Request(
            self.server.http + path, data=body, method=method, headers=self.server.bearer()
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def start(self, text: str, params: dict | None = None) -> str:
        name = text.split("\n", 1)[0].removeprefix("name:").strip()
        self.call("PUT", f"/api/v1/flows/{name}", text.encode())
        return self.call(
            "POST", f"/api/v1/flows/{name}/runs", json.dumps({"params": params or {}}).encode()
        )["id"]

    def get(self, run: str) -> dict:
        return self.call("GET", f"/api/v1/flow-runs/{run}")

    def wait(self, run: str, until, timeout: float = 60) -> dict:
        deadline = time.monotonic() + timeout
        while not until(now := self.get(run)):
            assert time.monotonic() < deadline, json.dumps(now, indent=1)
            pause(0.02)
        return now

    def wait_end(self, run: str) -> dict:
        return self.wait(run, lambda now: now["state"] in ENDED)

    def wait_running(self, run: str) -> dict:
        return self.wait(run, lambda now: now["steps"][0]["state"] == "running")["steps"][0][
            "attempts"
        ][-1]

    def kill_server(self) -> None:
        self.server.kill()

    def agents(self) -> list[int]:
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[1:2] == [b"agent"] and str(self.server.data).encode() in words:
                found.append(int(entry.name))
        return found

    def kill_agent(self) -> None:
        for pid in self.agents():
            os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        pause(0.02)


@pytest.fixture
def world(fresh_server):
    return World(fresh_server.start())


def waiting_task(folder: pathlib.Path) -> str:
    """A task that says that it began, waits for the file `go`, and exits with 7."""
    return (
        f"name: waiting\nsteps:\n  a:\n    command: 'echo began >> {folder}/ran; "
        f"while [ ! -e {folder}/go ]; do sleep 0.02; done; echo ended >> {folder}/ran; exit 7'\n"
    )


def check_true_end(world: World, run: str, folder: pathlib.Path) -> None:
    done = world.wait_end(run)
    attempts = done["steps"][0]["attempts"]
    assert [(a["exit_code"], a["ending"]) for a in attempts] == [(7, "exited")]
    assert (folder / "ran").read_text() == "began\nended\n"


def test_kill_9_of_the_server_neither_kills_nor_repeats_a_task(world, tmp_path):
    run = world.start(waiting_task(tmp_path))
    pid = world.wait_running(run)["pid"]
    world.kill_server()
    assert alive(pid)
    world.server.start()
    assert world.wait_running(run)["pid"] == pid
    (tmp_path / "go").touch()
    check_true_end(world, run, tmp_path)


def test_a_task_that_ends_while_no_server_lives_keeps_its_true_exit_status(world, tmp_path):
    run = world.start(waiting_task(tmp_path))
    pid = world.wait_running(run)["pid"]
    world.kill_server()
    (tmp_path / "go").touch()
    wait_until(lambda: not alive(pid))
    world.server.start()
    check_true_end(world, run, tmp_path)


def test_kill_9_of_the_agent_neither_kills_nor_repeats_a_task(world, tmp_path):
    run = world.start(waiting_task(tmp_path))
    pid = world.wait_running(run)["pid"]
    world.kill_agent()
    assert alive(pid)
    (tmp_path / "go").touch()
    check_true_end(world, run, tmp_path)


def test_kill_9_of_both_neither_kills_nor_repeats_a_task(world, tmp_path):
    run = world.start(waiting_task(tmp_path))
    pid = world.wait_running(run)["pid"]
    world.kill_server()
    world.kill_agent()
    (tmp_path / "go").touch()
    wait_until(lambda: not alive(pid))
    world.server.start()
    check_true_end(world, run, tmp_path)


def test_a_stopped_server_leaves_a_running_task_and_takes_an_idle_agent_along(world, tmp_path):
    run = world.start(waiting_task(tmp_path))
    pid = world.wait_running(run)["pid"]
    assert world.server.stop() == 0
    assert alive(pid) and len(world.agents()) == 1
    world.server.start()
    (tmp_path / "go").touch()
    check_true_end(world, run, tmp_path)
    assert world.server.stop() == 0
    wait_until(lambda: not world.agents())


def test_stop_now_ends_server_agent_and_tasks(world, tmp_path):
    run = world.start(waiting_task(tmp_path))
    pid = world.wait_running(run)["pid"]
    world.server.strata("stop", "--now")
    assert world.server.process.wait(timeout=10) == 0
    wait_until(lambda: not alive(pid) and not world.agents())


@pytest.mark.parametrize("crashed", [False, True])
def test_stop_says_for_how_many_tasks_it_waits_and_stops_what_a_crash_left(
    world, tmp_path, crashed
):
    run = world.start(waiting_task(tmp_path))
    world.wait_running(run)
    if crashed:
        world.kill_server()
    stop = subprocess.Popen(
        [binary(), "stop", "--data", world.server.data], stderr=subprocess.PIPE, text=True
    )
    said = stop.stderr.readline()
    assert "waiting for 1 running task" in said and "--now" in said
    (tmp_path / "go").touch()
    _, rest = stop.communicate(timeout=60)
    assert stop.returncode == 0
    assert ("no server ran" in rest) == crashed
    wait_until(lambda: not world.agents())
    again = world.server.strata("stop", check=False)
    assert again.returncode == 3


def test_no_task_is_lost_or_run_twice_by_random_kills(world, tmp_path):
    """STRATA_CRASH_ROUNDS kills of server or agent while pipelines of three steps run."""
    rounds = int(os.environ.get("STRATA_CRASH_ROUNDS", "12"))
    seed = int(os.environ.get("STRATA_CRASH_SEED", str(random.randrange(1 << 30))))
    print("seed", seed)
    chance = random.Random(seed)
    oracle = tmp_path / "oracle"
    oracle.mkdir()
    # Each attempt may create its file once; the second step exits with 3 the first time.
    mark = f"{oracle}/$STRATA_RUN_ID.$STRATA_STEP.$STRATA_ATTEMPT"
    begin = f"set -C; echo > {mark} || exit 99; sleep 0.0$STRATA_PARAM_n"
    small = "resources: {cpu: 0.2, memory: 8MiB}"
    text = (
        "name: load\nparameters: {n: 1}\nsteps:\n"
        f"  a: {{command: '{begin}; echo $STRATA_RUN_ID > $STRATA_OUTPUTS/id', "
        f"outputs: [id], {small}}}\n"
        f"  b:\n    needs: [a]\n    command: '{begin}; test $STRATA_ATTEMPT -gt 1 || exit 3'\n"
        "    retries: {count: 1, backoff: 10ms}\n    resources: {cpu: 0.2, memory: 8MiB}\n"
        f"  c: {{command: '{begin}; test `cat $STRATA_INPUTS/a/id` = $STRATA_RUN_ID && exit 5', "
        f"needs: [a, b], {small}}}\n"
    )
    runs: list[str] = []
    for _ in range(rounds):
        for _ in range(3):
            runs.append(world.start(text, {"n": chance.randrange(1, 9)}))
        pause(chance.random() * 0.3)
        if chance.random() < 0.6:
            world.kill_server()
            if chance.random() < 0.5:
                world.kill_agent()
            world.server.start()
        else:
            world.kill_agent()
    for run in runs:
        done = world.wait_end(run)
        codes = {step["step"]: [a["exit_code"] for a in step["attempts"]] for step in done["steps"]}
        assert codes == {"a": [0], "b": [3, 0], "c": [5]}, (run, json.dumps(done, indent=1))
    assert len(list(oracle.iterdir())) == 4 * len(runs)
