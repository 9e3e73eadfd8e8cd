"""Pipelines over the HTTP API: what runs, what is passed on, what is refused."""

from __future__ import annotations

import http.client
import io
import json
import re
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
import uuid

import boto3
import pytest
from waits import pause

TWO_STEPS = """name: {name}
parameters:
  word: hello
  count: {{type: integer, default: 2}}
steps:
  write:
    command: [sh, -c, 'echo "$0" > $STRATA_OUTPUTS/out.txt; echo wrote', "${{params.word}}"]
    outputs: [out.txt]
  read:
    needs: [write]
    command: cat $STRATA_INPUTS/write/out.txt; echo "count=$STRATA_PARAM_count run=$STRATA_RUN_ID"
"""


def test_outputs_reach_the_next_step_and_logs_and_usage_are_kept(flows):
    run = flows.run(TWO_STEPS.format(name="two"), {"word": "good day"})
    done = flows.wait(run)
    assert done["state"] == "succeeded", done
    assert done["params"] == {"word": "good day", "count": 2}
    write = flows.step(done, "write")
    assert write["outputs"][0]["size"] == len("good day\n")
    assert write["outputs"][0]["digest"].startswith("sha256:")
    assert (
        flows.call("GET", f"/api/v1/flow-runs/{run['id']}/artifacts/write/out.txt", raw=True)
        == b"good day\n"
    )
    assert flows.logs(run, "?step=read") == f"good day\ncount=2 run={run['id']}\n"
    assert "==> write" in flows.logs(run)
    usage = write["attempts"][0]["usage"]
    assert usage["wall_seconds"] > 0 and usage["max_rss_bytes"] > 0
    assert done["usage"]["wall_seconds"] >= usage["wall_seconds"]


def test_versions_are_pinned_and_an_unchanged_pipeline_keeps_its_own(flows):
    first = flows.apply("name: pinned\nsteps:\n  a: {command: echo one}\n")
    again = flows.apply("name: pinned\nsteps: {a: {command: 'echo one', needs: []}}\n")
    assert again["version"] == first["version"] and again["number"] == 1
    run = flows.start("pinned")
    second = flows.apply("name: pinned\nsteps:\n  a: {command: echo two}\n")
    assert second["number"] == 2
    assert flows.wait(run)["version"] == first["version"]
    assert flows.logs(run, "?step=a") == "one\n"
    described = flows.call("GET", "/api/v1/flows/pinned")
    assert [v["number"] for v in described["versions"]] == [2, 1]


def test_a_failing_step_fails_the_run_with_its_true_exit_code(flows):
    run = flows.run(
        "name: failing\nsteps:\n  a: {command: 'echo oops; exit 7'}\n"
        "  b: {command: 'true', needs: [a]}\n"
        "  c: {command: 'kill -9 $$'}\n"
    )
    done = flows.wait(run)
    assert done["state"] == "failed"
    assert flows.step(done, "a")["attempts"][0]["exit_code"] == 7
    assert flows.step(done, "b")["state"] == "skipped"
    killed = flows.step(done, "c")["attempts"][0]
    assert (killed["exit_code"], killed["ending"]) == (137, "signaled")


def test_retries_are_repetitions_and_each_has_its_log(flows):
    run = flows.run(
        "name: flaky\nsteps:\n  a:\n"
        "    command: 'echo try $STRATA_ATTEMPT; test $STRATA_ATTEMPT = 3'\n"
        "    retries: {count: 2, backoff: 10ms}\n"
    )
    done = flows.wait(run)
    assert done["state"] == "succeeded"
    assert [a["exit_code"] for a in flows.step(done, "a")["attempts"]] == [1, 1, 0]
    assert flows.logs(run, "?step=a&attempt=2") == "try 2\n"


def test_a_timeout_is_told_apart(flows):
    done = flows.wait(flows.run("name: slow\nsteps:\n  a: {command: sleep 600, timeout: 300ms}\n"))
    attempt = flows.step(done, "a")["attempts"][0]
    assert (attempt["ending"], attempt["exit_code"]) == ("timeout", 143)
    assert "timed out" in done["reason"]


def test_steps_that_end_at_once_have_a_start_and_an_end(flows):
    steps = "".join(f"  s{i}: {{command: 'true'}}\n" for i in range(20))
    done = flows.wait(flows.run(f"name: instant\nsteps:\n{steps}"))
    assert done["state"] == "succeeded"
    for step in done["steps"]:
        attempt = step["attempts"][-1]
        assert (
            attempt["started"] and attempt["created"] <= attempt["started"] <= attempt["finished"]
        )


