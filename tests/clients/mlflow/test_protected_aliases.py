"""Aliases that move only with a second person, asked by the stock client, the API and the CLI."""

import concurrent.futures
import json
import time

import lightgbm
import numpy
import pytest
import requests
from mlflow.exceptions import MlflowException


class People:
    """Users of one server, each with tokens of their own."""

    def __init__(self, server, prefix: str) -> None:
        self.server, self.prefix = server, prefix

    def name(self, who: str) -> str:
        return f"{self.prefix}-{who}"

    def add(self, who: str, *options: str) -> str:
        self.server.strata("user", "create", self.name(who), *options)
        return self.token(who)

    def token(self, who: str, *options: str) -> str:
        made = self.server.strata(
            "token", "create", "--user", self.name(who), "-o", "json", *options
        )
        return json.loads(made.stdout)["token"]

    def call(self, token: str, method: str, path: str, body=None, **params):
        return requests.request(
            method,
            self.server.http + "/api/v1" + path,
            headers=self.server.bearer(token),
            json=body,
            params=params,
            timeout=30,
        )

    def waiting(self, token: str, model: str) -> list[dict]:
        found = self.call(token, "GET", "/alias-requests", model=model, state="waiting")
        return found.json()["requests"]

    def approve(self, token: str, request: int, how: str = "approve"):
        return self.call(token, "POST", f"/alias-requests/{request}/{how}", {"reason": "looked"})

    def history(self, token: str, model: str) -> list[dict]:
        return self.call(token, "GET", f"/models/{model}").json()["alias_history"]


@pytest.fixture
def people(server, name):
    return People(server, name)


@pytest.fixture
def ada(people):
    return people.add("ada")


@pytest.fixture
def ben(people):
    return people.add("ben")


@pytest.fixture
def model(client, people, name, ada, ben):
    """Three versions; 'champion' names the first and is protected."""
    client.create_registered_model(name)
    for _ in range(3):
        client.create_model_version(name, "s3://b/m")
    client.set_registered_model_alias(name, "champion", "1")
    people.server.strata("model", "protect", name, "champion")
    return name


def as_user(mlflow, monkeypatch, token):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
    return mlflow.MlflowClient()


def ask(people, token, model, version, alias="champion", **more) -> int:
    """Asks for a move; the request's id."""
    path = f"/models/{model}/aliases/{alias}"
    answer = people.call(token, "PUT", path, {"version": version, **more})
    assert answer.status_code == 409, answer.text
    return next(
        r["id"] for r in people.waiting(token, model) if r["to"] == version and r["alias"] == alias
    )


def test_a_move_over_every_door_is_one_request_and_moves_nothing(
    mlflow, monkeypatch, people, model, ada
):
    client = as_user(mlflow, monkeypatch, ada)
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(MlflowException) as told:
            client.set_registered_model_alias(model, "champion", "2")
        assert told.value.get_http_status_code() == 409
        assert told.value.error_code == "RESOURCE_CONFLICT"
    assert time.monotonic() - started < 10, "a client that retries would take longer"
    [request] = people.waiting(ada, model)
    assert f"request {request['id']} " in told.value.message
    assert "strata model approve" in told.value.message
    assert (request["from"], request["to"], request["action"]) == (1, 2, "move")
    assert request["requested_by"] == people.name("ada")
    assert ask(people, ada, model, 2) == request["id"]
    by_cli = people.server.strata("model", "alias", model, "champion", "2", check=False)
    assert by_cli.returncode == 5 and "waits for approval" in by_cli.stderr
    with pytest.raises(MlflowException):
        client.delete_registered_model_alias(model, "champion")
    assert {r["action"] for r in people.waiting(ada, model)} == {"move", "delete"}
    assert str(client.get_model_version_by_alias(model, "champion").version) == "1"
    client.set_registered_model_alias(model, "champion", "1")  # names it already
    client.set_registered_model_alias(model, "free", "2")  # another alias


