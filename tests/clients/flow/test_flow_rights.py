"""With whose rights the steps of a pipeline act: never with more than those who are behind them."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid

import boto3
import pytest
from waits import pause

# Prints what its credentials may do, and the status of some questions.
ASKS = """import json, os, urllib.error, urllib.request
for path in {paths!r}:
    request = urllib.request.Request(os.environ["STRATA_URL"] + path)
    request.add_header("Authorization", "Bearer " + os.environ["STRATA_TOKEN"])
    try:
        answer = json.loads(urllib.request.urlopen(request).read())
        status = 200
    except urllib.error.HTTPError as refused:
        status, answer = refused.code, {{}}
    print(json.dumps([path, status, answer if path == "/api/v1/me" else None]), flush=True)
"""
PATHS = [
    "/api/v1/me",
    "/api/v1/lake/buckets",
    "/api/v1/models",
    "/api/2.0/mlflow/experiments/search?max_results=5",
    "/api/v1/endpoints",
    "/api/v1/nodes",
]


def spec_of(name: str, bucket: str = "", before: str = "") -> dict:
    program = before + ASKS.format(paths=PATHS)
    spec: dict = {"name": name, "steps": {"ask": {"command": ["python3", "-c", program]}}}
    if bucket:
        spec["triggers"] = [{"event": "object.created", "bucket": bucket}]
    return spec


def new_user(server, role: str = "member", scope: str = "all") -> tuple[str, str]:
    """A user's name and its token."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    server.strata("user", "create", name, "--role", role)
    return name, new_token(server, name, scope)


def new_token(server, name: str, scope: str) -> str:
    made = server.strata("token", "create", "--user", name, "--scope", scope, "-o", "json")
    return json.loads(made.stdout)["token"]


def runs_of(flows, name: str, count: int) -> list[dict]:
    """The runs of a pipeline, newest first, once there are so many."""
    deadline = time.monotonic() + 30
    while len(runs := flows.call("GET", f"/api/v1/flow-runs?flow={name}")["runs"]) < count:
        assert time.monotonic() < deadline, runs
        pause(0.02)
    assert len(runs) == count
    return runs


def failure_of(flows, name: str) -> dict:
    deadline = time.monotonic() + 30
    while not (failure := flows.call("GET", f"/api/v1/flows/{name}")["trigger_failure"]):
        assert time.monotonic() < deadline
        pause(0.02)
    return failure


def told(flows, run: dict) -> tuple[dict, dict]:
    """What /api/v1/me said to the run's step, and each path's status."""
    done = flows.wait(run)
    log = flows.logs(run, "?step=ask")
    assert done["state"] == "succeeded", log
    lines = [json.loads(line) for line in log.splitlines()]
    return lines[0][2], {path: status for path, status, _ in lines}


@pytest.fixture
def bucket(client_env):
    name = f"rights-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def test_a_trigger_acts_for_whoever_applied_the_current_version(flows, bucket):
    name = f"f-{uuid.uuid4().hex[:8]}"
    flows.call("PUT", f"/api/v1/flows/{name}", spec_of(name))
    mara, token = new_user(flows.server)
    applied = flows.call("PUT", f"/api/v1/flows/{name}", spec_of(name, bucket), token=token)
    assert applied["owner"] == "admin" and applied["applied_by"] == mara
    boto3.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    (run,) = runs_of(flows, name, 1)
    me, _ = told(flows, run)
    assert run["user"] == me["user"] == mara

    # Nothing runs for her once she is disabled, until somebody else answers for the same text.
    flows.server.strata("user", "disable", mara)
    boto3.client("s3").put_object(Bucket=bucket, Key="b", Body=b"1")
    assert mara in failure_of(flows, name)["error"]
    again = flows.call("PUT", f"/api/v1/flows/{name}", spec_of(name, bucket))
    assert again["version"] == applied["version"] and again["applied_by"] == "admin"
    boto3.client("s3").put_object(Bucket=bucket, Key="c", Body=b"1")
    assert [run["user"] for run in runs_of(flows, name, 2)] == ["admin", mara]


