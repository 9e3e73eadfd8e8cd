"""The protocol's edges as curl sees them: probes, roots, errors, leniency, missing rights."""

from __future__ import annotations

import json

import pytest
import requests


@pytest.fixture
def call(server):
    def send(method: str, path: str, body=None, query=None, headers=None):
        return requests.request(
            method,
            server.http + path,
            data=body,
            params=query,
            headers={**server.bearer(), "Content-Type": "application/json", **(headers or {})},
        )

    return send


def test_probes_need_no_login(server):
    assert requests.get(server.http + "/health").text == "OK"
    major, minor, *_ = requests.get(server.http + "/version").text.split(".")
    assert (int(major), int(minor)) >= (3, 4)
    assert (
        requests.get(server.http + "/api/3.0/mlflow/server-info").json()["workspaces_enabled"]
        is False
    )


def test_both_roots_answer_alike(call):
    for root in ("/api", "/ajax-api"):
        answer = call("GET", root + "/2.0/mlflow/experiments/get", query={"experiment_id": "0"})
        assert answer.json()["experiment"]["name"] == "Default"


def test_a_stranger_is_told_so_in_mlflows_form(server):
    answer = requests.post(server.http + "/api/2.0/mlflow/runs/create", json={})
    assert answer.status_code == 401 and answer.json()["error_code"] == "UNAUTHENTICATED"
    assert answer.headers["www-authenticate"].startswith("Basic")
    basic = requests.get(
        server.http + "/api/2.0/mlflow/experiments/get",
        params={"experiment_id": "0"},
        auth=("anyone", server.env["STRATA_TOKEN"]),
    )
    assert basic.status_code == 200


def test_a_viewer_reads_but_does_not_write(server, name):
    server.strata("user", "create", name, "--role", "viewer")
    token = json.loads(server.strata("token", "create", "--user", name, "-o", "json").stdout)[
        "token"
    ]
    header = server.bearer(token)
    url = server.http + "/api/2.0/mlflow"
    assert (
        requests.get(
            url + "/experiments/get", params={"experiment_id": "0"}, headers=header
        ).status_code
        == 200
    )
    refused = requests.post(url + "/runs/create", json={"experiment_id": "0"}, headers=header)
    assert refused.status_code == 403 and refused.json()["error_code"] == "PERMISSION_DENIED"


def test_json_is_read_as_protobuf_reads_it(call, name):
    made = call(
        "POST",
        "/api/2.0/mlflow/runs/create",
        json.dumps(
            {
                "experiment_id": "0",
                "start_time": "1234",
                "unknown": [1],
                "run_name": name,
                "user_id": None,
            }
        ),
    )
    run = made.json()["run"]["info"]
    assert run["start_time"] == 1234
    metric = {"run_uuid": run["run_id"], "key": "m", "value": "NaN", "timestamp": 5.0, "step": "7"}
    assert call("POST", "/api/2.0/mlflow/runs/log-metric", json.dumps(metric)).status_code == 200
    twice = json.dumps(json.dumps({**metric, "key": "twice", "value": "Infinity"}))
    assert call("POST", "/api/2.0/mlflow/runs/log-metric", twice).status_code == 200
    data = call("GET", "/api/2.0/mlflow/runs/get", query={"run_id": run["run_id"]}).json()["run"][
        "data"
    ]
    assert {m["key"]: (m["value"], m["step"]) for m in data["metrics"]} == {
        "m": ("NaN", 7),
        "twice": (1.7976931348623157e308, 7),
    }
    updated = call(
        "POST", "/api/2.0/mlflow/runs/update", json.dumps({"run_id": run["run_id"], "status": 3})
    )
    assert updated.json()["run_info"]["status"] == "FINISHED"
    by_body = call("GET", "/api/2.0/mlflow/runs/get", json.dumps({"run_id": run["run_id"]}))
    assert by_body.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "nul",
        '{"run_id": 5, "key": "m", "value": 1, "timestamp": 1}',
        '{"run_id": "x", "key": "m", "timestamp": 1}',
        '{"run_id": "x", "key": "m", "value": NaN, "timestamp": 1}',
        '{"run_id": "x", "key": "m", "value": "abc", "timestamp": 1}',
        '{"run_id": "x", "key": "m", "value": true, "timestamp": 1}',
        '{"run_id": "x", "key": "m", "value": 1, "timestamp": "soon"}',
        '{"run_id": "x", "key": "m", "value": 1, "timestamp": 99999999999999999999}',
        '{"key": "m"}',
        '"\\ud800"',
        "[" * 500,
    ],
)
def test_bad_bodies_are_the_callers_mistake(call, body):
    answer = call("POST", "/api/2.0/mlflow/runs/log-metric", body)
    assert answer.status_code in (400, 404)
    assert answer.json()["error_code"] in (
        "BAD_REQUEST",
        "INVALID_PARAMETER_VALUE",
        "RESOURCE_DOES_NOT_EXIST",
    )
    assert answer.json()["message"]


def test_other_content_types_are_refused(call):
    answer = call(
        "POST",
        "/api/2.0/mlflow/runs/create",
        "a=b",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 400


def test_what_is_not_offered_says_so(call):
    for method, path in (
        ("POST", "/api/3.0/mlflow/traces"),
        ("POST", "/api/3.0/mlflow/traces/search"),
        ("GET", "/api/2.0/mlflow/webhooks"),
        ("POST", "/api/3.0/mlflow/datasets/create"),
        ("POST", "/v1/traces"),
    ):
        answer = call(method, path, "{}")
        assert answer.status_code == 501 and answer.json()["error_code"] == "NOT_IMPLEMENTED", path
    assert call("GET", "/api/2.0/mlflow/no-such-thing").status_code == 404


def test_a_huge_body_is_refused_early(server):
    def pieces():
        for _ in range(64):
            yield b"x" * (1 << 20)

    try:
        answer = requests.post(
            server.http + "/api/2.0/mlflow/runs/log-batch",
            data=pieces(),
            headers={**server.bearer(), "Content-Type": "application/json"},
        )
    except requests.exceptions.ConnectionError:
        return  # refused while it was still sending
    assert answer.status_code == 413
