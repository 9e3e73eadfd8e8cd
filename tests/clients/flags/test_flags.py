"""Flags by API and command line: versions, states, what is refused, who may do what."""

from __future__ import annotations

import json

import pytest
import requests


def put(server, path: str, definition: dict, token: str | None = None, **more) -> requests.Response:
    body = {"definition": definition, "reason": "a test", **more}
    url = f"{server.http}/api/v1/{path}"
    return requests.put(url, json=body, headers=server.bearer(token), timeout=20)


def experiment(key: str, **more) -> dict:
    return {"default": 0, "rules": [{"key": key, "variations": [0, 1], **more}]}


def test_a_flag_lives_from_the_command_line(fresh_server, tmp_path):
    server = fresh_server.start()
    file = tmp_path / "flag.json"
    rule = {"force": "new", "condition": {"plan": "pro"}}
    file.write_text(json.dumps({"description": "The page", "default": "old", "rules": [rule]}))
    server.strata("flag", "set", "page", str(file), "--reason", "begin")
    attributes = json.dumps({"id": "u", "plan": "pro"})
    assert "new" in server.strata("flag", "eval", "page", "--attributes", attributes).stdout
    server.strata("flag", "set", "page", str(file), "--reason", "again")  # the same: no version
    server.strata("flag", "off", "page", "--reason", "wait")
    assert "old" in server.strata("flag", "eval", "page", "--attributes", attributes).stdout
    server.strata("flag", "kill", "page", "--reason", "it burns")
    assert server.strata("flag", "eval", "page", check=False).returncode == 3
    server.strata("flag", "on", "page", "--reason", "put out")
    assert "page" in server.strata("flag", "list").stdout
    history = json.loads(server.strata("flag", "history", "page", "-o", "json").stdout)["versions"]
    told = [(one["version"], one["state"], one["by"], one["reason"]) for one in history]
    assert told == [
        (4, "on", "admin", "put out"),
        (3, "killed", "admin", "it burns"),
        (2, "off", "admin", "wait"),
        (1, "on", "admin", "begin"),
    ]
    late = server.strata(
        "flag", "set", "page", str(file), "--reason", "late", "--expect", "2", check=False
    )
    assert late.returncode == 5 and "version 4" in late.stderr
    server.strata("flag", "delete", "page", "--reason", "done")
    assert server.strata("flag", "show", "page", check=False).returncode == 3
    server.strata("flag", "set", "page", str(file), "--reason", "back")
    assert json.loads(server.strata("flag", "show", "page", "-o", "json").stdout)["version"] == 6

    entries = json.loads(server.strata("audit", "-o", "json").stdout)["entries"]
    actions = [one["action"] for one in entries if one["target"] == "flag:page"]
    assert actions.count("flag.state") == 3 and "flag.delete" in actions
    url = server.http + "/api/v1/events?subject=flag:page"
    events = requests.get(url, headers=server.bearer()).json()["events"]
    assert [one["type"] for one in events] == ["flag.changed"] * 6