def test_a_declared_output_that_is_not_written_fails_the_step(flows):
    done = flows.wait(flows.run("name: forgetful\nsteps:\n  a: {command: 'true', outputs: [f]}\n"))
    assert done["state"] == "failed"
    assert flows.step(done, "a")["attempts"][0]["ending"] == "missing_output"
    assert "'f'" in done["reason"]


def test_cancelling_ends_the_process(flows, tmp_path):
    run = flows.run(
        f"name: endless\nsteps:\n  a: {{command: 'echo $$ > {tmp_path}/pid; sleep 600'}}\n"
        "  b: {command: 'true', needs: [a]}\n"
    )
    flows.wait_step(run, "a", "running")
    answer = flows.call("POST", f"/api/v1/flow-runs/{run['id']}/cancel", {})
    assert answer["state"] == "cancelling"
    done = flows.wait(run)
    assert done["state"] == "cancelled"
    assert flows.step(done, "b")["state"] == "cancelled"


@pytest.mark.parametrize(("command", "state"), [("true", "succeeded"), ("false", "failed")])
def test_a_run_that_has_ended_cannot_be_cancelled(flows, command, state):
    run = flows.run(f"name: over-{state}\nsteps:\n  a: {{command: '{command}'}}\n")
    done = flows.wait(run)
    status, error = flows.refused("POST", f"/api/v1/flow-runs/{run['id']}/cancel", {})
    assert (status, error["code"]) == (409, "conflict")
    assert run["id"] in error["message"] and state in error["message"]
    assert flows.get(run) == done


def test_cancelling_is_refused_only_once_the_run_has_ended(flows):
    flows.apply("name: brief\nsteps:\n  a: {command: 'true'}\n")
    for _ in range(10):  # the end comes between the calls, each time elsewhere
        run = flows.start("brief")
        with pytest.raises(urllib.error.HTTPError) as refused:
            while True:
                answer = flows.call("POST", f"/api/v1/flow-runs/{run['id']}/cancel", {})
                assert answer["state"] == "cancelling"
        assert refused.value.code == 409
        assert flows.get(run)["state"] in ("succeeded", "cancelled")


def test_logs_can_be_followed_while_the_step_runs(flows, tmp_path):
    run = flows.run(
        "name: chatty\nsteps:\n  a:\n"
        f"    command: 'echo first; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; "
        "echo last'\n"
    )
    request = urllib.request.Request(
        f"{flows.server.http}/api/v1/flow-runs/{run['id']}/logs?step=a&follow=1",
        headers=flows.server.bearer(),
    )
    with urllib.request.urlopen(request, timeout=60) as stream:
        assert stream.readline() == b"first\n"
        assert flows.get(run)["state"] == "running"
        (tmp_path / "go").touch()
        assert stream.read() == b"last\n"


@pytest.mark.parametrize("how", ["revoked", "disabled", "without-a-role", "expired"])
def test_a_followed_log_ends_with_the_rights_of_who_follows(flows, how):
    server = flows.server
    name = f"f-{uuid.uuid4().hex[:8]}"
    server.strata("user", "create", name, "--role", "viewer")
    server.strata("project", "create", name)
    server.strata("project", "grant", name, "--user", name, "--role", "member")
    mine = server.bearer() | {"Strata-Project": name}

    def as_admin(method, path, body=b""):
        request = urllib.request.Request(
            server.http + path, data=body or None, method=method, headers=mine
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    as_admin("PUT", "/api/v1/flows/silent", SILENT.encode())
    run = as_admin("POST", "/api/v1/flows/silent/runs", b"{}")
    logs = f"{server.http}/api/v1/flow-runs/{run['id']}/logs?follow=1"
    try:
        with urllib.request.urlopen(urllib.request.Request(logs, headers=mine)) as log:
            assert b"begun" in log.readline() + log.readline()
        expires = ("--expires", "3s") if how == "expired" else ()
        made = server.strata(
            "token", "create", "--user", name, "--project", name, *expires, "-o", "json"
        ).stdout
        token = json.loads(made)
        request = urllib.request.Request(logs, headers=server.bearer(token["token"]))
        with urllib.request.urlopen(request, timeout=30) as log:
            assert b"begun" in log.readline() + log.readline()  # it follows
            if how == "revoked":
                server.strata("token", "revoke", token["id"])
            elif how == "disabled":
                server.strata("user", "disable", name)
            elif how == "without-a-role":
                server.strata("project", "revoke", name, "--user", name)
            # Cut short, and not the end of the run.
            with pytest.raises(http.client.IncompleteRead):
                log.read()
        assert as_admin("GET", f"/api/v1/flow-runs/{run['id']}")["state"] == "running"
    finally:
        as_admin("POST", f"/api/v1/flow-runs/{run['id']}/cancel", b"{}")


def test_the_same_idempotency_key_gives_the_same_run(flows):
    flows.apply("name: once\nsteps:\n  a: {command: 'true'}\n")
    runs: list[dict] = []
    threads = [
        threading.Thread(target=lambda: runs.append(flows.start("once", idempotency_key="k")))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run["id"] for run in runs}) == 1
    assert flows.start("once", idempotency_key="other")["id"] != runs[0]["id"]