def test_who_goes_back_to_an_earlier_version_answers_for_it(flows, bucket):
    name = f"f-{uuid.uuid4().hex[:8]}"
    first = flows.call("PUT", f"/api/v1/flows/{name}", spec_of(name, bucket))
    flows.call("PUT", f"/api/v1/flows/{name}", spec_of(name))
    mara, token = new_user(flows.server)
    back = flows.call("PUT", f"/api/v1/flows/{name}", spec_of(name, bucket), token=token)
    assert back["version"] == first["version"]
    boto3.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    assert [run["user"] for run in runs_of(flows, name, 1)] == [mara]


def test_a_trigger_starts_nothing_for_who_may_not_start_runs_any_more(flows, client_env):
    server = flows.server
    project = f"p-{uuid.uuid4().hex[:8]}"
    name, _ = new_user(server, "viewer")
    server.strata("project", "create", project)
    server.strata("project", "grant", project, "--user", name, "--role", "member")
    made = server.strata("token", "create", "--user", name, "--project", project, "-o", "json")
    mine = json.loads(made.stdout)
    s3 = boto3.client(
        "s3",
        endpoint_url=server.s3,
        aws_access_key_id=mine["access_key_id"],
        aws_secret_access_key=mine["secret_access_key"],
    )
    s3.create_bucket(Bucket=project)
    flows.call("PUT", "/api/v1/flows/f", spec_of("f", project), token=mine["token"])
    server.strata("project", "grant", project, "--user", name, "--role", "viewer")
    admin = server.strata("token", "create", "--user", "admin", "--project", project, "-o", "json")
    admins = json.loads(admin.stdout)
    boto3.client(
        "s3",
        endpoint_url=server.s3,
        aws_access_key_id=admins["access_key_id"],
        aws_secret_access_key=admins["secret_access_key"],
    ).put_object(Bucket=project, Key="a", Body=b"1")
    deadline = time.monotonic() + 30
    flow: dict = {}
    while not flow.get("trigger_failure"):
        assert time.monotonic() < deadline
        flow = flows.call("GET", "/api/v1/flows/f", token=admins["token"])
    assert name in flow["trigger_failure"]["error"]
    assert flows.call("GET", "/api/v1/flow-runs", token=admins["token"])["runs"] == []


SCOPE = "flow:read,flow:write,lake:read"


def check_narrow(me: dict, statuses: dict) -> None:
    assert set(me["permissions"]) == {"public", "signed-in", *SCOPE.split(",")}
    assert statuses["/api/v1/lake/buckets"] == 200
    assert {s for path, s in statuses.items() if path not in PATHS[:2]} == {403}, statuses


def test_a_step_goes_no_further_than_the_token_that_started_its_run(flows):
    name = f"f-{uuid.uuid4().hex[:8]}"
    # Whoever applied it.
    flows.call("PUT", f"/api/v1/flows/{name}", spec_of(name))
    token = new_token(flows.server, "admin", SCOPE)
    run = flows.call("POST", f"/api/v1/flows/{name}/runs", {}, token=token)
    check_narrow(*told(flows, run))
    whole, statuses = told(flows, flows.start(name))
    assert "model:read" in whole["permissions"] and "admin" not in whole["permissions"]
    assert set(statuses.values()) == {200}


def test_a_trigger_goes_no_further_than_the_token_that_applied_the_version(flows, bucket):
    name = f"f-{uuid.uuid4().hex[:8]}"
    flows.call("PUT", f"/api/v1/flows/{name}", spec_of(name, bucket))
    token = new_token(flows.server, "admin", SCOPE)
    flows.call("PUT", f"/api/v1/flows/{name}", spec_of(name, bucket), token=token)
    boto3.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    (run,) = runs_of(flows, name, 1)
    check_narrow(*told(flows, run))