def test_flags_groups_holdouts_and_keys_survive_a_kill(fresh_server):
    server = fresh_server.start()
    assert put(server, "flag-groups/beta", {"values": ["u1"]}).status_code == 200
    assert put(server, "flag-holdouts/q4", {"coverage": 0.1}).status_code == 200
    condition = {"id": {"$inGroup": "beta"}}
    flag = {"default": 0, "rules": [{"force": 1, "condition": condition}]}
    assert put(server, "flags/f", flag).status_code == 200
    made = json.loads(server.strata("flag", "key", "create", "app", "-o", "json").stdout)
    url = server.http + "/api/features/" + made["key"]
    before = requests.get(url)
    server.kill()
    server.start()
    after = requests.get(server.http + "/api/features/" + made["key"])
    assert after.json() == before.json() and after.headers["ETag"] == before.headers["ETag"]
    server.strata("flag", "key", "revoke", made["id"])
    assert requests.get(server.http + "/api/features/" + made["key"]).status_code == 400
    # What a flag names cannot be taken away.
    gone = server.strata("flag", "group", "delete", "beta", "--reason", "x", check=False)
    assert gone.returncode == 2 or "beta" in gone.stderr


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({}, "default"),
        ({"default": 1, "rule": []}, "rule"),
        (experiment("e", coverage=0), "rules[0].coverage"),
        (experiment("e", weights=[0.5, 0.4]), "rules[0].weights"),
        (experiment("e", weights=[1, 0]), "rules[0].weights"),
        (experiment("e", meta=[{"key": "a"}, {"key": "a"}]), "rules[0].meta"),
        ({"default": 0, "rules": [{"force": 1, "condition": {"a": {"$inGroup": 1}}}]}, "$inGroup"),
        ({"default": 0, "rules": [{"force": 1, "condition": {"a": {"$inGroup": "no"}}}]}, "no"),
        (
            {
                "default": 0,
                "rules": [
                    {"force": 1, "parentConditions": [{"id": "no", "condition": {"value": 1}}]}
                ],
            },
            "parentConditions",
        ),
        (experiment("taken"), "key"),
        (experiment("e", layer={"name": "page", "range": [0.4, 0.8]}), "layer"),
    ],
)
def test_a_definition_that_decides_nothing_or_contradicts_another_is_refused(
    server, definition, field
):
    first = experiment("taken", layer={"name": "page", "range": [0, 0.5]})
    assert put(server, "flags/first", first).status_code == 200
    answer = put(server, "flags/second", definition)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert field in error["field"] + error["message"] and error["message"]
    url = server.http + "/api/v1/flags/second"
    assert requests.get(url, headers=server.bearer()).status_code == 404


def test_prerequisites_in_a_circle_are_refused_by_the_flag_that_closes_it(server):
    def needs(other: str) -> dict:
        parent = {"id": other, "condition": {"value": True}}
        return {"default": True, "rules": [{"force": False, "parentConditions": [parent]}]}

    assert put(server, "flags/ring-a", {"default": True}).status_code == 200
    assert put(server, "flags/ring-b", needs("ring-a")).status_code == 200
    answer = put(server, "flags/ring-a", needs("ring-b"))
    assert answer.status_code == 400 and "circle" in answer.json()["error"]["message"]
    url = server.http + "/api/v1/flags/ring-a?reason=x"
    answer = requests.delete(url, headers=server.bearer())
    assert answer.status_code == 400 and "ring-a" in answer.json()["error"]["message"]


def test_a_name_of_a_megabyte_and_a_change_without_reason_are_refused(server):
    answer = put(server, "flags/" + "k" * 5000, {"default": 1})
    assert answer.status_code == 400 and len(answer.text) < 1000
    url = server.http + "/api/v1/flags/f"
    answer = requests.put(url, json={"definition": {"default": 1}}, headers=server.bearer())
    assert answer.status_code == 400 and answer.json()["error"]["field"] == "reason"
    answer = put(server, "flags/big", {"default": "x" * (2 << 20)})
    assert answer.status_code == 413


def test_reading_and_writing_flags_are_permissions_of_their_own(server):
    made = server.strata("token", "create", "--scope", "flag:read", "-o", "json").stdout
    token = json.loads(made)["token"]
    url = server.http + "/api/v1/flags"
    assert requests.get(url, headers=server.bearer(token)).status_code == 200
    answer = put(server, "flags/f", {"default": 1}, token)
    assert answer.status_code == 403 and "flag:write" in answer.text


def test_a_project_sees_no_flags_of_another(fresh_server):
    server = fresh_server.start()
    assert put(server, "flags/f", {"default": 1}).status_code == 200
    server.strata("project", "create", "other")
    shown = server.strata("flag", "list", "--project", "other", "-o", "json").stdout
    assert json.loads(shown)["flags"] == []
    made = server.strata("flag", "key", "create", "app", "--project", "other", "-o", "json").stdout
    answer = requests.get(server.http + "/api/features/" + json.loads(made)["key"])
    assert answer.json()["features"] == {}
