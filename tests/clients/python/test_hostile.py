"""Models that die, spin, eat memory, write where they should not: each loses its own request."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import signal
import sys

import cloudpickle
import pandas as pd
import pytest
from mlflow.models import infer_signature

# The processes have no such module: the functions travel as what they are.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def behave(model_input):
    """What the rows' texts ask for; echoes them back."""
    import ctypes
    import os
    import signal
    import socket
    import subprocess
    import sys
    import threading

    told = []
    for word in model_input["do"]:
        if word == "exit":
            os._exit(3)
        if word == "crash":
            ctypes.string_at(0)
        if word == "spin":
            while True:
                pass
        if word == "wait":
            threading.Event().wait(1000)
        if word == "eat":
            held = []
            while True:
                held.append(bytearray(64 << 20))
        if word == "map":
            import mmap

            held = mmap.mmap(-1, 3 << 30)
            part = b"1" * (16 << 20)
            for at in range(0, 3 << 30, len(part)):
                held[at : at + len(part)] = part
            threading.Event().wait(1000)
        if word == "raise":
            raise RuntimeError("the model is tired")
        if word == "garbage":
            socket.socket(fileno=os.dup(3)).sendall(b"\0" * 100)
        if word == "huge":
            return ["x" * (1 << 20)] * 80
        if word == "print":
            print("said by the model")
            os.write(1, b"written by the model\n")
        if word == "fork":
            try:
                os.fork()
                word = "forked"
            except PermissionError:
                word = "refused"
        if word == "spawn":
            try:
                subprocess.run(["true"], check=True)
                word = "spawned"
            except PermissionError:
                word = "refused"
        if word == "kill":
            try:
                os.kill(os.getppid(), signal.SIGKILL)
                word = "killed"
            except PermissionError:
                word = "refused"
        if word == "environment":
            word = " ".join(sorted(os.environ))
        if word == "who":
            word = str(os.getpid())
        told.append(word)
    sys.stdout.flush()
    return told


def log_function(served, function, frame, answer):
    with served.mlflow.start_run():
        info = served.mlflow.pyfunc.log_model(
            name="model",
            python_model=function,
            signature=infer_signature(frame, answer),
            registered_model_name=served.registered,
            pip_requirements=["mlflow"],
        )
    return str(info.registered_model_version)


@pytest.fixture(scope="module")
def hostile(make_served):
    served = make_served("hostile")
    frame = pd.DataFrame({"do": ["nothing"]})
    served.point(log_function(served, behave, frame, ["nothing"]))
    made = served.create()
    assert made["state"] == "ready", made
    return served


def ask(served, *words):
    return served.invoke({"dataframe_records": [{"do": word} for word in words]})


def answered(served, *words):
    answer = ask(served, *words)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


@pytest.mark.parametrize(
    "word, said",
    [
        ("exit", "exited with code 3"),
        ("crash", "signal 11"),
        ("garbage", "no answer"),
        ("eat", "memory"),
        ("map", "python.memory"),
        ("raise", "the model is tired"),
        ("huge", "bytes"),
    ],
)
def test_each_way_to_fail_loses_its_own_request_with_the_reason(hostile, word, said):
    lost = ask(hostile, word)
    assert lost.status_code in (413, 500), lost.text
    assert said in lost.text
    assert answered(hostile, "hello") == ["hello"]


def test_a_run_that_passes_its_time_is_ended_and_the_next_is_answered(hostile, until):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        lost = pool.submit(ask, hostile, "spin")
        assert lost.result().status_code == 504
    assert "endpoints.timeout" in lost.result().text
    assert answered(hostile, "hello") == ["hello"]
    until(lambda: "its run was ended" in hostile.show()["live"]["processes"]["last_end"])


def is_alive(pid):
    """Whether it still holds anything: a zombie does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False


def test_a_process_that_is_killed_is_replaced(hostile, until):
    first = answered(hostile, "who")[0]
    os.kill(int(first), signal.SIGKILL)
    until(lambda: not is_alive(first))
    assert answered(hostile, "who")[0] != first, "the spare one answers at once"

    def processes():
        return hostile.show()["live"]["processes"]

    until(lambda: "signal 9" in (processes()["last_end"] or ""))
    until(lambda: processes()["idle"] == 2)


def test_it_can_start_no_process_and_signal_none(hostile):
    assert answered(hostile, "fork", "spawn", "kill") == ["refused"] * 3


def test_it_sees_nothing_of_the_servers_environment(hostile):
    names = answered(hostile, "environment")[0].split()
    assert not [n for n in names if n.startswith(("STRATA", "AWS", "MLFLOW_TRACKING"))]


def test_what_it_writes_is_in_the_log_and_not_in_the_answers(hostile, until):
    assert answered(hostile, "print", "hello") == ["print", "hello"]

    def logs():
        return hostile.server.strata("endpoint", "logs", hostile.name).stdout

    until(lambda: "said by the model" in logs() and "written by the model" in logs())


def test_a_model_that_cannot_be_loaded_says_what_its_process_said(make_served, tmp_path):
    served = make_served("unloadable")
    frame = pd.DataFrame({"x": [1.0]})
    version = log_function(served, lambda model_input: [1.0], frame, [1.0])
    folder = served.mlflow.artifacts.download_artifacts(
        f"models:/{served.registered}/{version}", dst_path=str(tmp_path)
    )
    (tmp_path / "python_model.pkl").write_bytes(b"not a pickle")
    with served.mlflow.start_run() as run:
        served.mlflow.log_artifacts(folder, "model")
        broken = served.mlflow.register_model(
            f"runs:/{run.info.run_id}/model", served.registered
        ).version
    served.point(str(broken))
    command = ("endpoint", "create", served.name, "--wait", "--model")
    refused = served.server.strata(*command, f"models:/{served.registered}@live", check=False)
    assert refused.returncode == 1
    assert "Unpickling" in refused.stderr or "pickle" in refused.stderr
