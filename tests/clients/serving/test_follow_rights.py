"""Whose rights count when an endpoint is made, and when it follows its alias."""

from __future__ import annotations

import json
import uuid

import pytest
import requests

MLFLOW = "/api/2.0/mlflow/registered-models"
ROW = {"distance": 500, "wind": 12.25, "hour": 9, "cold": True}


class User:
    """Somebody with a role or a narrow token, as the server's HTTP port sees them."""

    def __init__(self, running, role: str = "member", scope: str = "all", project="") -> None:
        self.running, self.name = running, f"u{uuid.uuid4().hex[:8]}"
        running.strata("user", "create", self.name, "--role", "viewer" if project else role)
        options = ["--user", self.name, "--scope", scope]
        if project:
            running.strata("project", "grant", project, "--user", self.name, "--role", role)
            options += ["--project", project]
        made = running.strata("token", "create", *options, "-o", "json")
        self.token = json.loads(made.stdout)["token"]

    def call(self, method: str, path: str, **options) -> requests.Response:
        return requests.request(
            method,
            self.running.http + path,
            headers=self.running.bearer(self.token),
            timeout=30,
            **options,
        )

    def create(self, endpoint: str, reference: str) -> requests.Response:
        body = {"name": endpoint, "model": reference}
        return self.call("POST", "/api/v1/endpoints", json=body)

    def move(self, model: str, version: str) -> requests.Response:
        body = {"version": int(version)}
        return self.call("PUT", f"/api/v1/models/{model}/aliases/live", json=body)


@pytest.fixture(scope="module")
def served(make_served, table):
    """Two versions of a model and an endpoint that follows its alias, which names the first."""
    made = make_served("rights")
    log_two(made.log, table)
    made.point("1")
    made.create()
    return made


def log_two(log, table) -> None:
    from mlflow.models import infer_signature
    from serving_models import train

    frame = table[0].drop(columns=["origin"])
    for rounds in (2, 4):
        booster = train(frame, table[1], rounds)
        log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))


def fresh() -> str:
    return f"e-{uuid.uuid4().hex[:8]}"


def test_an_endpoint_needs_the_right_to_write_it_and_to_read_its_model(server, served):
    reference = f"models:/{served.registered}@live"
    for role, scope, lacks in (
        ("viewer", "all", "endpoint:write"),
        ("member", "model,endpoint:read", "endpoint:write"),
        ("member", "endpoint", "model:read"),
        ("member", "endpoint,tracking,lake,sql", "model:read"),
    ):
        name = fresh()
        refused = User(server, role, scope).create(name, reference)
        assert refused.status_code == 403 and lacks in refused.text, (scope, refused.text)
        assert served.get(f"/api/v1/endpoints/{name}").status_code == 404
    assert User(server, "member", "endpoint:write,model:read").create(fresh(), reference).ok


@pytest.mark.parametrize(
    ("role", "scope"),
    [("viewer", "all"), ("member", "endpoint,model:read"), ("member", "tracking,lake,endpoint")],
)
def test_who_may_not_write_models_cannot_move_what_an_endpoint_answers_with(
    server, served, role, scope
):
    user, model = User(server, role, scope), served.registered
    alias = {"name": model, "alias": "live", "version": "2"}
    version = {"name": model, "version": "1"}
    tried = [
        user.move(model, "2"),
        user.call("DELETE", f"/api/v1/models/{model}/aliases/live"),
        user.call("POST", f"{MLFLOW}/alias", json=alias),
        user.call("DELETE", f"{MLFLOW}/alias", json=alias),
        user.call("DELETE", "/api/2.0/mlflow/model-versions/delete", json=version),
        user.call("POST", f"{MLFLOW}/rename", json={"name": model, "new_name": f"{model}-x"}),
    ]
    assert [answer.status_code for answer in tried] == [403] * len(tried)
    assert served.get(f"/api/v1/models/{model}").json()["aliases"] == {"live": 1}
    assert served.show()["live"]["version"] == "1" and served.show()["state"] == "ready"


