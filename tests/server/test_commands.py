"""The command line itself: forms of answers, completion, values that a command takes."""

import json
import subprocess

import pytest
import yaml
from conftest import binary


def words(*typed):
    answer = subprocess.run(
        [binary(), "complete-words", *typed],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return answer.stdout.split()


def test_yaml_holds_what_json_holds(server):
    for command in (["node", "list"], ["user", "list"], ["token", "list"], ["audit"]):
        as_json = json.loads(server.strata(*command, "-o", "json").stdout)
        as_yaml = yaml.safe_load(server.strata(*command, "-o", "yaml").stdout)
        if command == ["audit"]:
            as_json, as_yaml = as_json["entries"][:1], as_yaml["entries"][:1]
            as_json[0]["time"], as_yaml[0]["time"] = "", ""
        if command == ["node", "list"]:
            for nodes in (as_json, as_yaml):
                nodes["nodes"][0]["disks"] = nodes["nodes"][0]["measured"] = None
        assert as_yaml == as_json, command


def test_the_form_of_an_answer_may_be_asked_before_or_after_sql(server):
    before = subprocess.run(
        [binary(), "-o", "json", "--data", str(server.data), "sql", "SELECT 1 AS one"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(before.stdout)["rows"] == [[1]]
    after = server.strata("sql", "SELECT 1 AS one", "-o", "csv")
    assert after.stdout.split() == ["one", "1"]
    assert server.strata("sql", "SELECT 1", "-o", "yaml", check=False).returncode == 2


def test_completion_offers_commands_options_and_values():
    assert {"flow", "endpoint", "sql", "backup"} <= set(words(""))
    assert words("proj") == ["project"]
    assert set(words("token", "")) == {"list", "create", "revoke"}
    assert "--scope" in words("token", "create", "--s")
    assert "--project" in words("token", "create", "--p")
    assert words("user", "list", "-o", "") == ["table", "json", "yaml"]
    assert "warehouse" not in words("")  # the server's own


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed_for_each_shell(shell):
    script = subprocess.run(
        [binary(), "completion", shell],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    ).stdout
    assert "complete-words" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=20)


def test_waiting_for_an_endpoint_ends_after_the_given_time_at_the_latest(server):
    answer = server.strata(
        "endpoint",
        "create",
        "e",
        "--model",
        "models:/none@x",
        "--wait",
        "--timeout",
        "soon",
        check=False,
    )
    assert answer.returncode == 2
    assert "--timeout" in answer.stderr