def test_runs_of_a_pipeline_wait_for_its_limit(flows, tmp_path):
    flows.apply(
        "name: narrow\nmax_concurrent_runs: 1\nsteps:\n  a:\n"
        f"    command: 'while [ ! -e {tmp_path}/go ]; do sleep 0.02; done'\n"
    )
    first, second = flows.start("narrow"), flows.start("narrow")
    flows.wait_step(first, "a", "running")
    waiting = flows.get(second)
    assert waiting["state"] == "queued"
    assert "1 runs" in flows.step(waiting, "a")["reason"]
    (tmp_path / "go").touch()
    assert flows.wait(second)["state"] == "succeeded"


def test_a_request_beyond_the_node_is_refused_with_the_figures(flows):
    code, error = flows.refused(
        "PUT",
        "/api/v1/flows/huge",
        b"name: huge\nsteps:\n  a: {command: x, resources: {cpu: 4000}}\n",
    )
    assert code == 400 and "4000 cores" in error["message"]
    assert error["field"] == "steps.a.resources"


def test_mistakes_are_told_with_line_and_column(flows):
    code, error = flows.refused(
        "PUT",
        "/api/v1/flows/typo",
        b"name: typo\nsteps:\n  features: {command: x}\n  train: {command: x, needs: [featurs]}\n",
    )
    assert code == 400
    assert error["message"] == (
        "typo.yaml:4:31: steps.train.needs: 'featurs' is not a step of this pipeline. "
        "Did you mean 'features'?"
    )
    assert flows.refused("GET", "/api/v1/flows/typo")[0] == 404
    assert (
        flows.refused("PUT", "/api/v1/flows/other", b"name: typo\nsteps: {a: {command: x}}\n")[0]
        == 400
    )
    flows.apply("name: strict\nparameters: {n: {type: integer}}\nsteps: {a: {command: 'true'}}\n")
    for params, text in [
        ({}, "no default"),
        ({"n": "x"}, "integer"),
        ({"n": 1, "m": 2}, "not a parameter"),
    ]:
        code, error = flows.refused("POST", "/api/v1/flows/strict/runs", {"params": params})
        assert code == 400 and text in error["message"]


def test_a_step_may_call_the_server_as_its_user_and_only_while_it_runs(flows):
    program = (
        "import os, urllib.request as u; token = os.environ['STRATA_TOKEN']; print(token);"
        "r = u.Request(os.environ['STRATA_URL'] + '/api/v1/me');"
        "r.add_header('Authorization', 'Bearer ' + token); print(u.urlopen(r).read().decode())"
    )
    spec = {"name": "caller", "steps": {"a": {"command": ["python3", "-c", program]}}}
    flows.call("PUT", "/api/v1/flows/caller", spec)
    run = flows.start("caller")
    done = flows.wait(run)
    lines = flows.logs(run, "?step=a").splitlines()
    assert done["state"] == "succeeded", lines
    me = json.loads(lines[1])
    assert me["user"] == "admin" and "admin" not in me["permissions"]
    assert flows.refused("GET", "/api/v1/me", token=lines[0])[0] == 401


