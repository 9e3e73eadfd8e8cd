"""The command line itself: forms of answers, completion, values that a command takes."""

import fcntl
import json
import re
import subprocess
import uuid

import pytest
import requests
import yaml
from programs import binary
from strata_server import Server


def words(*typed):
    answer = subprocess.run(
        [binary(), "complete-words", *typed], capture_output=True, text=True, timeout=20, check=True
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


def test_yaml_takes_what_is_no_character_of_yaml(server):
    name = "\u0085\u0080\x7f\ufffe\uffff\ufeff: yes"
    created = requests.post(
        server.http + "/api/2.0/mlflow/registered-models/create",
        json={"name": "odd", "description": name},
        headers=server.bearer(),
        timeout=20,
    )
    assert created.status_code in (200, 400)
    shown = server.strata("model", "show", "odd", "-o", "yaml").stdout
    assert yaml.safe_load(shown)["description"] == name


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


def helps(*command):
    """The help of a command and of all below it, by their words."""
    done = subprocess.run(
        [binary(), *command, "--help"], capture_output=True, text=True, timeout=20, check=True
    )
    found = {command: done.stdout}
    _, _, listed = done.stdout.partition("\nSubcommands:\n")
    for line in listed.partition("\n\n")[0].splitlines():
        if line.startswith("  ") and line[2] != " ":
            found |= helps(*command, line.split()[0])
    return found


def test_the_help_of_every_command_tells_the_options_that_all_take():
    known = helps()
    assert {("serve",), ("sql",), ("flow", "run"), ("project", "grant")} < known.keys()
    for command, text in known.items():
        for option in ("--data TEXT", "-o,--output TEXT:", "--project TEXT"):
            assert text.count(f"\n  {option}") == 1, (command, option)
    assert "arrow" in known[("sql",)].partition("-o,--output")[2].splitlines()[0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed_for_each_shell(shell):
    script = subprocess.run(
        [binary(), "completion", shell], capture_output=True, text=True, timeout=20, check=True
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


def test_tables_and_trees_send_no_terminal_codes_and_stand_in_columns(server):
    hostile = "名\x1b]0;pwned\x07\u202e\u009b2J"
    server.strata("sql", 'CREATE TABLE "hostile\x1b[31m" AS SELECT 1 AS one')
    for name, description in (("plain-model", "short"), ("wide-model", hostile)):
        requests.post(
            server.http + "/api/2.0/mlflow/registered-models/create",
            json={"name": name, "description": f"{description}\nsecond line"},
            headers=server.bearer(),
            timeout=20,
        ).raise_for_status()
    shown = server.strata("model", "show", "wide-model").stdout
    tree = server.strata("impact", "table:main.hostile\x1b[31m").stdout
    audit = server.strata("audit").stdout
    refused = server.strata("flow", "status", "none\x1b[31m\nsuch", check=False).stderr
    assert "pwned" in shown and "hostile" in tree and "such" in refused
    for text in (shown, tree, audit, refused):
        assert not any(c in text for c in "\x1b\x07\x9b\u202e"), repr(text)
    assert "second line" in shown.splitlines()
    assert refused.count("\n") == 1
    exact = server.strata("model", "show", "wide-model", "-o", "json").stdout
    assert json.loads(exact)["description"] == f"{hostile}\nsecond line"
    table = server.strata("sql", "SELECT '名前' AS a, 'x' AS b UNION ALL SELECT 'abcd', 'y'").stdout
    assert sorted(table.splitlines()[2:]) == ["abcd  y", "名前  x"]


@pytest.mark.parametrize(
    "typed",
    [
        ["--bogus"],
        ["sql", "--bogus", "SELECT 1"],
        ["sql", "-o", "yaml", "SELECT 1"],
        ["sql", "--limit", "-1", "SELECT 1"],
        ["flow", "logs", "some-run", "--attempt", "0"],
        ["flow", "status", "--limit", "0"],
        ["flow"],
    ],
)
def test_wrong_usage_is_one_line_like_every_error(server, typed):
    refused = server.strata(*typed, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith("strata: ") and refused.stderr.count("\n") == 1
    assert refused.stdout == ""


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["sql", "--limit", "-1", "SELECT 1"], "'-1' must be a whole number from 0 up"),
        (["model", "alias", "houses", "champion", "x"], "'x' must be a whole number from 1 up"),
        (["flow", "status", "--limit", "0"], "'0' must be a whole number from 1 to 1000"),
        (["node", "price", "local", "--per-hour", "abc"], "'abc' must be a number from 0 up"),
        (["node", "price", "local", "--per-hour", "-1"], "'-1' must be a number from 0 up"),
        (["user", "lst"], "'lst' is not a command of user. Did you mean 'list'?"),
        (["--output", "json", "user", "lst"], "'lst' is not a command of user"),
        (["token", "zzz"], "It has list, create, revoke."),
        (["usr", "list"], "'usr' is not a command. Did you mean 'user'?"),
    ],
)
def test_a_slip_is_answered_by_what_would_be_right(typed, said):
    refused = subprocess.run([binary(), *typed], capture_output=True, text=True, timeout=20)
    assert refused.returncode == 2
    assert said in refused.stderr and len(refused.stderr) < 200


def test_tables_show_names_times_and_prices_as_people_write_them(server):
    def mlflow(verb, path, body):
        requests.request(
            verb,
            server.http + "/api/2.0/mlflow/" + path,
            json=body,
            headers=server.bearer(),
            timeout=20,
        ).raise_for_status()

    name = f"named-{uuid.uuid4().hex[:8]}"
    mlflow("POST", "registered-models/create", {"name": name})
    for _ in range(2):
        mlflow("POST", "model-versions/create", {"name": name, "source": "s3://nowhere/at-all"})
    moved = server.strata("model", "alias", name, "champion", "2").stdout
    listed = server.strata("model", "list").stdout
    assert "champion → 2" in next(line for line in listed.splitlines() if name in line)
    for text in (listed, moved, server.strata("model", "show", name).stdout):
        assert "champion" in text and not set('[]{}"') & set(text)
    priced = server.strata("node", "price", "local", "--per-hour", "0.3").stdout
    assert "0.30 EUR per hour" in priced
    made = server.strata("token", "create", "--scope", "lake:read", "--expires", "5m").stdout
    shown = dict(line.split(maxsplit=1) for line in made.splitlines())
    assert shown["scope"] == "lake:read" and shown["project"] == "default"
    assert shown["id"] and shown["expires"].startswith("20")


def test_the_list_of_tokens_tells_all_that_is_known_of_them(server):
    made = {}
    for name, options in (("brief", ["--expires", "5m", "--scope", "lake:read"]), ("lasting", [])):
        answer = server.strata("token", "create", *options, "-o", "json").stdout
        made[name] = json.loads(answer)
    server.strata("token", "revoke", made["lasting"]["id"])
    head, *lines = server.strata("token", "list").stdout.splitlines()
    columns = ["ID", "USER", "ACCESS KEY ID", "PROJECT", "SCOPE", "CREATED", "EXPIRES", "REVOKED"]
    assert re.split("  +", head) == columns
    rows = {line.split()[0]: re.split("  +", line) for line in lines}
    brief, lasting = rows[made["brief"]["id"]], rows[made["lasting"]["id"]]
    told = [made["brief"][key] for key in ("project", "scope", "created", "expires")]
    assert brief[3:] == [*told, "-"]
    assert lasting[4:7] == ["all", made["lasting"]["created"], "never"] and lasting[7] != "-"


def test_a_team_that_nobody_is_left_in_is_shown_as_a_team(server):
    tag = uuid.uuid4().hex[:8]
    server.strata("user", "create", f"last-{tag}", "--team", f"team-{tag}")
    shown = server.strata("team", "remove", f"team-{tag}", f"last-{tag}").stdout.splitlines()
    assert shown[0].split() == ["NAME", "MEMBERS", "CREATED"]
    assert shown[1].split()[:2] == [f"team-{tag}", "-"]


def test_the_address_of_the_server_may_end_with_a_slash(server):
    listed = subprocess.run(
        [binary(), "user", "list"],
        env=server.env | {"STRATA_URL": server.http + "/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "admin" in listed.stdout


def test_a_login_link_holds_a_token_of_the_caller_that_ends_and_can_be_revoked(server):
    link = server.strata("login-link").stdout.strip()
    address, _, token = link.partition("/#token=")
    assert address == server.http
    assert token not in (server.env["STRATA_TOKEN"], "")

    def me():
        return requests.get(server.http + "/api/v1/me", headers=server.bearer(token), timeout=20)

    assert me().json()["user"] == "admin"
    answer = json.loads(server.strata("login-link", "--expires", "5m", "-o", "json").stdout)
    assert answer["expires"] and answer["url"].startswith(server.http + "/#token=")
    tokens = json.loads(server.strata("token", "list", "-o", "json").stdout)["tokens"]
    assert answer["id"] in [one["id"] for one in tokens]
    newest = max((t for t in tokens if t["id"] != answer["id"]), key=lambda t: t["created"])
    assert newest["expires"]
    server.strata("token", "revoke", newest["id"])
    assert me().status_code == 401


def test_a_login_link_may_do_no_more_and_no_less_than_its_caller(server):
    tag = uuid.uuid4().hex[:8]
    server.strata("project", "create", f"links-{tag}")
    server.strata("user", "create", f"lina-{tag}", "--role", "viewer")
    server.strata("project", "grant", f"links-{tag}", "--user", f"lina-{tag}")

    def link_of(*arguments):
        made = server.strata("token", "create", "--user", f"lina-{tag}", *arguments, "-o", "json")
        token = json.loads(made.stdout)["token"]
        given = subprocess.run(
            [binary(), "login-link"],
            env={"STRATA_URL": server.http, "STRATA_TOKEN": token},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return me(token), me(given.stdout.strip().partition("/#token=")[2])

    def me(token):
        answer = requests.get(
            server.http + "/api/v1/me", headers=server.bearer(token), timeout=20
        ).json()
        return answer["user"], answer["project"], answer["permissions"]

    for scope in ("lake:read,sql:query", "lake", "all"):  # her role gives a part of the second
        caller, browser = link_of("--scope", scope)
        assert browser == caller, scope
    caller, browser = link_of("--scope", "lake", "--project", f"links-{tag}")
    assert browser == caller and caller[1] == f"links-{tag}"


def test_a_link_that_would_never_work_is_refused(server):
    for never in ("0", "0s"):
        refused = server.strata("login-link", "--expires", never, check=False)
        assert refused.returncode == 2 and f"'{never}'" in refused.stderr


def test_a_server_prints_the_command_for_a_link_and_no_token(server):
    printed = (server.data / "stdout.txt").read_text()
    assert f"strata login-link --data {server.data}" in printed
    assert server.env["STRATA_TOKEN"] not in printed


def test_administrators_are_told_which_data_the_command_line_must_be_told(tmp_path, monkeypatch):
    def told(server, token=None):
        answer = requests.get(server.http + "/api/v1/me", headers=server.bearer(token), timeout=20)
        return answer.json()["data"]

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STRATA_DATA", raising=False)
    for folder, needed in ((".strata", False), ("it's here", True)):
        server = Server(tmp_path / folder)
        try:
            server.start()
            assert told(server) == (str(server.data) if needed else None)
            server.strata("user", "create", "mara")
            issued = server.strata("token", "create", "--user", "mara", "-o", "json").stdout
            assert told(server, json.loads(issued)["token"]) is None
        finally:
            server.strata("stop", "--now", check=False)
            server.stop()


def test_env_waits_for_a_server_that_is_starting(fresh_server):
    """`strata serve & eval "$(strata env)"`: the second comes before the first is ready."""
    asked = subprocess.Popen(
        [binary(), "env", "--data", str(fresh_server.data)], stdout=subprocess.PIPE, text=True
    )
    fresh_server.start()
    printed, _ = asked.communicate(timeout=30)
    assert asked.returncode == 0 and f"STRATA_URL={fresh_server.http}" in printed


def test_env_answers_at_once_where_no_server_is(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").touch()
    for folder in (tmp_path, tmp_path / "none"):
        done = subprocess.run(
            [binary(), "env", "--data", folder], capture_output=True, text=True, timeout=2.5
        )
        assert done.returncode == 3 and "strata serve --data" in done.stderr
        assert done.stdout == ""


def test_env_waits_longer_for_a_server_that_has_the_directory(tmp_path):
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked = subprocess.Popen(
            [binary(), "env", "--data", tmp_path], stdout=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            asked.communicate(timeout=4)
        keys = {"token": "t", "access_key_id": "k", "secret_access_key": "s"}
        (tmp_path / "admin.json").write_text(json.dumps(keys))
        with (tmp_path / "run" / "draft").open("w") as ready:
            fcntl.flock(ready, fcntl.LOCK_EX)
            ready.write('{"http": "http://h:1", "s3": "http://h:2"}')
            ready.flush()
            (tmp_path / "run" / "draft").rename(tmp_path / "run" / "endpoints.json")
            printed, _ = asked.communicate(timeout=30)
    assert asked.returncode == 0 and "STRATA_URL=http://h:1" in printed


def test_what_a_killed_server_left_behind_is_not_taken_for_a_server(fresh_server):
    """Neither when nobody has the directory, nor while the next server is starting there."""
    data = fresh_server.start().data
    ready = data / "run" / "endpoints.json"
    left_behind = ready.read_text()
    fresh_server.kill()
    ready.write_text(left_behind)
    for command in (["env"], ["user", "list"], ["sql", "SELECT 1"], ["login-link"]):
        refused = fresh_server.strata(*command, check=False)
        assert refused.returncode == 3 and "strata serve --data" in refused.stderr, command
        assert refused.stdout == ""
    rows = json.loads(fresh_server.strata("doctor", "-o", "json", check=False).stdout)["checks"]
    assert next(row["found"] for row in rows if row["what"] == "server").startswith("none runs")
    with (data / "run" / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked = fresh_server.strata("user", "list", check=False)
        assert asked.returncode == 3
        rows = json.loads(fresh_server.strata("doctor", "-o", "json", check=False).stdout)["checks"]
        assert next(row["found"] for row in rows if row["what"] == "server").startswith("starting")
        waiting = subprocess.Popen(
            [binary(), "env", "--data", str(data)], stdout=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.communicate(timeout=1)
        waiting.kill()
        printed, _ = waiting.communicate()
        assert printed == ""


def test_a_taken_port_is_told_with_the_way_out(server, tmp_path):
    address = server.http.removeprefix("http://")
    done = subprocess.run(
        [binary(), "serve", "--data", tmp_path / "other", "--http", address, "--s3", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert f"cannot listen on {address}" in done.stderr and "port 0 takes a free one" in done.stderr


def test_a_directory_that_cannot_hold_a_server_is_told_with_the_option(tmp_path):
    (tmp_path / "file").write_text("")
    for command, folder in (
        ("serve", tmp_path / "file"),
        ("serve", tmp_path / "file" / "below"),
        ("stop", tmp_path / "none"),
        ("stop", tmp_path / "file"),
    ):
        refused = subprocess.run(
            [binary(), command, "--data", folder], capture_output=True, text=True, timeout=20
        )
        assert refused.returncode == 3
        assert str(folder) in refused.stderr and "--data or STRATA_DATA" in refused.stderr
    assert not (tmp_path / "none").exists()


def test_a_team_begins_with_the_first_user_who_is_in_it_or_empty(server):
    server.strata("user", "create", "team-first", "--team", "team-of-one")
    server.strata("team", "create", "team-of-none")
    listed = json.loads(server.strata("team", "list", "-o", "json").stdout)["teams"]
    members = {team["name"]: team["members"] for team in listed}
    assert members["team-of-one"] == ["team-first"] and members["team-of-none"] == []
    again = server.strata("team", "create", "team-of-one", check=False)
    assert again.returncode == 5 and "team-of-one" in again.stderr
