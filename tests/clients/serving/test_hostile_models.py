"""Models made to kill, freeze or fill the server: it goes on, says why, and starts again."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import threading
import time

import numpy as np
import pandas as pd
import pytest
import requests
from serving_models import loop_graph
from strata_server import Server

TIMEOUT_S = 2


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A server whose models have two seconds for a run, with mlflow pointed at it."""
    import mlflow

    folder = tmp_path_factory.mktemp("hostile")
    # Without Python: what is refused here would run there, where it can be ended.
    options = ("--endpoints-timeout", str(TIMEOUT_S), "--python-environment", "off")
    running = Server(folder / "data", *options).start()
    previous = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        made = Hostile(running, mlflow, folder, patch)
        mlflow.set_experiment("hostile")
        yield made
    mlflow.set_tracking_uri(previous)
    mlflow.set_registry_uri(previous)
    assert running.stop() == 0
    running.strata("stop", "--now", check=False)


class Hostile:
    """Registers packages of files as versions of models, and looks at endpoints."""

    def __init__(self, running: Server, mlflow, folder: pathlib.Path, patch) -> None:
        self.running, self.mlflow, self.folder, self.patch = running, mlflow, folder, patch
        self.aim()

    def aim(self) -> None:
        """Points mlflow at the server, which has other ports after each start."""
        for name, value in self.running.env.items():
            self.patch.setenv(name, value)
        self.mlflow.set_tracking_uri(self.running.http)
        self.mlflow.set_registry_uri(self.running.http)

    def log(self, flavor: str, model, name: str, **options) -> pathlib.Path:
        """Registers a model with mlflow; where its files are, to be damaged."""
        with self.mlflow.start_run():
            info = getattr(self.mlflow, flavor).log_model(
                model, name="model", registered_model_name=name, **options
            )
        target = self.folder / f"files-{name}"
        return pathlib.Path(
            self.mlflow.artifacts.download_artifacts(info.model_uri, dst_path=str(target))
        )

    def damage(self, source: pathlib.Path, file: str, content: bytes, name: str) -> str:
        """One more version of `name`, with another content of one file; its number."""
        target = self.folder / "damaged"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        (target / file).write_bytes(content)
        with self.mlflow.start_run() as run:
            self.mlflow.log_artifacts(str(target), "model")
            return str(self.mlflow.register_model(f"runs:/{run.info.run_id}/model", name).version)

    def point(self, name: str, version: str) -> None:
        self.mlflow.MlflowClient().set_registered_model_alias(name, "live", version)

    def call(self, method: str, path: str, timeout: float = 30, **options):
        return requests.request(
            method,
            self.running.http + path,
            headers=self.running.bearer(),
            timeout=timeout,
            **options,
        )

    def create(self, endpoint: str, reference: str) -> None:
        made = self.call("POST", "/api/v1/endpoints", json={"name": endpoint, "model": reference})
        assert made.ok, made.text

    def show(self, endpoint: str) -> dict:
        return self.call("GET", f"/api/v1/endpoints/{endpoint}").json()

    def settle(self, endpoint: str, until, condition) -> dict:
        until(lambda: condition(self.show(endpoint)))
        return self.show(endpoint)

    def healthy(self) -> bool:
        fast = requests.get(self.running.http + "/healthz", timeout=4).status_code == 200
        return fast and requests.get(self.running.s3 + "/", timeout=4).status_code < 500


def line(key: str, change):
    """Damages every line of that key."""
    return lambda text: re.sub(rf"(?m)^{key}=.*$", lambda m: f"{key}={change(m[0])}", text)


def words(text: str, word: str) -> str:
    return " ".join([word] * len(text.split("=", 1)[1].split()))


