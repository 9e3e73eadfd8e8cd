"""kill -9 while rows are pushed: what was acknowledged is there, once, and nothing else."""

from __future__ import annotations

import datetime
import os
import random
import threading
import time

import requests

LIVES = int(os.environ.get("STRATA_FEATURE_KILLS", "6"))
WRITERS = 4
START = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)

DEFINITIONS = """
entities: {writer: {keys: {writer: int64}}}
sources:
  numbers:
    stream: true
    columns: {writer: int64, number: int64, at: timestamp}
    timestamp: at
views:
  newest: {entities: [writer], source: numbers, features: {number: number}}
  window:
    entities: [writer]
    source: numbers
    features:
      count: {aggregate: count, window: 2d}
      total: {aggregate: sum, of: number, window: 2d}
"""


class Writer(threading.Thread):
    """Pushes 1, 2, 3 ... each with its own key, again until it is acknowledged."""

    def __init__(self, server, number: int, stop: threading.Event, begun: int) -> None:
        super().__init__()
        self.server, self.number, self.stop = server, number, stop
        self.sent = self.acknowledged = begun
        self.sequences: dict[int, int] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        url = self.server.http + "/api/v1/features/streams/numbers/push"
        session = requests.Session()
        while not self.stop.is_set():
            self.sent = self.acknowledged + 1
            at = (START + datetime.timedelta(seconds=self.sent)).isoformat()
            body = {
                "rows": [{"writer": self.number, "number": self.sent, "at": at}],
                "idempotency_key": f"{self.number}/{self.sent}",
            }
            try:
                answer = session.post(url, json=body, headers=self.server.bearer(), timeout=20)
            except requests.RequestException:
                return  # killed: whether it was taken is not known
            if answer.status_code != 200:
                self.wrong.append(answer.text)
                return
            self.sequences[self.sent] = answer.json()["sequence"]
            self.acknowledged = self.sent


def test_acknowledged_pushes_survive_kill_9_and_count_once(fresh_server):
    server = fresh_server.start()
    answer = requests.post(
        server.http + "/api/v1/features/apply",
        json={"yaml": DEFINITIONS},
        headers=server.bearer(),
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    dice = random.Random(5)
    begun = [0] * WRITERS
    taken: dict[tuple[int, int], int] = {}
    for life in range(LIVES):
        stop = threading.Event()
        writers = [Writer(server, n, stop, begun[n]) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        goal = sum(begun) + dice.randint(5, 120)
        deadline = time.monotonic() + 30
        while sum(writer.acknowledged for writer in writers) < goal:
            assert time.monotonic() < deadline, "the writers do not get on"
            threading.Event().wait(0.001)
        server.kill()
        stop.set()
        for writer in writers:
            writer.join()
            assert not writer.wrong, writer.wrong
            for number, sequence in writer.sequences.items():
                assert (writer.number, number) not in taken
                taken[writer.number, number] = sequence
        assert len(set(taken.values())) == len(taken), "two pushes have one place in the log"
        server.start()
        got = requests.post(
            server.http + "/api/v1/features/online",
            json={
                "features": ["newest.number", "window.count", "window.total"],
                "entities": {"writer": list(range(WRITERS))},
            },
            headers=server.bearer(),
            timeout=20,
        ).json()["features"]
        got = [one["values"] for one in got]
        for writer, number, count, total in zip(writers, *got, strict=True):
            # Each of 1, 2, 3 ... counts once in the windows, too.
            assert (count or 0) == (number or 0), (life, writer.number)
            assert (total or 0) == (number or 0) * ((number or 0) + 1) // 2
            assert writer.acknowledged <= (number or 0) <= writer.sent, (life, writer.number)
            # The one in doubt is sent again with its key, and is there once either way.
            begun[writer.number] = writer.acknowledged
    server.stop()
    server.strata("stop", "--now", check=False)
    assert server.strata("fsck").returncode == 0
