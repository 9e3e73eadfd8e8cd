"""The contract that scripts rely on: start, identity, exit codes, what the HTTP port accepts."""

import concurrent.futures
import json
import signal
import socket
import subprocess
import time

import requests
from programs import binary
from waits import pause


def test_ready_means_endpoints_json_and_a_clean_stop_removes_it(fresh_server):
    fresh_server.start()
    endpoints = json.loads((fresh_server.data / "run" / "endpoints.json").read_text())
    assert set(endpoints) == {"http", "s3", "pg"}
    assert requests.get(endpoints["http"] + "/healthz").text == "ok\n"
    assert requests.get(endpoints["http"] + "/readyz").text == "ready\n"
    began = time.monotonic()
    assert fresh_server.stop() == 0
    assert time.monotonic() - began < 5
    assert not (fresh_server.data / "run" / "endpoints.json").exists()


def test_a_server_starts_right_behind_one_that_was_killed(fresh_server):
    fresh_server.start()
    ready = fresh_server.data / "run" / "endpoints.json"
    left_behind = ready.read_text()
    killed = fresh_server.process
    killed.send_signal(signal.SIGKILL)
    fresh_server.launch()  # without waiting for the kernel to take the old process down
    deadline = time.monotonic() + 60
    while not ready.exists() or ready.read_text() in ("", left_behind):
        assert fresh_server.process.poll() is None, (fresh_server.data / "stdout.txt").read_text()
        assert time.monotonic() < deadline, "the server did not become ready"
        pause(0.005)
    assert requests.get(json.loads(ready.read_text())["http"] + "/readyz").text == "ready\n"
    killed.wait()


def test_a_second_server_on_the_same_data_refuses(server):
    second = server.strata("serve", "--http", "127.0.0.1:0", "--s3", "127.0.0.1:0", check=False)
    assert second.returncode == 5
    assert "another server runs" in second.stderr


def test_a_server_that_others_can_reach_needs_tls(fresh_server):
    refused = fresh_server.strata("serve", "--http", "0.0.0.0:0", check=False)
    assert refused.returncode == 2
    assert "0.0.0.0:0" in refused.stderr and "--tls-certificate" in refused.stderr


def test_the_environment_names_every_stock_client(server):
    assert {
        "STRATA_URL",
        "STRATA_TOKEN",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_TOKEN",
    } <= set(server.env)
    assert (server.data / "admin.json").stat().st_mode & 0o777 == 0o600


def test_bearer_and_basic_credentials_both_work(server):
    me = server.http + "/api/v1/me"
    token = server.env["STRATA_TOKEN"]
    assert requests.get(me, headers=server.bearer()).json()["user"] == "admin"
    assert requests.get(me, auth=("anyone", token)).json()["user"] == "admin"
    assert requests.get(me).status_code == 401
    assert requests.get(me, headers=server.bearer("strata_wrong")).status_code == 401


def test_a_token_works_until_it_is_revoked_and_never_beyond_its_scope(server):
    server.strata("user", "create", "carol", "--role", "member")
    made = json.loads(
        server.strata(
            "token", "create", "--user", "carol", "--scope", "lake:read", "-o", "json"
        ).stdout
    )
    assert {"token", "access_key_id", "secret_access_key"} <= set(made)
    headers = server.bearer(made["token"])
    assert requests.get(server.http + "/api/v1/me", headers=headers).json()["user"] == "carol"
    refused = requests.post(server.http + "/api/v1/users", headers=headers, json={"name": "dave"})
    assert refused.status_code == 403
    assert made["token"] not in server.strata("token", "list", "-o", "json").stdout
    server.strata("token", "revoke", made["id"])
    assert requests.get(server.http + "/api/v1/me", headers=headers).status_code == 401