MUTATIONS = {
    "cut in a tree": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "not text": lambda text: "\x00\x7f" * 100,
    "features too large": line("split_feature", lambda m: words(m, "100000000")),
    "features negative": line("split_feature", lambda m: words(m, "-5")),
    "children too large": line("left_child", lambda m: words(m, "100000")),
    "leaves too large": line("left_child", lambda m: words(m, "-100000")),
    "a cycle": line("right_child", lambda m: words(m, "0")),
    "more leaves": line("num_leaves", lambda m: "1000000000"),
    "fewer leaves": line("num_leaves", lambda m: "2"),
    "many classes": line("num_class", lambda m: "1000000000"),
    "no classes": line("num_class", lambda m: "0"),
    "many features": line("max_feature_idx", lambda m: "2000000000"),
    "many trees a round": line("num_tree_per_iteration", lambda m: "1000000"),
    "no trees a round": line("num_tree_per_iteration", lambda m: "0"),
    "many categories": line("num_cat", lambda m: "1000000"),
    "categories without sets": line("decision_type", lambda m: words(m, "1")),
    "wrong sizes": line("tree_sizes", lambda m: words(m, "99999999")),
    "linear without constants": line("is_linear", lambda m: "1"),
    "few leaf values": line("leaf_value", lambda m: "1"),
    "thresholds of letters": line("threshold", lambda m: words(m, "x")),
    "no objective": line("objective", lambda m: " "),
}


def test_a_damaged_lightgbm_version_leaves_the_old_one_answering_also_after_a_crash(hostile, until):
    import lightgbm
    from mlflow.models import infer_signature

    frame = pd.DataFrame({"a": np.arange(200.0), "b": np.arange(200) % 7 * 1.0})
    booster = lightgbm.train(
        {"verbose": -1, "min_data_in_leaf": 2}, lightgbm.Dataset(frame, frame.a + frame.b), 5
    )
    files = hostile.log(
        "lightgbm", booster, "trees", signature=infer_signature(frame, booster.predict(frame))
    )
    hostile.point("trees", "1")
    hostile.create("trees", "models:/trees@live")
    hostile.settle("trees", until, lambda e: e["state"] == "ready")
    body = {"inputs": {"a": [100.0, 5], "b": [1.0, 2]}}
    good = hostile.call("POST", "/endpoints/trees/invocations", json=body).json()
    text = (files / "model.lgb").read_text()
    version = "1"
    for name, mutate in MUTATIONS.items():
        damaged = mutate(text)
        assert damaged != text, name
        version = hostile.damage(files, "model.lgb", damaged.encode(), "trees")
        hostile.point("trees", version)
        shown = hostile.settle(
            "trees",
            until,
            lambda e, v=version: e["wanted_version"] == v and e["state"] != "loading",
        )
        assert shown["state"] == "degraded" and shown["live"]["version"] == "1", name
        assert "model.lgb" in shown["error"], (name, shown["error"])
        answer = hostile.call("POST", "/endpoints/trees/invocations", json=body)
        assert answer.json() == good, name
    hostile.running.kill()
    hostile.running.start()
    hostile.aim()
    shown = hostile.settle("trees", until, lambda e: e["state"] != "loading")
    assert shown["wanted_version"] == version and "model.lgb" in shown["error"]
    assert hostile.healthy()
    hostile.point("trees", "1")
    hostile.settle("trees", until, lambda e: e["state"] == "ready")
    assert hostile.call("POST", "/endpoints/trees/invocations", json=body).json() == good


@pytest.fixture(scope="module")
def by_value(hostile):
    """An endpoint that runs as many rounds as the largest value of its input."""
    from mlflow.models import infer_signature
    from onnx import helper

    x = np.array([[2]], "i8")
    rounds = helper.make_node("ReduceMax", ["x"], ["n"], keepdims=0)
    hostile.log(
        "onnx", loop_graph(rounds), "rounds", signature=infer_signature(x, x), input_example=x
    )
    hostile.running.strata("endpoint", "create", "rounds", "--model", "models:/rounds/1", "--wait")
    return hostile