def test_a_step_that_starts_a_run_hands_on_no_more_than_it_has(flows):
    inner, outer = (f"f-{uuid.uuid4().hex[:8]}" for _ in range(2))
    flows.call("PUT", f"/api/v1/flows/{inner}", spec_of(inner))
    flows.call(
        "PUT",
        f"/api/v1/flows/{outer}",
        {"name": outer, "steps": {"a": {"command": ["strata", "flow", "run", inner]}}},
    )
    token = new_token(flows.server, "admin", SCOPE)
    run = flows.call("POST", f"/api/v1/flows/{outer}/runs", {}, token=token)
    assert flows.wait(run)["state"] == "succeeded"
    check_narrow(*told(flows, runs_of(flows, inner, 1)[0]))


def test_outputs_and_logs_need_no_right_of_the_step(flows):
    name = f"f-{uuid.uuid4().hex[:8]}"
    steps = {
        "a": {"command": "echo said; echo x > $STRATA_OUTPUTS/f", "outputs": ["f"]},
        "b": {"command": "cat $STRATA_INPUTS/a/f", "needs": ["a"]},
    }
    flows.call("PUT", f"/api/v1/flows/{name}", {"name": name, "steps": steps})
    token = new_token(flows.server, "admin", "flow:write")
    run = flows.call("POST", f"/api/v1/flows/{name}/runs", {}, token=token)
    assert flows.wait(run)["state"] == "succeeded"
    assert (flows.logs(run, "?step=a"), flows.logs(run, "?step=b")) == ("said\n", "x\n")


def test_the_rights_of_a_step_outlive_a_killed_server_unchanged(fresh_flows, tmp_path):
    server = fresh_flows.server
    # The server comes back at another address: the step takes it from where it stands.
    before = (
        f"import os, time, json\nopen({str(tmp_path / 'begun')!r}, 'w').close()\n"
        f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.02)\n"
        f"os.environ['STRATA_URL'] = open({str(tmp_path / 'go')!r}).read()\n"
    )
    fresh_flows.call("PUT", "/api/v1/flows/f", spec_of("f", before=before))
    token = new_token(server, "admin", SCOPE)
    run = fresh_flows.call("POST", "/api/v1/flows/f/runs", {}, token=token)
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline
        pause(0.02)
    server.kill()
    server.start()
    (tmp_path / "new").write_text(server.http)
    (tmp_path / "new").rename(tmp_path / "go")
    check_narrow(*told(fresh_flows, run))


def test_pipelines_and_runs_of_an_older_data_directory_go_on(fresh_flows):
    """What was stored before it was kept who applied a version, and with which scope."""
    server = fresh_flows.server
    client = boto3.client(
        "s3",
        endpoint_url=server.s3,
        aws_access_key_id=server.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.env["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket="old")
    fresh_flows.call("PUT", "/api/v1/flows/f", spec_of("f"))
    mara, token = new_user(server, scope="flow,lake")
    fresh_flows.call("PUT", "/api/v1/flows/f", spec_of("f", "old"), token=token)
    fresh_flows.wait(fresh_flows.start("f"))
    assert server.stop() == 0
    records = sqlite3.connect(server.data / "records.db")
    with records:
        for table, column in [("flows", "applied_by"), ("flows", "scope"), ("flow_runs", "scope")]:
            records.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        records.execute("DELETE FROM schema_journal WHERE room = 'workflow' AND version = 3")
    records.close()
    server.start()
    flow = fresh_flows.call("GET", "/api/v1/flows/f")
    assert (flow["owner"], flow["applied_by"]) == ("admin", mara)
    assert len(fresh_flows.call("GET", "/api/v1/flow-runs?flow=f")["runs"]) == 1
    boto3.client(
        "s3",
        endpoint_url=server.s3,
        aws_access_key_id=server.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.env["AWS_SECRET_ACCESS_KEY"],
    ).put_object(Bucket="old", Key="a", Body=b"1")
    newest = runs_of(fresh_flows, "f", 2)[0]
    me, statuses = told(fresh_flows, newest)
    assert me["user"] == mara and set(statuses.values()) == {200}