def test_a_revoked_token_takes_along_its_children_and_the_browsers_it_signed_in(server):
    server.strata("user", "create", "rosa")

    def made(*command: str, by: dict | None = None) -> dict:
        env = server.env | ({"STRATA_TOKEN": by["token"]} if by else {})
        done = subprocess.run(
            [binary(), *command, "-o", "json"], env=env, capture_output=True, check=True, timeout=60
        )
        return json.loads(done.stdout)

    def status(token: str) -> int:
        me = server.http + "/api/v1/me"
        return requests.get(me, headers=server.bearer(token), timeout=10).status_code

    office = made("token", "create")
    parent, other = (made("token", "create", "--user", "rosa", by=office) for _ in range(2))
    child = made("token", "create", by=parent)
    grandchild = made("token", "create", by=child)
    browser = made("login-link", by=child)["url"].partition("#token=")[2]
    tokens = [parent["token"], child["token"], grandchild["token"], browser]
    assert [status(token) for token in tokens] == [200] * 4
    server.strata("token", "revoke", parent["id"])
    assert [status(token) for token in tokens] == [401] * 4
    assert status(other["token"]) == 200
    server.strata("token", "revoke", office["id"])  # what it made for others is theirs
    assert status(office["token"]) == 401 and status(other["token"]) == 200
    told = made("audit", "--action", "token.revoke", "--target", f"token:{grandchild['id']}")
    assert told["entries"][0]["detail"]["with"] == f"token:{parent['id']}"


