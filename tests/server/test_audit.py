"""The audit log holds an entry exactly if the change happened, and says where and to whom."""

import json
import uuid

import botocore.exceptions
import mlflow
import pytest
import requests
from s3_client import client_for


@pytest.fixture
def name():
    return f"a{uuid.uuid4().hex[:8]}"


def entries(server, *arguments):
    out = server.strata("audit", *arguments, "-o", "json").stdout
    return json.loads(out)["entries"]


def actions(server, target):
    return [
        entry["action"]
        for entry in reversed(entries(server, "--target", target, "--limit", "1000"))
    ]


def test_what_is_asked_twice_and_done_once_has_one_entry(server, name):
    def twice(*arguments):
        for _ in range(2):
            server.strata(*arguments)

    server.strata("user", "create", name)
    server.strata("project", "create", name)
    server.strata("team", "create", name)
    twice("project", "grant", name, "--user", name, "--role", "viewer")
    twice("project", "grant", name, "--user", name, "--role", "member")
    twice("team", "add", name, name)
    twice("user", "disable", name)
    twice("user", "enable", name)
    token = json.loads(server.strata("token", "create", "--user", name, "-o", "json").stdout)
    twice("token", "revoke", token["id"])
    assert actions(server, f"project:{name}") == [
        "project.create",
        "project.grant",
        "project.grant",
    ]
    assert actions(server, f"team:{name}")[-1:] == ["team.add"]
    assert actions(server, f"team:{name}").count("team.add") == 1
    assert actions(server, f"user:{name}") == ["user.create", "user.disable", "user.enable"]
    assert actions(server, f"token:{token['id']}") == ["token.create", "token.revoke"]


def test_what_is_there_or_gone_already_leaves_no_entry_and_no_event(server, client_env, name):
    """Asked twice of the lake and of the model store, as their stock clients do."""
    s3 = client_for(server)
    client = mlflow.MlflowClient()
    client.create_registered_model(name)
    client.create_model_version(name, "s3://elsewhere/model")

    def twice(call, *arguments, **options):
        for _ in range(2):
            try:
                call(*arguments, **options)
            except botocore.exceptions.ClientError as refused:
                code = refused.response["Error"]["Code"]
                assert code in ("BucketAlreadyOwnedByYou", "NoSuchBucket"), refused

    def events(subject):
        answer = requests.get(
            f"{server.http}/api/v1/events?subject={subject}&limit=500",
            headers=server.bearer(),
            timeout=30,
        )
        return [event["type"] for event in reversed(answer.json()["events"])]

    twice(s3.create_bucket, Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"a")
    twice(s3.delete_object, Bucket=name, Key="a")
    twice(s3.delete_bucket, Bucket=name)
    assert actions(server, f"bucket:{name}") == ["bucket.create", "bucket.delete"]
    assert events(f"lake:{name}/a") == ["object.created", "object.removed"]
    twice(client.set_registered_model_alias, name, "live", "1")
    twice(client.delete_registered_model_alias, name, "live")
    assert actions(server, f"model:{name}") == [
        "model.create",
        "model.register",
        "alias.move",
        "alias.move",
    ]
    assert events(f"model:{name}").count("alias.moved") == 2


def test_a_pipeline_applied_and_run_twice_has_one_entry_for_each(server, name, tmp_path):
    flow = tmp_path / "flow.yaml"
    flow.write_text(
        f"name: {name}\nparameters: {{n: 1}}\nsteps:\n  a: {{command: [sleep, '1000']}}\n"
    )
    server.strata("flow", "apply", str(flow))
    server.strata("flow", "apply", str(flow))
    run = ["flow", "run", name, "--idempotency-key", "k", "-o", "json"]
    first, second = (json.loads(server.strata(*run).stdout)["id"] for _ in range(2))
    assert first == second
    server.strata("flow", "cancel", first)
    server.strata("flow", "cancel", first, check=False)  # refused once the run has ended
    assert actions(server, f"flow:{name}") == ["flow.apply", "flow.run"]
    assert actions(server, f"flow_run:{first}") == ["flow_run.cancel"]


def test_a_key_of_another_run_is_refused(server, name, tmp_path):
    flow = tmp_path / "flow.yaml"
    flow.write_text(f"name: {name}\nparameters: {{n: 1}}\nsteps:\n  a: {{command: ['true']}}\n")
    server.strata("flow", "apply", str(flow))
    run = ["flow", "run", name, "--idempotency-key", "k", "-o", "json"]
    first = json.loads(server.strata(*run).stdout)["id"]
    assert json.loads(server.strata(*run, "--param", "n=1").stdout)["id"] == first
    other = server.strata(*run, "--param", "n=2", check=False)
    assert other.returncode != 0
    assert first in other.stderr and '"n":1' in other.stderr and '"n":2' in other.stderr


def test_runs_of_mlflow_leave_one_entry_for_a_change(server, client_env, name):
    client = mlflow.MlflowClient()
    run = client.create_run("0").info.run_id
    for _ in range(2):
        client.delete_run(run)
    for _ in range(2):
        client.restore_run(run)
    assert actions(server, f"run:{run}") == ["run.delete", "run.restore"]


def test_an_entry_names_its_project_and_a_token_its_owner(server, name, tmp_path):
    server.strata("user", "create", name)
    server.strata("project", "create", name)
    server.strata("project", "grant", name, "--user", name, "--role", "member")
    token = json.loads(
        server.strata(
            *("token", "create", "--user", name, "--project", name),
            *("--scope", "lake:read", "--expires", "1h", "-o", "json"),
        ).stdout
    )
    [made] = entries(server, "--target", f"token:{token['id']}")
    assert made["detail"] == {
        "user": name,
        "scope": "lake:read",
        "project": name,
        "expires": token["expires"],
    }
    assert made["project"] == name
    flow = tmp_path / "flow.yaml"
    flow.write_text(f"name: {name}\nsteps:\n  a: {{command: ['true']}}\n")
    server.strata("flow", "apply", str(flow), "--project", name)
    seen = entries(server, "--in", name)
    assert {e["project"] for e in seen if e["project"]} == {name}
    assert seen[0]["action"] == "flow.apply"
    by = entries(server, "--actor", "admin", "--action", "token.create", "--limit", "1")
    assert len(by) == 1 and by[0]["action"] == "token.create"