def test_a_second_person_lets_it_move_and_all_records_say_who(people, model, ada, ben):
    request = ask(people, ada, model, 2)
    done = people.approve(ben, request)
    assert done.status_code == 200, done.text
    assert done.json()["state"] == "approved" and done.json()["reason"] == "looked"
    newest = people.history(ben, model)[0]
    both = (people.name("ada"), people.name("ben"))
    assert (newest["actor"], newest["approved_by"]) == both
    assert (newest["from"], newest["to"], newest["request"]) == (1, 2, request)
    told = people.server.strata("audit", "--target", f"model:{model}", "-o", "json")
    entries = json.loads(told.stdout)["entries"]
    by = {e["action"]: e["actor"] for e in entries[:3]}
    assert by == {"alias.request": both[0], "alias.move": both[1], "alias.approve": both[1]}
    moved = next(e for e in entries if e["action"] == "alias.move")["detail"]
    assert (moved["requested_by"], moved["approved_by"]) == both
    events = people.call(ben, "GET", "/events", subject=f"model:{model}").json()["events"]
    types = [e["type"] for e in events if e["type"].startswith("alias.")]
    assert types[:3] == ["alias.approved", "alias.moved", "alias.requested"]
    report = people.call(ben, "GET", f"/models/{model}/explain", subject="@champion").json()
    owner = next(q for q in report["questions"] if q["question"] == "owner")
    evidence = {e["code"]: e["text"] for e in owner["evidence"]}
    assert both[0] in evidence["owner.moved_by"] and both[1] in evidence["owner.approved_by"]
    again = people.approve(ben, request)
    assert again.status_code == 409


def test_who_asked_never_approves_whatever_token_is_used(people, model, ada, ben):
    request = ask(people, ada, model, 2)
    narrow = people.token("ada", "--scope", "model:read,model:write")
    own = people.call(ada, "POST", "/tokens", {"scope": "all"}).json()["token"]
    for token in (ada, narrow, own):
        refused = people.approve(token, request)
        assert refused.status_code == 403, refused.text
    admin = people.server.env["STRATA_TOKEN"]
    by_admin = ask(people, admin, model, 3)
    assert people.approve(admin, by_admin).status_code == 403
    assert people.approve(admin, request).status_code == 200, "of another it is a second person"


def test_who_may_not_approve_or_no_longer_may_is_refused(people, model, ada, ben):
    request = ask(people, ada, model, 2)
    assert people.approve(people.add("vic", "--role", "viewer"), request).status_code == 403
    reader = people.token("ben", "--scope", "model:read")
    assert people.approve(reader, request).status_code == 403
    people.server.strata("user", "disable", people.name("ben"))
    assert people.approve(ben, request).status_code in (401, 403)
    people.server.strata("user", "enable", people.name("ben"))
    people.server.strata("user", "disable", people.name("ada"))
    outdated = people.approve(ben, request)
    assert outdated.status_code == 409 and people.name("ada") in outdated.text
    assert people.history(ben, model)[0]["to"] == 1


def test_only_the_named_approvers_count_as_they_are_at_that_time(people, model, ada, ben, name):
    team, cleo = f"risk-{name}", people.add("cleo")
    people.server.strata("team", "create", team)
    people.server.strata("team", "add", team, people.name("ben"))
    people.server.strata("model", "protect", model, "gate", "--approvers", team)
    request = ask(people, ada, model, 2, alias="gate")
    assert people.approve(cleo, request).status_code == 403
    people.server.strata("team", "remove", team, people.name("ben"))
    assert people.approve(ben, request).status_code == 403
    people.server.strata("team", "add", team, people.name("cleo"))
    assert people.approve(cleo, request).status_code == 200
    for wrong in ("nobody-" + name, "user:" + team):
        refused = people.server.strata(
            "model", "protect", model, "x", "--approvers", wrong, check=False
        )
        assert refused.returncode == 2 and "approvers" in refused.stderr