def ask(hostile, value: int, path: str = "/endpoints/rounds/invocations"):
    if path.startswith("/v2"):
        tensor = {"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [value]}
        return hostile.call("POST", path, json={"inputs": [tensor]})
    return hostile.call("POST", path, json={"inputs": [[value]]})


def test_a_graph_whose_rounds_follow_from_a_value_holds_up_nobody_and_ends(by_value):
    assert ask(by_value, 3).json() == {"predictions": {"y": [[3]]}}
    answers: list = []
    paths = ["/endpoints/rounds/invocations", "/v2/models/rounds/infer"]
    askers = [
        threading.Thread(target=lambda p=paths[i % 2]: answers.append(ask(by_value, 10**15, p)))
        for i in range(8)
    ]
    for asker in askers:
        asker.start()
    while any(asker.is_alive() for asker in askers):
        assert by_value.healthy()
    for asker in askers:
        asker.join()
    assert [answer.status_code for answer in answers] == [504] * 8
    for answer in answers:
        said = answer.json()
        assert "endpoints.timeout" in (said.get("error") or said["message"])
        assert said.get("error_code", "DEADLINE_EXCEEDED") == "DEADLINE_EXCEEDED"
    assert ask(by_value, 3).status_code == 200


def test_deleting_an_endpoint_ends_its_runs(by_value, until):
    by_value.create("gone", "models:/rounds/1")
    by_value.settle("gone", until, lambda e: e["state"] == "ready")
    answers: list = []
    began = time.monotonic()
    path = "/endpoints/gone/invocations"
    asker = threading.Thread(target=lambda: answers.append(ask(by_value, 10**15, path)))
    asker.start()
    by_value.call("DELETE", "/api/v1/endpoints/gone")
    asker.join()
    assert answers[0].status_code == 404
    assert time.monotonic() - began < 30


def test_a_graph_that_never_ends_fails_to_load_and_can_be_deleted(hostile, until):
    from mlflow.models import infer_signature

    x = np.array([[2]], "i8")
    hostile.log("onnx", loop_graph(10**15), "endless", signature=infer_signature(x, x))
    hostile.create("endless", "models:/endless/1")
    shown = hostile.settle("endless", until, lambda e: e["state"] == "failed")
    assert "endpoints.timeout" in shown["error"]
    assert hostile.healthy()
    assert hostile.call("DELETE", "/api/v1/endpoints/endless").ok


def test_a_loop_that_could_not_be_stopped_is_refused(hostile, until):
    from mlflow.models import infer_signature

    x = np.array([[2]], "i8")
    model = loop_graph(10**15)
    body = model.graph.node[-1].attribute[0].g
    del body.node[:]
    body.output[0].name, body.output[1].name = "ci", "vi"
    hostile.log("onnx", loop_graph(3), "hollow", signature=infer_signature(x, x))
    files = hostile.folder / "files-hollow"
    found = next(files.rglob("model.onnx"))
    version = hostile.damage(found.parent, "model.onnx", model.SerializeToString(), "hollow")
    hostile.create("hollow", f"models:/hollow/{version}")
    shown = hostile.settle("hollow", until, lambda e: e["state"] == "failed")
    assert "Loop" in shown["error"]
    for content in (b"", b"no model", found.read_bytes()[:60]):
        version = hostile.damage(found.parent, "model.onnx", content, "hollow")
        name = f"hollow-{version}"
        hostile.create(name, f"models:/hollow/{version}")
        assert hostile.settle(name, until, lambda e: e["state"] == "failed")["error"]
    assert hostile.healthy()


def test_a_graph_that_wants_more_memory_than_there_is_fails_to_load(hostile, until):
    from mlflow.models import infer_signature
    from onnx import TensorProto, helper, numpy_helper

    x = np.ones((1, 2), "f4")
    graph = helper.make_graph(
        [helper.make_node("Expand", ["one", "shape"], ["y"])],
        "bomb",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])],
        [
            numpy_helper.from_array(np.ones((1, 1), "f4"), "one"),
            numpy_helper.from_array(np.array([40_000_000, 100_000], "i8"), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    hostile.log("onnx", model, "bomb", signature=infer_signature(x, x), input_example=x)
    hostile.create("bomb", "models:/bomb/1")
    shown = hostile.settle("bomb", until, lambda e: e["state"] in ("failed", "ready"))
    assert shown["state"] == "failed" and shown["error"]
    assert hostile.healthy()


def test_an_endpoint_filled_with_requests_leaves_the_others_their_threads(by_value, until):
    by_value.create("other", "models:/rounds/1")
    by_value.settle("other", until, lambda e: e["state"] == "ready")
    enough = threading.Event()

    def fill() -> None:
        while not enough.is_set():
            assert ask(by_value, 10**15).status_code == 504

    fillers = [threading.Thread(target=fill) for _ in range(32)]
    before = processor_s(by_value.running.process.pid)
    for filler in fillers:
        filler.start()
    until(lambda: processor_s(by_value.running.process.pid) > before + 1)
    took = []
    for _ in range(7):
        began = time.monotonic()
        answer = ask(by_value, 3, "/endpoints/other/invocations")
        took.append(time.monotonic() - began)
        assert answer.status_code == 200, answer.text
    enough.set()
    for filler in fillers:
        filler.join()
    assert sorted(took)[len(took) // 2] < TIMEOUT_S / 4, took
    assert ask(by_value, 3).status_code == 200
    assert by_value.call("DELETE", "/api/v1/endpoints/other").ok


def test_the_server_ends_while_a_model_runs(by_value, until):
    """Last in this file: it starts the server anew."""
    running = by_value.running
    asker = threading.Thread(target=lambda: swallow(lambda: ask(by_value, 10**15)))
    asker.start()
    by_value.create("slow", "models:/rounds/1")
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 6
    asker.join()
    running.start()
    by_value.aim()
    until(lambda: by_value.show("rounds")["state"] == "ready")


def test_what_ends_does_not_wait_for_a_single_node_that_computes(hostile, until):
    """Nothing can interrupt one product of large matrices; backups, deletions and the server end
    all the same."""
    from mlflow.models import infer_signature
    from onnx import TensorProto, helper, numpy_helper

    x = np.array([[2], [2]], "i8")
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["x", "two"], ["size"]),
            helper.make_node("ConstantOfShape", ["size"], ["a"]),
            helper.make_node("MatMul", ["a", "a"], ["b"]),
            helper.make_node("ReduceMax", ["b"], ["y"]),
        ],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.INT64, [2, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1])],
        [numpy_helper.from_array(np.array([2], "i8"), "two")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    hostile.log(
        "onnx",
        model,
        "product",
        signature=infer_signature(x, np.ones((1, 1), "f4")),
        input_example=x,
    )
    running = hostile.running
    running.strata("endpoint", "create", "product", "--model", "models:/product/1", "--wait")
    body = {"inputs": [[9000], [9000]]}
    url = "/endpoints/product/invocations"
    asker = threading.Thread(target=lambda: swallow(lambda: hostile.call("POST", url, json=body)))
    before = processor_s(running.process.pid)
    asker.start()
    until(lambda: processor_s(running.process.pid) > before + 1)
    assert hostile.healthy()
    running.strata("backup", "--out", str(hostile.folder / "backup"))
    began = time.monotonic()
    assert hostile.call("DELETE", "/api/v1/endpoints/product").ok
    assert time.monotonic() - began < 2
    assert hostile.call("GET", "/api/v1/endpoints/product").status_code == 404
    assert asker.is_alive()  # neither has waited for the run
    began = time.monotonic()
    running.strata("stop", check=False)
    running.process.wait(timeout=30)
    assert time.monotonic() - began < 8
    asker.join()
    running.start()
    hostile.aim()
    hostile.create("product", "models:/product/1")
    until(lambda: hostile.show("product")["state"] == "ready")


def processor_s(pid: int) -> float:
    """User time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK")


def swallow(call) -> None:
    """The connection of a server that ends may break."""
    try:
        call()
    except requests.RequestException:
        return