def test_the_command_line_is_at_hand_in_every_step(flows):
    run = flows.run(
        "name: at-hand\nsteps:\n  a: {command: \"strata sql 'SELECT 40 + 2 AS n' -o csv\"}\n"
    )
    assert flows.wait(run)["state"] == "succeeded", flows.logs(run)
    assert flows.logs(run, "?step=a").splitlines() == ["n", "42"]


def test_packages_are_unpacked_for_each_attempt_and_hostile_ones_refused(flows):
    def tar(name: str) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo(name)
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"hello"))
        return buffer.getvalue()

    package = flows.call("POST", "/api/v1/flow-packages", tar("data.txt"))["package"]
    run = flows.run(
        f"name: packed\npackage: {package}\nsteps:\n  a: {{command: 'cat data.txt; rm data.txt'}}\n"
        "  b: {command: cat data.txt, needs: [a]}\n"
    )
    assert flows.wait(run)["state"] == "succeeded"
    assert flows.logs(run, "?step=b") == "hello"
    for bad in (tar("../x"), tar("/etc/x"), b"no tar", b""):
        assert flows.refused("POST", "/api/v1/flow-packages", bad)[0] == 400
    assert (
        flows.refused(
            "PUT",
            "/api/v1/flows/p",
            b"name: p\npackage: sha256:" + b"0" * 64 + b"\nsteps: {a: {command: x}}\n",
        )[0]
        == 404
    )


def test_a_cron_pipeline_says_when_it_runs_next_in_its_zone(flows):
    flows.apply(
        "name: nightly\nsteps: {a: {command: 'true'}}\ntriggers:\n"
        "  - {cron: '0 0 1 1 *', timezone: America/New_York}\n"
    )
    entry = next(f for f in flows.call("GET", "/api/v1/flows")["flows"] if f["name"] == "nightly")
    assert entry["next_run"].endswith("-01-01T05:00:00.000Z")
    flows.call("DELETE", "/api/v1/flows/nightly")
    assert flows.refused("DELETE", "/api/v1/flows/nightly")[0] == 404


def test_lineage_ties_the_run_its_tasks_and_their_inputs(flows):
    run = flows.run(TWO_STEPS.format(name="traced"))
    flows.wait(run)
    graph = flows.call("GET", f"/api/v1/why/task:{run['id']}/read")
    kinds = {
        node["ref"] if "ref" in node else f"{node['kind']}:{node['name']}"
        for node in graph["nodes"]
    }
    assert f"flow_run:{run['id']}" in kinds
    assert f"task:{run['id']}/write" in kinds


def test_what_a_step_writes_elsewhere_leads_back_to_its_run(flows):
    program = (
        "import boto3, json, os, urllib.request as u; s3 = boto3.client('s3');"
        "s3.create_bucket(Bucket='from-a-step');"
        "s3.put_object(Bucket='from-a-step', Key='a.csv', Body=b'x\\n1\\n');"
        "r = u.Request(os.environ['STRATA_URL'] + '/api/v1/sql', method='POST',"
        "  data=json.dumps({'sql': 'CREATE TABLE made_by_step AS SELECT 1 AS x'}).encode());"
        "r.add_header('Authorization', 'Bearer ' + os.environ['STRATA_TOKEN']);"
        "print(u.urlopen(r).read())"
    )
    spec = {"name": "writer", "steps": {"a": {"command": [sys.executable, "-c", program]}}}
    flows.call("PUT", "/api/v1/flows/writer", spec)
    run = flows.start("writer")
    done = flows.wait(run)
    assert done["state"] == "succeeded", flows.logs(run)
    for ref in ("object:from-a-step/a.csv", "table:main.made_by_step"):
        graph = json.dumps(flows.call("GET", f"/api/v1/why/{ref}"))
        assert f"{run['id']}/a" in graph and f"flow_run:{run['id']}" in graph, ref


