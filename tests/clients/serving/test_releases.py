"""Releases of models logged by mlflow: gates, shadow, canary, promotion and rollback, by the
command line and the API, under traffic of stock HTTP."""

from __future__ import annotations

import json
import threading

import numpy as np
import pandas as pd
import pytest
import requests
from served import wait_until

ROW = {"distance": 500, "wind": 12.25, "hour": 9, "cold": True}
QUICK = ["--shadow", "30", "--steps", "10:30,50:60", "--drain", "0"]


def random_row(rng) -> dict:
    return {
        "distance": int(rng.integers(100, 3000)),
        "wind": float(rng.random() * 30),
        "hour": int(rng.integers(0, 24)),
        "cold": bool(rng.random() > 0.5),
    }


class Traffic:
    """Asks until it is told to end; keeps what came back."""

    def __init__(self, served, entities: int = 10_000) -> None:
        self.served, self.entities = served, entities
        self.stop, self.answers, self.faults = threading.Event(), [], []
        self.threads = [threading.Thread(target=self.ask, args=(i,)) for i in range(2)]

    def ask(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        session = requests.Session()
        session.headers.update(self.served.server.bearer())
        while not self.stop.is_set():
            entity = str(rng.integers(0, self.entities))
            answer = session.post(
                f"{self.served.server.http}/endpoints/{self.served.name}/invocations",
                json={"dataframe_records": [random_row(rng)]},
                headers={"Strata-Entity": entity},
                timeout=30,
            )
            if answer.status_code != 200:
                self.faults.append(answer.text)
            else:
                self.answers.append((entity, answer.headers["Strata-Model-Version"]))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def make_versions(make_served, table):
    """An endpoint with a version that answers, and candidates that are made of targets."""
    from mlflow.models import infer_signature
    from serving_models import train

    frame, late = table[0].drop(columns=["origin"]), table[1]

    def make(*targets):
        served = make_served("release")
        for target in (late, *targets):
            booster = train(frame, target, 20)
            served.log(
                "lightgbm", booster, signature=infer_signature(frame, booster.predict(frame))
            )
        served.point("1")
        served.create()
        return served

    return make


def release(served, *words, check: bool = True):
    done = served.server.strata("release", *words, "-o", "json", check=check)
    return json.loads(done.stdout) if done.returncode == 0 else done


def status(served) -> dict:
    return release(served, "status", served.name)


def wait_for_stage(served, *stages: str) -> dict:
    """Until the newest release is in one of these stages; what it is held for fails the test."""

    def there() -> bool:
        shown = status(served)
        assert shown["stage"] in stages or not shown["held"], shown["gates"]
        return shown["stage"] in stages

    wait_until(there, 150)
    return status(served)


def start(served, version: str = "2", *options) -> dict:
    return release(
        served, "start", served.name, "--model", f"models:/{served.registered}/{version}", *options
    )


def warm_up(served, count: int = 60) -> None:
    """Recorded requests, for the gates."""
    rng = np.random.default_rng(7)
    for _ in range(count):
        answer = served.invoke({"dataframe_records": [random_row(rng)]})
        assert answer.status_code == 200, answer.text


def test_a_good_challenger_goes_through_gates_shadow_and_canary_to_the_alias(
    make_versions, table, until
):
    served = make_versions(table[1])
    warm_up(served)
    planned = release(
        served, "plan", served.name, "--model", f"models:/{served.registered}/2", *QUICK
    )
    assert [gate["verdict"] for gate in planned["gates"] if gate["gate"] != "questions"] == [
        "pass"
    ] * 7
    served.mlflow.MlflowClient().set_registered_model_alias(served.registered, "challenger", "2")
    begun = release(
        served, "start", served.name, "--model", f"models:/{served.registered}@challenger", *QUICK
    )
    assert begun["stage"] == "registered" and begun["plan"]["version"] == "2"
    with Traffic(served) as traffic:
        wait_for_stage(served, "retired")
    assert not traffic.faults
    done = status(served)
    assert served.show()["live"]["version"] == "2"
    assert [edge["to"] for edge in done["edges"]] == [
        "gated",
        "shadow",
        "canary",
        "canary",
        "live",
        "draining",
        "retired",
    ]
    assert [edge["percent"] for edge in done["edges"]] == [0, 0, 10, 50, 50, 0, 0]
    promoted = next(edge for edge in done["edges"] if edge["to"] == "live")
    by_metric = {finding["metric"]: finding for finding in promoted["evidence"]}
    assert by_metric["errors"]["requests_candidate"] >= 60
    assert all(finding["within"] for finding in promoted["evidence"])
    # Nobody who had the candidate was given the old version again, until the shares changed places.
    seen: dict[str, list[str]] = {}
    for entity, version in traffic.answers:
        seen.setdefault(entity, []).append(version)
    assert sum("2" in versions for versions in seen.values()) > 20
    alias = served.mlflow.MlflowClient().get_model_version_by_alias(served.registered, "live")
    assert str(alias.version) == "2"
    routes = served.server.strata(
        "sql",
        "SELECT route, version, count(*) FROM strata.predictions WHERE endpoint = "
        f"'{served.name}' GROUP BY ALL",
        "-o",
        "csv",
    ).stdout
    for route, version in (("shadow", "2"), ("canary", "2"), ("control", "1"), ("live", "1")):
        assert f'"{route}","{version}"' in routes or f"{route},{version}" in routes, routes
    assert release(served, "list", served.name)["releases"][0]["id"] == done["id"]


def test_a_bad_challenger_is_stopped_in_the_shadow_and_nobody_sees_its_answers(
    make_versions, table, until
):
    # It learned the opposite.
    served = make_versions(1 - table[1])
    warm_up(served)
    begun = start(served, "2", "--shadow", "2000", "--steps", "1:100,50:2000")
    with Traffic(served) as traffic:
        wait_for_stage(served, "rolled_back")
    assert not traffic.faults
    assert {version for _, version in traffic.answers} == {"1"}
    last = status(served)["edges"][-1]
    assert last["event"] == "harm" and last["reason"].startswith(("disagreement", "outputs"))
    assert last["actor"] == "strata"
    decided = [f for f in last["evidence"] if f["p_value"] <= f["needed"]]
    assert decided and not decided[0]["within"]
    audit = served.get("/api/v1/audit?limit=100").json()["entries"]
    assert any(entry["target"] == f"release:{begun['id']}" for entry in audit)


def test_a_canary_that_turns_bad_is_rolled_back_at_once(make_versions, table, until):
    # It learned what hardly ever happens.
    served = make_versions((table[0].wind > 29).astype(int))
    warm_up(served)
    start(served, "2", "--shadow", "0", "--steps", "5:2000,50:3000")
    with Traffic(served) as traffic:
        wait_for_stage(served, "rolled_back")
        done = len(traffic.answers)
        until(lambda: len(traffic.answers) > done + 200)
    assert not traffic.faults
    versions = [version for _, version in traffic.answers]
    assert "2" in versions  # it had its share
    assert set(versions[done + 10 :]) == {"1"}
    assert versions.count("2") < 0.1 * versions.index("1", len(versions) - 200)
    edges = status(served)["edges"]
    assert max(edge["percent"] for edge in edges) == 5
    assert served.show()["live"]["version"] == "1"


def test_gates_refuse_what_clients_could_not_use_until_a_person_says_why(
    make_versions, table, until
):
    from mlflow.models import infer_signature
    from serving_models import train

    served = make_versions()
    warm_up(served)
    frame = table[0].drop(columns=["origin"]).assign(gust=1.0)
    booster = train(frame, table[1], 5)
    served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    start(served, "2", *QUICK)
    until(lambda: status(served)["held"])
    held = status(served)
    (signature,) = [gate for gate in held["gates"] if gate["gate"] == "signature"]
    assert signature["verdict"] == "fail" and "gust" in signature["reason"]
    assert held["stage"] == "registered" and held["percent"] == 0
    silent = release(served, "override", served.name, check=False)
    assert silent.returncode == 2 and "reason" in silent.stderr
    assert release(served, "resume", served.name, check=False).returncode == 5
    second = release(
        served, "start", served.name, "--model", f"models:/{served.registered}/2", check=False
    )
    assert second.returncode == 5  # one open release for each endpoint
    over = release(served, "override", served.name, "--reason", "clients send gust from today")
    assert over["edges"][-1]["reason"] == "clients send gust from today"
    wait_for_stage(served, "shadow")
    with Traffic(served) as traffic:  # whose requests lack the column: the candidate rejects them
        wait_for_stage(served, "rolled_back")
    assert not traffic.faults
    kept = status(served)["edges"]
    assert kept[1]["event"] == "overridden" and kept[1]["actor"] == "admin"
    assert kept[-1]["event"] == "harm" and kept[-1]["reason"].startswith("rejects")


def graph_of(*operators: str):
    """y = the last operator of ... of the first operator of x, one double each."""
    from onnx import TensorProto, helper

    names = ["x", *[f"v{i}" for i in range(1, len(operators))], "y"]
    graph = helper.make_graph(
        [
            helper.make_node(operator, [names[i]], [names[i + 1]])
            for i, operator in enumerate(operators)
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None, 1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_a_legal_request_that_nobody_sent_yet_stops_a_candidate(make_served, until):
    from mlflow.models import infer_signature

    served = make_served("release")
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    signature = infer_signature(frame, pd.DataFrame({"y": [1.0, 2.0]}))
    served.log("onnx", graph_of("Abs"), signature=signature)
    served.log("onnx", graph_of("Abs", "Log"), signature=signature)  # of 0 minus infinity
    served.log("onnx", graph_of("Abs", "Neg"), signature=signature)
    served.point("1")
    served.create()
    for x in range(1, 41):
        answer = served.invoke({"dataframe_records": [{"x": float(x)}]})
        assert answer.status_code == 200, answer.text

    def gates_of(version: str) -> dict:
        model = f"models:/{served.registered}/{version}"
        planned = release(served, "plan", served.name, "--model", model, *QUICK)
        return {gate["gate"]: gate for gate in planned["gates"]}

    bad, good = gates_of("2"), gates_of("3")
    assert bad["answers"]["verdict"] == "pass"  # the recorded requests show nothing
    assert bad["inputs"]["verdict"] == "fail" and "NaN or infinity" in bad["inputs"]["reason"]
    assert bad["inputs"]["numbers"]["not_finite"] > 0
    assert good["inputs"]["verdict"] == "pass" and good["memory"]["verdict"] == "pass"
    assert good["memory"]["numbers"]["mebibytes_candidate"] > 1


def test_a_golden_set_holds_a_candidate_that_is_worse_in_one_slice(make_served, table, until):
    from mlflow.models import infer_signature

    served = make_served("release")
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    signature = infer_signature(frame, pd.DataFrame({"y": [1.0, 2.0]}))
    served.log("onnx", graph_of("Identity"), signature=signature)
    served.log("onnx", graph_of("Abs"), signature=signature)  # wrong where x is negative
    served.log("onnx", graph_of("Identity", "Identity"), signature=signature)
    served.point("1")
    served.create()
    warmed = [served.invoke({"dataframe_records": [{"x": 1.0}]}) for _ in range(25)]
    assert all(answer.status_code == 200 for answer in warmed)
    name = f"golden_{served.name.replace('-', '_')}"
    served.server.strata(
        "sql",
        f"CREATE TABLE {name} AS SELECT x::DOUBLE AS x, x + sin(i) / 10 AS y, "
        "CASE WHEN x < 0 THEN 'west' ELSE 'east' END AS side "
        "FROM (SELECT i, (i % 20) - 1.5 AS x FROM range(4000) AS t(i))",
    )

    def plan_of(version: str, *options: str) -> dict:
        model = f"models:/{served.registered}/{version}"
        return release(served, "plan", served.name, "--model", model, *QUICK, *options)

    def golden_of(planned: dict) -> dict:
        return next(gate for gate in planned["gates"] if gate["gate"] == "golden")

    named = ("--golden", name, "--label", "y", "--slice", "side")
    bad = golden_of(plan_of("2", *named))
    assert bad["verdict"] == "fail" and "side=west" in bad["reason"]
    numbers = bad["numbers"]
    assert numbers["metric"] == "squared_error" and numbers["rows"] == 4000
    golden = pd.DataFrame({"i": range(4000)})
    golden["x"] = golden.i % 20 - 1.5
    golden["y"] = golden.x + np.sin(golden.i) / 10
    assert numbers["candidate"] == pytest.approx(((golden.x.abs() - golden.y) ** 2).mean(), 1e-9)
    assert numbers["live"] == pytest.approx(((golden.x - golden.y) ** 2).mean(), 1e-9)
    west = next(one for one in numbers["slices"] if one["slice"] == "side=west")
    assert west["rows"] == 400 and west["low"] > west["allowed"]
    assert golden_of(plan_of("3", *named))["verdict"] == "pass"
    # The set stays with the endpoint, until a release leaves it out.
    started = start(served, "2", *QUICK, *named)
    assert started["plan"]["golden"]["input"] == name
    until(lambda: status(served)["held"])
    assert "side=west" in status(served)["held"]
    release(served, "rollback", served.name)
    assert golden_of(plan_of("3"))["verdict"] == "pass"
    without = plan_of("3", "--no-golden")
    assert "golden" not in {gate["gate"] for gate in without["gates"]}
    for options, field in (
        (("--golden", "nothing_here", "--label", "y"), "golden.input"),
        (("--golden", name, "--label", "z"), "golden.label"),
        (("--golden", name, "--label", "y", "--slice", "z"), "golden.slices"),
        (("--golden", name, "--label", "y", "--metric", "luck"), "golden.metric"),
    ):
        model = f"models:/{served.registered}/3"
        refused = release(served, "plan", served.name, "--model", model, *options, check=False)
        assert refused.returncode != 0 and field in refused.stderr, refused.stderr


def test_a_person_pauses_resumes_promotes_and_rolls_back(make_versions, table, until):
    served = make_versions(table[1])
    warm_up(served)
    begun = start(served, "2", "--shadow", "0", "--steps", "20:1000000")
    wait_for_stage(served, "canary")
    assert release(served, "pause", served.name)["paused"]
    assert not release(served, "resume", begun["id"])["paused"]
    assert release(served, "promote", served.name, check=False).returncode == 2  # no reason
    release(served, "promote", served.name, "--reason", "the fix cannot wait")
    wait_for_stage(served, "draining")
    assert served.show()["live"]["version"] == "2"
    release(served, "rollback", served.name, "--reason", "a change of mind")
    assert served.invoke({"dataframe_records": [ROW]}).headers["Strata-Model-Version"] in "12"
    until(lambda: served.show()["live"]["version"] == "1", 60)
    assert status(served)["stage"] == "rolled_back"
    alias = served.mlflow.MlflowClient().get_model_version_by_alias(served.registered, "live")
    assert str(alias.version) == "1"
    until(lambda: release(served, "rollback", served.name, check=False).returncode == 5)


def test_one_entity_gets_one_version_over_http_and_grpc(make_versions, table, until):
    import tritonclient.grpc as triton

    served = make_versions(table[1])
    warm_up(served)
    start(served, "2", "--shadow", "0", "--steps", "40:1000000")
    wait_for_stage(served, "canary")
    token = served.server.bearer()["Authorization"]
    inputs = []
    for name, kind, value in (
        ("distance", "INT64", np.array([500])),
        ("wind", "FP64", np.array([12.25])),
        ("hour", "INT32", np.array([9], "int32")),
        ("cold", "BOOL", np.array([True])),
    ):
        one = triton.InferInput(name, [1], kind)
        one.set_data_from_numpy(value)
        inputs.append(one)
    asked = iter(range(1_000_000))

    def version_of(entity: str) -> str:
        answer = served.invoke({"dataframe_records": [ROW]}, more_headers={"Strata-Entity": entity})
        return answer.headers["Strata-Model-Version"]

    until(lambda: version_of(f"first-{next(asked)}") == "2")  # the share is there
    versions = set()
    with triton.InferenceServerClient(served.server.http.removeprefix("http://")) as client:
        for entity in map(str, range(60)):
            head = {"authorization": token, "strata-entity": entity}
            answer = client.infer(served.name, inputs, headers=head).get_response()
            assert answer.model_version == version_of(entity), entity
            versions.add(answer.model_version)
    assert versions == {"1", "2"}
    release(served, "rollback", served.name, "--reason", "enough was seen")


def test_what_is_no_release_is_refused_with_its_field(server, make_versions, table):
    served = make_versions(table[1])
    url = f"{server.http}/api/v1/releases"
    body = {"endpoint": served.name, "model": f"models:/{served.registered}/2"}

    def refused(code: int, field: str, headers=None, **changes):
        answer = requests.post(
            url, json={**body, **changes}, headers=headers or server.bearer(), timeout=30
        )
        assert answer.status_code == code, answer.text
        assert answer.json()["error"].get("field", "") == field, answer.text
        return answer.json()["error"]["message"]

    for percent in (0, -1, 50.01, 100):
        assert "%" in refused(400, "steps", steps=[{"percent": percent, "sample": 1}])
    refused(400, "steps", steps=[{"percent": 5, "sample": 1}, {"percent": 5, "sample": 2}])
    refused(400, "limits.errors", limits={"errors": 7})
    refused(400, "limits.speed", limits={"speed": 1})
    refused(400, "model", model=f"models:/{served.registered}/1")  # answers already
    refused(400, "model", model="models:/another/1")
    refused(404, "", endpoint="nobody")
    made = server.strata("token", "create", "--user", "admin", "--scope", "endpoint", "-o", "json")
    token = json.loads(made.stdout)["token"]
    assert "model:write" in refused(403, "", headers=server.bearer(token))
    server.strata("user", "create", "viola", "--role", "viewer")
    made = server.strata("token", "create", "--user", "viola", "-o", "json")
    viewer = server.bearer(json.loads(made.stdout)["token"])
    assert requests.post(url, json=body, headers=viewer, timeout=30).status_code == 403
    assert requests.get(url, headers=viewer, timeout=30).status_code == 200
    assert requests.get(f"{url}/rel-none", headers=viewer, timeout=30).status_code == 404


def test_a_release_goes_on_after_a_crash(fresh_server, other_mlflow, table, until):
    from mlflow.models import infer_signature
    from serving_models import train

    running, mlflow = fresh_server, other_mlflow
    frame = table[0].drop(columns=["origin"])
    experiment = mlflow.create_experiment("crash-release")
    for _ in range(2):
        booster = train(frame, table[1], 5)
        with mlflow.start_run(experiment_id=experiment):
            mlflow.lightgbm.log_model(
                booster,
                name="model",
                registered_model_name="m",
                signature=infer_signature(frame, booster.predict(frame)),
            )
    mlflow.MlflowClient().set_registered_model_alias("m", "live", "1")
    running.strata("endpoint", "create", "e", "--model", "models:/m@live", "--wait")
    running.strata(
        "release", "start", "e", "--model", "models:/m/2", "--shadow", "0", "--steps", "50:40"
    )

    def shown() -> dict:
        return json.loads(running.strata("release", "status", "e", "-o", "json").stdout)

    until(lambda: shown()["stage"] == "canary")
    running.kill()
    running.start()
    rng = np.random.default_rng(3)

    def asked() -> bool:
        requests.post(
            f"{running.http}/endpoints/e/invocations",
            json={"dataframe_records": [random_row(rng)]},
            headers=running.bearer(),
            timeout=30,
        )
        return shown()["stage"] in ("live", "draining", "retired")

    until(asked, 120)
    until(
        lambda: (
            requests.get(
                f"{running.http}/api/v1/endpoints/e", headers=running.bearer(), timeout=30
            ).json()["live"]["version"]
            == "2"
        )
    )
    assert running.stop() == 0
