"""The server's log as a file: it goes on in a new one when it is full, and on SIGHUP."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import signal
import time

import requests
from waits import pause

SIZE = 64 << 10


def ask(server, times: int) -> list[str]:
    """The ids of so many requests."""
    with requests.Session() as session:
        asked = (session.get(server.http + "/healthz", timeout=20) for _ in range(times))
        return [answer.headers["X-Request-Id"] for answer in asked]


def ask_at_once(server, times: int, clients: int = 4) -> list[str]:
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(ask, server, times // clients) for _ in range(clients)]
        return [request for done in asked for request in done.result()]


def told(*files: pathlib.Path) -> list[str]:
    """The ids of the requests that these files tell of, which hold whole lines only."""
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [line["request"] for line in lines if line["event"] == "http.request"]


def test_the_log_goes_on_in_a_new_file_and_loses_no_line(fresh_server):
    fresh_server.options = ("--log-size", "64KiB")
    server = fresh_server.start()
    logs = server.data / "logs"
    asked = ask_at_once(server, 800)
    assert len(list(logs.iterdir())) >= 3
    assert sorted(set(asked) & set(told(*logs.iterdir()))) == sorted(asked)
    assert len(set(told(*logs.iterdir()))) == len(told(*logs.iterdir()))
    # The oldest go.
    asked += ask_at_once(server, 1600)
    names = {"server.log", *(f"server.log.{number}" for number in range(1, 6))}
    assert {file.name for file in logs.iterdir()} == names
    assert all(file.stat().st_size <= SIZE for file in logs.iterdir())
    assert ask(server, 1)[0] == told(logs / "server.log")[-1]


def test_who_renames_the_log_has_it_opened_anew_by_sighup(fresh_server):
    server = fresh_server.start()
    log = server.data / "logs" / "server.log"
    aside = log.with_name("aside.log")
    (first,) = ask(server, 1)
    os.rename(log, aside)
    (second,) = ask(server, 1)
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while not log.exists():
        assert time.monotonic() < deadline, "the log was not opened anew"
        pause(0.02)
    (third,) = ask(server, 1)
    assert [request for request in told(aside) if request in (first, second)] == [first, second]
    assert third not in told(aside)
    assert told(log) == [third]