def test_the_tables_that_one_step_makes_keep_their_own_sources(flows, client_env):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="several")
    for key in ("a.csv", "b.csv"):
        s3.put_object(Bucket="several", Key=key, Body=b"x\n1\n")
    statements = [
        "CREATE TABLE from_a AS SELECT * FROM 's3://several/a.csv'",
        "CREATE TABLE from_b AS SELECT * FROM 's3://several/b.csv'",
        "SELECT count(*) FROM from_b",
    ]
    program = (
        "import json, os, sys, urllib.request as u\n"
        "for text in sys.argv[1:]:\n"
        "  r = u.Request(os.environ['STRATA_URL'] + '/api/v1/sql', method='POST',"
        "    data=json.dumps({'sql': text}).encode())\n"
        "  r.add_header('Authorization', 'Bearer ' + os.environ['STRATA_TOKEN'])\n"
        "  u.urlopen(r).read()"
    )
    spec = {
        "name": "several",
        "steps": {"only": {"command": [sys.executable, "-c", program, *statements]}},
    }
    flows.call("PUT", "/api/v1/flows/several", spec)
    run = flows.start("several")
    assert flows.wait(run)["state"] == "succeeded", flows.logs(run)
    for table, own, other in (("from_a", "a.csv", "b.csv"), ("from_b", "b.csv", "a.csv")):
        why = json.dumps(flows.call("GET", f"/api/v1/why/table:{table}")["nodes"])
        assert f"several/{own}" in why and f"several/{other}" not in why, why
        assert f"flow_run:{run['id']}" in why
        impact = json.dumps(flows.call("GET", f"/api/v1/impact?ref=object:several/{own}")["nodes"])
        assert f"main.{table}" in impact
        assert f"main.{'from_b' if table == 'from_a' else 'from_a'}" not in impact, impact


def test_what_a_step_reads_with_a_stock_client_is_a_source_of_it(flows, client_env):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="read-by-a-step")
    for key in ("read.csv", "ranges.csv", "only-seen.csv"):
        s3.put_object(Bucket="read-by-a-step", Key=key, Body=b"x\n1\n")
    program = (
        "import boto3; s3 = boto3.client('s3'); b = 'read-by-a-step';"
        "s3.get_object(Bucket=b, Key='read.csv')['Body'].read();"
        "[s3.get_object(Bucket=b, Key='ranges.csv', Range=f'bytes={i}-{i}') for i in range(4)];"
        "s3.head_object(Bucket=b, Key='only-seen.csv'); s3.list_objects_v2(Bucket=b);"
        "s3.put_object(Bucket=b, Key='made.csv', Body=b'y\\n2\\n');"
        "s3.get_object(Bucket=b, Key='made.csv')['Body'].read()"
    )
    flows.call(
        "PUT",
        "/api/v1/flows/reader",
        {"name": "reader", "steps": {"a": {"command": [sys.executable, "-c", program]}}},
    )
    run = flows.start("reader")
    assert flows.wait(run)["state"] == "succeeded", flows.logs(run)
    edges = flows.call("GET", "/api/v1/why/object:read-by-a-step/made.csv")["edges"]
    task = f"task:{run['id']}/a"
    read = [e["from"].split("@")[0] for e in edges if (e["relation"], e["to"]) == ("read", task)]
    assert sorted(read) == ["object:read-by-a-step/ranges.csv", "object:read-by-a-step/read.csv"]
    made = s3.get_object(Bucket="read-by-a-step", Key="read.csv")  # by no step: no further edge
    assert made["Body"].read() == b"x\n1\n"
    forward = flows.call("GET", "/api/v1/impact?ref=object:read-by-a-step/read.csv")["nodes"]
    assert any(node["ref"].startswith("object:read-by-a-step/made.csv") for node in forward)


def test_an_object_put_starts_the_pipelines_that_wait_for_it(flows, client_env):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="inbox")
    s3.put_object(Bucket="inbox", Key="new/before.csv", Body=b"1")
    flows.apply(
        "name: on-arrival\nparameters: {bucket: '', key: ''}\n"
        "steps: {a: {command: 'echo $STRATA_PARAM_bucket/$STRATA_PARAM_key'}}\n"
        "triggers:\n  - {event: object.created, bucket: inbox, prefix: new/}\n"
    )
    s3.put_object(Bucket="inbox", Key="old/x.csv", Body=b"1")
    s3.put_object(Bucket="inbox", Key="new/y.csv", Body=b"1")
    deadline = time.monotonic() + 30
    while not (runs := flows.call("GET", "/api/v1/flow-runs?flow=on-arrival")["runs"]):
        assert time.monotonic() < deadline
    assert flows.wait(runs[0])["state"] == "succeeded"
    assert flows.logs(runs[0], "?step=a") == "inbox/new/y.csv\n"
    assert len(flows.call("GET", "/api/v1/flow-runs?flow=on-arrival")["runs"]) == 1
    graph = json.dumps(flows.call("GET", f"/api/v1/why/flow_run:{runs[0]['id']}"))
    assert "inbox/new/y.csv" in graph


