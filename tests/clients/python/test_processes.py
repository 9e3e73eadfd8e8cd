"""How many processes there are: by demand, asleep, after swaps and restarts, and none left."""

from __future__ import annotations

import concurrent.futures
import json
import sys
import threading

import cloudpickle
import pandas as pd
import pytest
from mlflow.models import infer_signature

# The processes have no such module: the functions travel as what they are.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def logged(served, function):
    frame = pd.DataFrame({"seconds": [0.0]})
    with served.mlflow.start_run():
        info = served.mlflow.pyfunc.log_model(
            name="model",
            python_model=function,
            signature=infer_signature(frame, ["1"]),
            registered_model_name=served.registered,
            pip_requirements=["mlflow"],
        )
    return str(info.registered_model_version)


def rest(model_input):
    import os
    import threading

    threading.Event().wait(float(model_input["seconds"].iloc[0]))
    return [str(os.getpid())]


def held_until(path):
    def wait(model_input):
        import os
        import threading

        while not os.path.exists(path):
            threading.Event().wait(0.02)
        return [str(os.getpid())]

    return wait


def rest_again(model_input):
    return ["second"]


def ask(served, seconds=0.0):
    return served.invoke({"dataframe_records": [{"seconds": seconds}]})


def processes(served):
    return served.show()["live"]["processes"]


def test_replicas_follow_the_queue_and_a_change_holds_at_once(make_served, until, tmp_path):
    served = make_served("replicas")
    released = tmp_path / "released"
    released.touch()
    served.point(logged(served, held_until(str(released))))
    served.create()
    released.unlink()
    assert served.show()["replicas"] == {"least": 1, "most": 1, "idle_seconds": 300}
    served.server.strata("endpoint", "scale", served.name, "--workers", "1..3")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, served) for _ in range(3)]
        until(lambda: processes(served)["busy"] == 3)
        assert processes(served)["wanted"] == 3
        released.touch()
        answers = [one.result() for one in asked]
    assert [a.status_code for a in answers] == [200] * 3, answers[0].text
    assert len({a.json()["predictions"][0] for a in answers}) == 3, "each had a process of its own"
    served.server.strata("endpoint", "scale", served.name, "--workers", "1")
    until(lambda: processes(served)["idle"] <= 2)


def test_a_sleeping_model_has_no_process_and_the_next_request_is_held(
    make_served, until, model_processes
):
    tritonclient = pytest.importorskip("tritonclient.http")
    served = make_served("sleeper")
    served.point(logged(served, rest))
    served.server.strata(
        "endpoint", "create", served.name, "--model", f"models:/{served.registered}@live",
        "--workers", "0..1", "--idle", "1s", "--wait",
    )  # fmt: skip
    until(lambda: processes(served)["wanted"] == 0 and processes(served)["idle"] == 0)
    assert served.get(f"/v2/models/{served.name}/ready").status_code == 200
    client = tritonclient.InferenceServerClient(
        served.server.http.removeprefix("http://"), network_timeout=60, connection_timeout=60
    )
    one = tritonclient.InferInput("seconds", [1], "FP64")
    one.set_data_from_numpy(pd.Series([0.0]).to_numpy())
    answer = client.infer(served.name, [one], headers=served.server.bearer())
    assert answer.as_numpy("predict")[0].isdigit()


@pytest.mark.parametrize(
    "workers, said", [("5..2", "range"), ("x", "range"), ("0", "range"), ("1..99", "16")]
)
def test_wrong_numbers_are_refused_with_what_is_right(make_served, workers, said):
    served = make_served("wrong")
    done = served.server.strata(
        "endpoint", "create", "nothing", "--model", "models:/nothing@live", "--workers", workers,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "workers" in done.stderr or "replicas" in done.stderr
    assert said in done.stderr


def test_a_swap_loses_no_request_and_ends_the_old_processes(make_served, until):
    served = make_served("swap")
    first = logged(served, rest)
    served.point(first)
    served.create()
    second = logged(served, rest_again)
    wrong, done = [], threading.Event()

    def keep_asking():
        while not done.is_set():
            answer = ask(served)
            if answer.status_code != 200:
                wrong.append(answer.text)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(keep_asking) for _ in range(2)]
        served.point(second)
        served.wait_for(second)
        done.set()
        for one in asking:
            one.result()
    assert not wrong
    assert ask(served).json()["predictions"] == ["second"]


def in_server(server, monkeypatch):
    import mlflow
    from served import Served

    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(server.http)
    mlflow.set_registry_uri(server.http)
    mlflow.set_experiment("own")
    return Served(server, mlflow, "own")


def test_no_process_is_left_by_deletion_stop_or_kill_and_a_restart_brings_it_back(
    own_server, monkeypatch, until, model_processes
):
    import mlflow

    before = mlflow.get_tracking_uri()
    server = own_server.start()
    served = in_server(server, monkeypatch)
    served.point(logged(served, rest))
    made = json.loads(json.dumps(served.create()))
    assert made["state"] == "ready"
    until(lambda: processes(served)["idle"] == 2)
    assert len(model_processes(server.data)) == 2
    server.kill()
    until(lambda: model_processes(server.data) == [])
    server.start()
    until(lambda: served.show()["state"] == "ready")
    assert ask(served).status_code == 200
    assert server.stop() == 0
    assert model_processes(server.data) == []
    server.start()
    until(lambda: served.show()["state"] == "ready")
    server.strata("endpoint", "delete", served.name)
    until(lambda: model_processes(server.data) == [])
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)