def test_no_reference_reaches_a_model_of_another_project(server, served):
    project = f"p{uuid.uuid4().hex[:8]}"
    server.strata("project", "create", project)
    stranger = User(server, project=project)
    (logged,) = {
        v["model_id"]
        for v in served.get(f"/api/v1/models/{served.registered}").json()["versions"]
        if v["version"] == 1
    }
    for reference in (
        f"models:/{served.registered}@live",
        f"models:/{served.registered}/1",
        f"models:/{logged}/1",
        f"models:/default/{served.registered}/1",
        f"models:/../default/{served.registered}@live",
    ):
        refused = stranger.create(fresh(), reference)
        assert refused.status_code in (400, 404), (reference, refused.text)
    # The same name is another model there, and moving its alias is nothing to this project.
    made = stranger.call("POST", f"{MLFLOW}/create", json={"name": served.registered})
    assert made.ok, made.text
    assert stranger.move(served.registered, "1").status_code == 404
    assert stranger.create(fresh(), f"models:/{served.registered}@live").status_code == 404
    assert served.show()["live"]["version"] == "1"


def test_an_endpoint_follows_no_files_that_are_not_frozen(server, served, mlflow_client, tmp_path):
    """What lies below a logged model may be changed by whoever may write artifacts."""
    versions = served.get(f"/api/v1/models/{served.registered}").json()["versions"]
    source = f"models:/{versions[0]['model_id']}"
    mlflow_client.artifacts.download_artifacts(source, dst_path=str(tmp_path / "1"))
    logged = mlflow_client.create_external_model(name="open").model_id
    mlflow_client.MlflowClient().log_model_artifacts(logged, str(tmp_path))
    refused = User(server).create(fresh(), f"models:/{logged}/1")
    assert refused.status_code == 400 and "register" in refused.text, refused.text


def test_following_is_the_servers_act_and_names_who_moved_the_alias(
    fresh_server, other_mlflow, table, until
):
    running = fresh_server
    owner, mover = User(running), User(running)
    experiment = other_mlflow.create_experiment("moves")

    def log(flavor, model, **options):
        with other_mlflow.start_run(experiment_id=experiment):
            getattr(other_mlflow, flavor).log_model(
                model, name="model", registered_model_name="m", **options
            )

    log_two(log, table)
    assert owner.move("m", "1").ok and owner.create("e", "models:/m@live").ok
    assert owner.create("pinned", "models:/m/1").ok

    def live(endpoint: str = "e") -> dict:
        shown = mover.call("GET", f"/api/v1/endpoints/{endpoint}").json()
        return shown["live"] or {} if shown["state"] == "ready" else {}

    until(lambda: live().get("version") == "1" and live("pinned"))
    assert live()["moved_by"] == owner.name and live("pinned")["moved_by"] is None
    running.strata("user", "disable", owner.name)
    assert mover.move("m", "2").ok
    until(lambda: live().get("version") == "2")
    answer = mover.call("POST", "/endpoints/e/invocations", json={"dataframe_records": [ROW]})
    prediction = answer.headers["Strata-Prediction-Id"]

    def check() -> None:
        assert live()["moved_by"] == mover.name and live()["deployment"] == 2
        shown = running.strata("why", prediction, "-o", "json").stdout
        (node,) = [n for n in json.loads(shown)["nodes"] if n["ref"] == "endpoint:e@2"]
        assert node["owner"] == owner.name and node["facts"]["moved_by"] == mover.name
        assert f"alias moved by {mover.name}" in running.strata("why", prediction).stdout

    check()
    audit = json.loads(running.strata("audit", "-o", "json").stdout)["entries"]
    told = [(e["actor"], e["action"]) for e in audit if e["action"] == "alias.move"]
    assert told == [(mover.name, "alias.move"), (owner.name, "alias.move")]
    told = [
        (e["actor"], e["detail"]["version"], e["detail"]["moved_by"])
        for e in audit
        if e["action"] == "endpoint.deploy" and e["target"] == "endpoint:e"
    ]
    assert told == [("system", "2", mover.name), ("system", "1", owner.name)]
    running.kill()
    running.start()
    until(lambda: live().get("version") == "2")
    check()
