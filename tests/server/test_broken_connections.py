"""A command that is interrupted, or whose server does not answer as it should."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
import requests
from programs import binary
from waits import pause

ENDLESS = "SELECT count(*) FROM range(100000000000000) a, range(1000) b -- {}"


def query_like(server, mark: str):
    queries = requests.get(
        server.http + "/api/v1/sql/queries", headers=server.bearer(), timeout=20
    ).json()["queries"]
    return next((query for query in queries if query["sql"].endswith(mark)), None)


def wait_for_state(server, mark: str, state: str) -> None:
    deadline = time.monotonic() + 60
    while (query := query_like(server, mark)) is None or query["state"] != state:
        assert query is None or query["state"] in ("queued", "running", state), query
        assert time.monotonic() < deadline, query
        pause(0.02)


def take_signals() -> None:
    """A test run in the background has SIGINT ignored, which a command would inherit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_sql_cancels_the_query_on_the_server(server, tmp_path, number):
    mark = f"by-{number.name}"
    out = tmp_path / "rows.csv"
    command = subprocess.Popen(
        [binary(), "sql", ENDLESS.format(mark), "--data", server.data]
        + ["-o", "csv", "--out", out],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_signals,
    )
    wait_for_state(server, mark, "running")
    command.send_signal(number)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 128 + number
    assert said.startswith("strata: ") and said.count("\n") == 1
    wait_for_state(server, mark, "cancelled")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_on_a_terminal_cancels_the_query_on_the_server(server):
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [binary(), "sql", ENDLESS.format("by-terminal"), "--data", server.data],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: (take_signals(), os.login_tty(theirs)),
    )
    wait_for_state(server, "by-terminal", "running")
    os.write(ours, b"\x03")
    assert command.wait(timeout=60) == 130
    wait_for_state(server, "by-terminal", "cancelled")
    os.close(theirs)
    os.close(ours)


def test_a_terminal_is_shown_how_far_a_query_is(server):
    server.strata("sql", "CREATE TABLE long_scan AS SELECT range AS i FROM range(3000000)")
    slow = "SELECT max(list_sum(list_transform(range(300), x -> x + i))) FROM long_scan -- by-bar"
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [binary(), "sql", slow, "--data", server.data],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: (take_signals(), os.login_tty(theirs)),
    )
    shown = b""
    while not re.search(rb"\[#+ *\] +[1-9]\d* %  \d+ s", shown):
        assert command.poll() is None, shown
        if select.select([ours], [], [], 60)[0]:
            shown += os.read(ours, 4096)
    query = query_like(server, "by-bar")
    assert query["state"] == "running" and 0 < query["progress"] <= 100
    os.write(ours, b"\x03")
    assert command.wait(timeout=60) == 130
    os.close(theirs)
    os.close(ours)


def close_at_once(peer: socket.socket) -> None:
    peer.recv(65536)


def half_a_head(peer: socket.socket) -> None:
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextlib.contextmanager
def listening(answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                answer(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(timeout=20)


@pytest.mark.parametrize("answer", [close_at_once, half_a_head, reset])
def test_a_server_that_breaks_off_is_one_line_and_exit_code_1(answer):
    with listening(answer) as url:
        done = subprocess.run(
            [binary(), "user", "list"],
            env={"STRATA_URL": url, "STRATA_TOKEN": "x", "HOME": "/nowhere"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("strata: ") and done.stderr.count("\n") == 1
    assert url.removeprefix("http://") in done.stderr
    assert done.stdout == ""
