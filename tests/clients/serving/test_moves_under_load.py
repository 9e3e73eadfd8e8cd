"""20,000 requests across 50 moves of each alias: none fails, none is answered by what was not live.

The oracle is the askers' own clock. A version may answer from the moment at which the alias was
asked to name it until the endpoint was first seen with its successor; each answer's request must
overlap such a time of the version that it names, and carry that version's value and digest.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.parse

import numpy as np
import pandas as pd
import pytest

REQUESTS = 20_000
MOVES = 50
POINT = [3.0, 40.0]


class Moving:
    """An endpoint whose alias moves between versions that answer differently."""

    def __init__(self, served) -> None:
        self.served = served
        self.values: dict[str, float] = {}
        self.digests: dict[str, str] = {}
        self.times: list[tuple[str, float, float]] = []  # version, from, until

    def move(self, version: str) -> None:
        asked = time.monotonic()
        self.served.point(version)
        self.served.wait_for(version)
        seen = time.monotonic()
        if self.times:
            former, since, _ = self.times[-1]
            self.times[-1] = (former, since, seen)
        self.times.append((version, asked, float("inf")))
        self.digests[version] = self.served.show()["live"]["digest"]

    def was_live(self, version: str, began: float, ended: float) -> bool:
        return any(
            since <= ended and until >= began
            for name, since, until in self.times
            if name == version
        )


@pytest.fixture(scope="module")
def boosters(make_served):
    from mlflow.models import infer_signature
    from serving_models import train

    frame = pd.DataFrame(np.random.default_rng(3).random((300, 2)) * 50, columns=["a", "b"])
    late = (frame.a > frame.b).astype(int)
    moving = Moving(make_served("boosters"))
    for rounds in (2, 5, 9):
        booster = train(frame, late, rounds)
        signature = infer_signature(frame, booster.predict(frame))
        version = moving.served.log("lightgbm", booster, signature=signature)
        moving.values[version] = float(booster.predict(np.array([POINT]))[0])
    moving.served.point("1")
    moving.served.create()
    return moving


@pytest.fixture(scope="module")
def graphs(make_served):
    from mlflow.models import infer_signature
    from onnx import TensorProto, helper, numpy_helper

    moving = Moving(make_served("graphs"))
    sample = np.array([POINT], "f4")
    for shift in (100.0, 200.0):
        graph = helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "w"], ["h"]),
                helper.make_node("Add", ["h", "s"], ["y"]),
            ],
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])],
            [
                numpy_helper.from_array(np.ones((2, 1), "f4"), "w"),
                numpy_helper.from_array(np.array([shift], "f4"), "s"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        signature = infer_signature(sample, sample @ np.ones((2, 1), "f4"))
        version = moving.served.log("onnx", model, signature=signature)
        moving.values[version] = sum(POINT) + shift
    moving.served.point("1")
    moving.served.create()
    return moving


class Asker(threading.Thread):
    """Asks one door over one kept-alive connection and notes every answer."""

    def __init__(self, moving: Moving, path: str, body: dict, value) -> None:
        super().__init__()
        self.moving, self.path, self.body, self.value = moving, path, json.dumps(body), value
        self.stop = threading.Event()
        self.answers: list[tuple[str, str, float, float, float]] = []
        self.fault = ""

    def run(self) -> None:
        server = self.moving.served.server
        address = urllib.parse.urlsplit(server.http)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        headers = {**server.bearer(), "Content-Type": "application/json"}
        try:
            while not self.stop.is_set():
                began = time.monotonic()
                connection.request("POST", self.path, self.body, headers)
                answer = connection.getresponse()
                text = answer.read()
                ended = time.monotonic()
                if answer.status != 200:
                    self.fault = f"{answer.status} {text.decode()}"
                    return
                version = answer.headers["Strata-Model-Version"]
                digest = answer.headers["Strata-Model-Digest"]
                self.answers.append((version, digest, self.value(json.loads(text)), began, ended))
        except OSError as fault:
            self.fault = repr(fault)
        finally:
            connection.close()


def check(asker: Asker) -> None:
    assert not asker.fault
    moving = asker.moving
    for version, digest, value, began, ended in asker.answers:
        assert value == pytest.approx(moving.values[version], rel=1e-6), version
        assert digest == moving.digests[version]
        assert moving.was_live(version, began, ended), (version, began, ended)
    assert {version for version, *_ in asker.answers} == set(moving.values)


def test_no_request_fails_or_meets_a_version_that_was_not_live(boosters, graphs, until):
    row = {"dataframe_split": {"columns": ["a", "b"], "data": [POINT]}}
    tensor = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": POINT}]}
    scoring, oip = "/endpoints/{}/invocations", "/v2/models/{}/infer"
    askers = [
        Asker(boosters, scoring.format(boosters.served.name), row, lambda a: a["predictions"][0]),
        Asker(boosters, scoring.format(boosters.served.name), row, lambda a: a["predictions"][0]),
        Asker(
            graphs,
            scoring.format(graphs.served.name),
            {"inputs": [POINT]},
            lambda a: a["predictions"]["y"][0][0],
        ),
        Asker(
            graphs, oip.format(graphs.served.name), tensor, lambda a: a["outputs"][0]["data"][0]
        ),
    ]
    for moving in (boosters, graphs):
        moving.move("1")
    for asker in askers:
        asker.start()

    def asked() -> int:
        return sum(len(asker.answers) for asker in askers)

    def wait_for_answers(count: int) -> None:
        until(lambda: asked() >= count or any(not asker.is_alive() for asker in askers))

    for move in range(1, MOVES + 1):
        wait_for_answers(move * REQUESTS // (MOVES + 1))
        for moving in (boosters, graphs):
            moving.move(str(1 + move % len(moving.values)))
    wait_for_answers(REQUESTS)
    for asker in askers:
        asker.stop.set()
    for asker in askers:
        asker.join(timeout=60)
        check(asker)
    assert asked() >= REQUESTS