def test_a_request_dies_when_the_alias_moved_or_the_version_went(people, client, model, ada, ben):
    first, second = ask(people, ada, model, 2), ask(people, ada, model, 3)
    assert people.approve(ben, second).status_code == 200
    late = people.approve(ben, first)
    assert late.status_code == 409 and "outdated" in late.text
    third = ask(people, ada, model, 2)
    client.delete_model_version(model, "2")
    gone = people.approve(ben, third)
    assert gone.status_code == 409 and "deleted" in gone.text
    states = people.call(ben, "GET", "/alias-requests", model=model).json()["requests"]
    assert {r["id"]: r["state"] for r in states} == {
        first: "outdated",
        second: "approved",
        third: "outdated",
    }
    assert people.history(ben, model)[0]["to"] == 3


def test_of_many_who_decide_at_once_one_does(people, model, ada, ben):
    request = ask(people, ada, model, 2)
    tokens = [ben, people.add("cleo"), people.server.env["STRATA_TOKEN"]] * 4
    hows = ["approve", "refuse"] * 6
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda t, h: people.approve(t, request, h), tokens, hows))
    assert sorted(a.status_code for a in answers) == [200] + [409] * 11
    [decided] = [a.json()["state"] for a in answers if a.status_code == 200]
    moves = [m for m in people.history(ben, model) if m["to"] == 2]
    assert len(moves) == (1 if decided == "approved" else 0)


def test_a_request_is_refused_or_taken_back(people, model, ada, ben):
    request = ask(people, ada, model, 2)
    refused = people.server.strata(
        "model", "refuse", model, "champion", "--reason", "not yet", "-o", "json"
    )
    [row] = json.loads(refused.stdout)["requests"]
    assert (row["id"], row["state"], row["reason"]) == (request, "refused", "not yet")
    own = ask(people, ada, model, 3)
    assert own != request
    assert people.approve(ada, own, "refuse").json()["state"] == "refused"
    assert people.waiting(ada, model) == []
    assert people.server.strata("model", "approve", model, "champion", check=False).returncode == 3


def test_a_protection_changes_and_ends_by_a_second_person_only(people, model, ada, ben):
    path = f"/models/{model}/aliases/champion/protection"
    weaker = people.call(ada, "PUT", path, {"approvers": [people.name("ada")]})
    assert weaker.status_code == 409
    ended = people.call(ada, "DELETE", path)
    assert ended.status_code == 409

    def listed():
        return people.call(ada, "GET", f"/models/{model}/protections").json()

    assert listed()["protections"][0]["approvers"] == []
    waiting = {r["action"]: r["id"] for r in people.waiting(ada, model)}
    assert people.approve(ada, waiting["unprotect"]).status_code == 403
    assert people.approve(ben, waiting["protect"]).status_code == 200
    assert listed()["protections"][0]["approvers"] == ["user:" + people.name("ada")]
    assert people.approve(ben, waiting["unprotect"]).status_code == 409, "of another protection"
    assert people.call(ben, "DELETE", path).status_code == 409
    [last] = people.waiting(ada, model)
    assert people.approve(ada, last["id"]).status_code == 200
    assert listed()["protections"] == []
    moved = people.call(ada, "PUT", f"/models/{model}/aliases/champion", {"version": 3})
    assert moved.status_code == 200
    assert people.call(ada, "DELETE", path).status_code == 200, "nothing to end"


def test_no_way_around_leads_by_deleting_or_renaming(mlflow, client, people, model):
    for way in (
        lambda: client.delete_model_version(model, "1"),
        lambda: client.delete_registered_model(model),
        lambda: client.rename_registered_model(model, model + "-other"),
    ):
        with pytest.raises(MlflowException) as refused:
            way()
        assert refused.value.get_http_status_code() == 409
        assert "champion" in refused.value.message
    assert str(client.get_model_version_by_alias(model, "champion").version) == "1"