def test_revoking_the_local_admins_own_token_gives_the_local_admin_the_next(fresh_server):
    server = fresh_server.start()
    for named_by in ("AWS_ACCESS_KEY_ID", "id"):
        old = dict(server.env)
        listed = json.loads(server.strata("token", "list", "-o", "json").stdout)["tokens"]
        (known,) = [t for t in listed if t["access_key_id"] == old["AWS_ACCESS_KEY_ID"]]
        server.strata("token", "revoke", known["id"] if named_by == "id" else old[named_by])
        lines = server.strata("env").stdout.splitlines()
        server.env = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        for name in ("STRATA_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            assert server.env[name] != old[name]
        me = server.http + "/api/v1/me"
        assert requests.get(me, headers=server.bearer(old["STRATA_TOKEN"])).status_code == 401
        assert requests.get(me, headers=server.bearer()).json()["user"] == "admin"
        assert "admin" in server.strata("user", "list").stdout
    assert (server.data / "admin.json").stat().st_mode & 0o777 == 0o600
    another = json.loads(server.strata("token", "create", "-o", "json").stdout)
    server.strata("token", "revoke", another["id"])
    assert server.strata("env").stdout.splitlines() == lines


def test_a_disabled_user_is_refused_at_once(server):
    server.strata("user", "create", "erin")
    token = json.loads(server.strata("token", "create", "--user", "erin", "-o", "json").stdout)[
        "token"
    ]
    server.strata("user", "disable", "erin")
    assert requests.get(server.http + "/api/v1/me", headers=server.bearer(token)).status_code == 403


def test_a_token_tells_when_it_ends(server):
    def me(token: str) -> dict:
        return requests.get(server.http + "/api/v1/me", headers=server.bearer(token)).json()

    made = json.loads(server.strata("token", "create", "--expires", "1h", "-o", "json").stdout)
    assert me(made["token"])["expires"] == made["expires"] is not None
    assert me(server.env["STRATA_TOKEN"])["expires"] is None


def test_a_token_expires(server):
    made = json.loads(server.strata("token", "create", "--expires", "1ms", "-o", "json").stdout)
    assert (
        requests.get(server.http + "/api/v1/me", headers=server.bearer(made["token"])).status_code
        == 401
    )


def test_a_token_makes_none_that_does_more_or_lives_longer_than_itself(server):
    server.strata("user", "create", "heidi")

    def token(*options: str) -> dict:
        made = server.strata("token", "create", "--user", "heidi", *options, "-o", "json")
        return json.loads(made.stdout)

    def call(method: str, path: str, by: dict, **body) -> requests.Response:
        url = server.http + "/api/v1/tokens" + path
        return requests.request(method, url, headers=server.bearer(by["token"]), json=body or None)

    whole, narrow, short = token(), token("--scope", "lake:read"), token("--expires", "1h")
    assert call("POST", "", narrow, scope="all").status_code == 403
    assert call("POST", "", narrow, scope="lake:read").ok
    for lifetime in ({}, {"expires": "2h"}):
        refused = call("POST", "", short, scope="lake:read", **lifetime)
        assert refused.status_code == 403 and refused.json()["error"]["field"] == "expires"
    assert call("POST", "", short, expires="30m").ok
    assert [t["id"] for t in call("GET", "", narrow).json()["tokens"]] == [narrow["id"]]
    assert whole["id"] in [t["id"] for t in call("GET", "", whole).json()["tokens"]]
    assert call("DELETE", "/" + whole["id"], narrow).status_code == 403
    assert call("DELETE", "/" + narrow["id"], narrow).ok
    assert call("DELETE", "/" + short["id"], whole).ok


def test_a_tokens_life_has_sensible_ends(server):
    for expires in ("0d", "99999d"):
        refused = server.strata("token", "create", "--expires", expires, check=False)
        assert refused.returncode == 2
        assert "3650d" in refused.stderr


def test_exit_codes_say_what_kind_of_failure_it_was(server):
    assert server.strata("no-such-command", check=False).returncode == 2
    assert server.strata("user", "disable", "nobody", check=False).returncode == 3
    server.strata("user", "create", "frank")
    assert server.strata("user", "create", "frank", check=False).returncode == 5
    assert server.strata("user", "create", "frank/../x", check=False).returncode == 2


def test_a_change_leaves_an_audit_entry(server):
    server.strata("user", "create", "grace")
    entries = requests.get(
        server.http + "/api/v1/audit?target=user:grace", headers=server.bearer()
    ).json()["entries"]
    assert [(e["actor"], e["action"]) for e in entries] == [("admin", "user.create")]


def test_bad_json_is_told_with_its_place_and_field(server):
    users = server.http + "/api/v1/users"
    broken = requests.post(users, headers=server.bearer(), data='{"name": "x",}').json()["error"]
    assert broken["code"] == "malformed" and "line 1" in broken["message"]
    unknown = requests.post(
        users, headers=server.bearer(), json={"name": "x", "rolle": "viewer"}
    ).json()["error"]
    assert unknown["field"] == "rolle" and "role" in unknown["message"]
    large = requests.post(users, headers=server.bearer(), data=b"x" * (2 << 20))
    assert large.status_code == 413


def raw(server, payload: bytes, wait: float = 5.0) -> bytes:
    host, port = server.http.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(payload)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_framing_that_could_smuggle_a_request_is_refused(server):
    smuggle = (
        b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    twice = (
        b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Content-Length: 6\r\n\r\nhello"
    )
    bare = b"GET /healthz HTTP/1.1\nHost: localhost\n\n"
    space = b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n"
    for payload in (smuggle, twice, bare, space):
        assert raw(server, payload).startswith(b"HTTP/1.1 400"), payload


def test_a_foreign_host_name_is_refused(server):
    answer = raw(server, b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403")


def test_a_head_larger_than_the_limit_is_refused(server):
    answer = raw(
        server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 413")


def test_pipelined_requests_are_answered_in_order(server):
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    two = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = raw(server, one + two)
    assert answer.index(b"HTTP/1.1 200") < answer.index(b"HTTP/1.1 404")


def test_many_clients_at_once_are_all_served(server):
    def ask(_):
        with requests.Session() as session:
            session.headers.update(server.bearer())
            return [session.get(server.http + "/api/v1/me").status_code for _ in range(20)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(code == 200 for codes in pool.map(ask, range(32)) for code in codes)


def test_metrics_are_prometheus_text(server):
    requests.get(server.http + "/healthz")
    text = requests.get(server.http + "/metrics", headers=server.bearer()).text
    assert 'strata_http_requests_total{port="http",operation="healthz",status="200"}' in text


def test_wrong_method_names_the_allowed_ones(server):
    answer = requests.delete(server.http + "/healthz")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_users_and_tokens_survive_a_crash(fresh_server):
    fresh_server.start()
    fresh_server.strata("user", "create", "henry")
    token = json.loads(
        fresh_server.strata("token", "create", "--user", "henry", "-o", "json").stdout
    )["token"]
    fresh_server.kill()
    fresh_server.start()
    assert (
        requests.get(fresh_server.http + "/api/v1/me", headers=fresh_server.bearer(token)).json()[
            "user"
        ]
        == "henry"
    )
    fresh_server.process.send_signal(signal.SIGTERM)
    assert fresh_server.process.wait(timeout=10) == 0