def test_a_trigger_that_could_not_start_a_run_says_so_in_the_events_of_its_pipeline(
    flows, client_env
):
    name, bucket = f"gone-{uuid.uuid4().hex[:8]}", f"gone-{uuid.uuid4().hex[:8]}"
    flows.server.strata("user", "create", name, "--role", "member")
    made = flows.server.strata("token", "create", "--user", name, "-o", "json").stdout
    spec = (
        f"name: {name}\nsteps: {{a: {{command: 'true'}}}}\n"
        f"triggers: [{{event: object.created, bucket: {bucket}}}]\n"
    )
    flows.call("PUT", f"/api/v1/flows/{name}", spec.encode(), token=json.loads(made)["token"])
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=bucket)
    flows.server.strata("user", "disable", name)
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    deadline = time.monotonic() + 30
    told: list[dict] = []
    while not told:
        assert time.monotonic() < deadline
        events = flows.call("GET", f"/api/v1/events?subject=flow:{name}")["events"]
        told = [event for event in events if event["type"] == "flow.trigger_failed"]
    assert told[0]["data"]["cause"] == f"event object.created {bucket}/k"
    assert name in told[0]["data"]["error"]
    assert flows.call("GET", f"/api/v1/flow-runs?flow={name}")["runs"] == []
    for command in (["list"], ["status", "--flow", name]):
        shown = flows.server.strata("flow", *command).stdout
        (line,) = [line for line in shown.splitlines() if told[0]["data"]["error"] in line]
        assert name in line and told[0]["data"]["cause"] in line
    flows.server.strata("user", "enable", name)
    s3.put_object(Bucket=bucket, Key="again", Body=b"1")
    while flows.call("GET", f"/api/v1/flows/{name}")["trigger_failure"]:
        assert time.monotonic() < deadline
    assert len(flows.call("GET", f"/api/v1/flow-runs?flow={name}")["runs"]) == 1
    assert told[0]["data"]["error"] not in flows.server.strata("flow", "list").stdout


SILENT = """name: silent
steps:
  wait:
    command: [sh, -c, 'echo begun; sleep 600']
"""


def open_connections(server) -> int:
    url = server.http + "/metrics"
    text = urllib.request.urlopen(urllib.request.Request(url, headers=server.bearer())).read()
    lines = re.findall(r"^strata_http_connections{[^}]*} (\d+)$", text.decode(), re.MULTILINE)
    return sum(int(line) for line in lines)


def test_a_follower_that_went_away_is_noticed_while_the_log_is_silent(fresh_flows):
    server = fresh_flows.server
    run = fresh_flows.run(SILENT)
    fresh_flows.wait_step(run, "wait", "running")
    request = urllib.request.Request(
        f"{server.http}/api/v1/flow-runs/{run['id']}/logs?follow=1", headers=server.bearer()
    )
    deadline = time.monotonic() + 30
    while (before := open_connections(server)) > 1:  # what asked before may still be closing
        assert time.monotonic() < deadline
    followers = [urllib.request.urlopen(request, timeout=60) for _ in range(3)]
    for log in followers:
        assert b"begun" in log.readline() + log.readline()
    assert open_connections(server) == before + 3
    for log in followers[:2]:
        log.close()
    deadline = time.monotonic() + 30
    while open_connections(server) != before + 1:
        assert time.monotonic() < deadline, "the server still serves who has gone"
        pause(0.05)
    # The follower that stayed is still served, and the run goes on.
    assert fresh_flows.get(run)["state"] == "running"
    fresh_flows.call("POST", f"/api/v1/flow-runs/{run['id']}/cancel", {})
    followers[2].read()


def test_followers_of_a_silent_log_do_not_hold_up_the_end_of_the_server(fresh_flows):
    server = fresh_flows.server
    run = fresh_flows.run(SILENT)
    fresh_flows.wait_step(run, "wait", "running")
    request = urllib.request.Request(
        f"{server.http}/api/v1/flow-runs/{run['id']}/logs?follow=1", headers=server.bearer()
    )
    with urllib.request.urlopen(request, timeout=60) as log:
        seen = log.readline() + log.readline()
        assert b"begun" in seen  # it follows, and nothing more will come
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5
        with pytest.raises(http.client.IncompleteRead):
            log.read()