def test_a_step_of_a_pipeline_approves_nothing(people, model, ada, ben, tmp_path):
    request = ask(people, ada, model, 2)
    url = f"$STRATA_URL/api/v1/alias-requests/{request}/approve"
    flow = tmp_path / "flow.yaml"
    flow.write_text(
        f"name: {model}\nsteps:\n  a:\n    command: >-\n"
        f"      curl -s -o $STRATA_OUTPUTS/said -w '%{{http_code}}' -X POST -d '{{}}'\n"
        f"      -H \"Authorization: Bearer $STRATA_TOKEN\" -H 'Content-Type: application/json'\n"
        f"      {url} | grep 403\n    outputs: [said]\n"
    )
    people.server.strata("flow", "apply", str(flow))
    run = people.server.strata("flow", "run", model, "--wait", "-o", "json", check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert [r["id"] for r in people.waiting(ada, model)] == [request]


def log_sound_version(mlflow, model: str) -> int:
    """A version of which nothing is bad: with files and a signature."""
    mlflow.set_experiment(model)
    rows = numpy.random.default_rng(1).random((60, 2))
    data = lightgbm.Dataset(rows, rows[:, 0])
    booster = lightgbm.train({"verbose": -1, "min_data_in_leaf": 2}, data, 2)
    with mlflow.start_run():
        info = mlflow.lightgbm.log_model(
            booster,
            name="model",
            signature=mlflow.models.infer_signature(rows, rows[:, 0]),
            pip_requirements=["lightgbm==4.6.0"],
            registered_model_name=model,
        )
    return int(info.registered_model_version)


def test_bad_questions_stop_a_promotion_until_mended_or_overridden(mlflow, people, model, ada, ben):
    """The model's owner is disabled: the first question is bad, whatever the version."""
    first, second = (log_sound_version(mlflow, model) for _ in range(2))
    owner = people.name("own")
    people.add("own")
    people.server.strata("model", "owner", model, owner)
    people.server.strata("model", "protect", model, "gold", "--require", "questions")
    people.server.strata("user", "disable", owner)
    path = f"/models/{model}/aliases/gold"
    refused = people.call(ada, "PUT", path, {"version": first})
    assert refused.status_code == 409
    for part in ("owner is bad", owner, "owner.disabled", "--override", "strata model explain"):
        assert part in refused.text
    assert people.waiting(ada, model) == [], "a refusal asks for nothing"
    blank = people.call(ada, "PUT", path, {"version": first, "override": "  "})
    assert blank.status_code == 409 and people.waiting(ada, model) == []
    # Mended while it waits.
    people.server.strata("user", "enable", owner)
    good = ask(people, ada, model, first, alias="gold")
    people.server.strata("user", "disable", owner)
    again = people.approve(ben, good)
    assert again.status_code == 409 and "owner.disabled" in again.text
    people.server.strata("user", "enable", owner)
    assert people.approve(ben, good).status_code == 200
    # Overridden.
    people.server.strata("user", "disable", owner)
    told = people.server.strata(
        *("model", "alias", model, "gold", str(second), "--override", "she moved on today"),
        check=False,
    )
    assert told.returncode == 5 and "waits for approval" in told.stderr
    [request] = people.waiting(ada, model)
    assert request["override"]["reason"] == "she moved on today"
    assert people.approve(ben, request["id"]).status_code == 200
    people.server.strata("user", "enable", owner)
    newest = people.history(ben, model)[0]
    assert newest["override"]["reason"] == "she moved on today"
    [question] = newest["override"]["questions"]
    assert (question["question"], question["verdict"]) == ("owner", "bad")
    report = people.call(ben, "GET", f"/models/{model}/explain", subject="@gold").json()
    evidence = [e for q in report["questions"] for e in q["evidence"]]
    assert any(e["code"] == "owner.overridden" and e["verdict"] == "warning" for e in evidence)


def test_a_request_waits_across_a_restart(fresh_server):
    fresh_server.start()
    people = People(fresh_server, "r")
    ada, ben = people.add("ada"), people.add("ben")
    mlflow_api = fresh_server.http + "/api/2.0/mlflow"
    for path, body in (
        ("registered-models/create", {"name": "m"}),
        ("model-versions/create", {"name": "m", "source": "s3://b/m"}),
    ):
        made = requests.post(f"{mlflow_api}/{path}", headers=people.server.bearer(), json=body)
        assert made.status_code == 200
    fresh_server.strata("model", "protect", "m", "live")
    request = ask(people, ada, "m", 1, alias="live")
    fresh_server.kill()
    fresh_server.start()
    assert people.approve(ben, request).status_code == 200
    assert people.history(ben, "m")[0]["approved_by"] == "r-ben"
