"""What is told of each request: its trace (W3C Trace Context) and its line in the access log."""

from __future__ import annotations

import http.client
import json
import re
import time
import uuid

import boto3
import pytest
import requests
from waits import pause

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def lines_of(server, request: str) -> list[dict]:
    """The access log's lines of one request, once there are any."""
    deadline = time.monotonic() + 20
    while True:
        text = (server.data / "logs" / "server.log").read_text()
        found = [json.loads(line) for line in text.splitlines() if request in line]
        if found:
            return [line for line in found if line["event"] == "http.request"]
        assert time.monotonic() < deadline, f"no line of {request}"
        pause(0.02)


def answered(server, *fields: str, path: str = "/healthz") -> tuple[str, dict]:
    """The trace id of the answer to a request with these traceparent fields, and its log line."""
    connection = http.client.HTTPConnection(server.http.removeprefix("http://"), timeout=20)
    connection.putrequest("GET", path)
    for field in fields:
        connection.putheader("traceparent", field)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    version, trace, parent, flags = answer.getheader("Traceparent").split("-")
    assert (version, flags) == ("00", "01")
    assert re.fullmatch("[0-9a-f]{32}", trace) and re.fullmatch("[0-9a-f]{16}", parent)
    assert set(trace) != {"0"} and set(parent) != {"0"}
    (line,) = lines_of(server, answer.getheader("X-Request-Id"))
    assert line["trace"] == trace
    connection.close()
    return trace, line


@pytest.mark.parametrize(
    "field",
    [
        f"00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-00",
        # A version of the future may say more.
        f"cc-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
    ],
)
def test_a_trace_that_a_request_brings_goes_on(server, field):
    assert answered(server, field)[0] == TRACE


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [""],
        [f"ff-{TRACE}-{PARENT}-01"],
        [f"zz-{TRACE}-{PARENT}-01"],
        [f"0-{TRACE}-{PARENT}-01"],
        [f"00-{TRACE.upper()}-{PARENT}-01"],
        [f"00-{TRACE[:-1]}g-{PARENT}-01"],
        [f"00-{TRACE[:-1]}-{PARENT}-01"],
        [f"00-{'0' * 32}-{PARENT}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE}-{PARENT.upper()}-01"],
        [f"00-{TRACE}-{PARENT[:-1]}-01"],
        [f"00-{TRACE}-{PARENT}-0x"],
        [f"00-{TRACE}-{PARENT}"],
        [f"00-{TRACE}-{PARENT}-"],
        [f"00-{TRACE}-{PARENT}-01-more"],
        [f"cc-{TRACE}-{PARENT}-01.more"],
        [f"00_{TRACE}_{PARENT}_01"],
        [f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01"],
        [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01"],
        ["x" * 4000],
    ],
    ids=range(21),
)
def test_a_trace_that_is_none_is_not_taken_over(server, fields):
    first, second = answered(server, *fields)[0], answered(server, *fields)[0]
    assert TRACE not in (first, second) and first != second


def test_each_request_has_one_line_that_says_who_asked_what_and_how_it_ended(server):
    name = f"u-{uuid.uuid4().hex[:8]}"
    server.strata("user", "create", name, "--role", "viewer")
    made = server.strata("token", "create", "--user", name, "-o", "json").stdout
    mine = server.bearer(json.loads(made)["token"])
    model = f"m-{uuid.uuid4().hex[:8]}"
    for method, path, headers, user, status in [
        ("GET", "/api/v1/me?why=asked", mine, name, 200),
        ("GET", f"/api/v1/models/{model}", mine, name, 404),
        ("POST", "/api/v1/users", mine, name, 403),
        ("GET", "/api/v1/me", {}, "", 401),
        ("GET", "/api/v1/no/such/route", mine, "", 404),
        ("GET", "/healthz", {}, "", 200),
    ]:
        answer = requests.request(method, server.http + path, headers=headers, timeout=20)
        assert answer.status_code == status, answer.text
        (line,) = lines_of(server, answer.headers["X-Request-Id"])
        assert line["method"] == method and line["path"] == path.split("?")[0]
        assert (line["status"], line["user"], line["port"]) == (status, user, "http")
        assert 0 <= line["ms"] < 60_000 and line["time"].endswith("Z") and line["peer"]
        assert line["trace"] == answer.headers["Traceparent"].split("-")[1]
        assert line["request"] == answer.headers["X-Request-Id"]
        # Paths differ by request; the operation is what can be counted.
        if model in path:
            assert line["operation"] and model not in line["operation"]
        if "no/such" in path:
            assert line["operation"] == "none"


def test_what_a_client_writes_cannot_forge_a_line(server):
    path = '/api/v1/%0a{"event":"http.request"}"\\x'
    connection = http.client.HTTPConnection(server.http.removeprefix("http://"), timeout=20)
    connection.putrequest("GET", path, skip_host=False, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    lines = lines_of(server, answer.getheader("X-Request-Id"))
    assert [line["path"] for line in lines] == [path]
    connection.close()


def test_no_secret_is_in_the_log(server, client_env):
    bucket = f"log-{uuid.uuid4().hex[:8]}"
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"said in confidence")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    signature = re.search("Signature=([^&]+)", url).group(1)
    presigned = requests.get(url, timeout=20)
    assert presigned.content == b"said in confidence"
    requests.get(url.replace(signature, signature[::-1]), timeout=20)
    made = json.loads(server.strata("token", "create", "--user", "admin", "-o", "json").stdout)
    requests.get(f"{server.http}/api/v1/me", headers=server.bearer(made["token"]), timeout=20)
    requests.get(f"{server.http}/api/v1/me", auth=("anyone", made["token"]), timeout=20)
    unknown = f"strata_{uuid.uuid4().hex}"
    requests.get(f"{server.http}/api/v1/me", headers=server.bearer(unknown), timeout=20)
    last = requests.get(f"{server.http}/api/v1/me?token={made['token']}", timeout=20)
    lines_of(server, last.headers["X-Request-Id"])
    (line,) = lines_of(server, presigned.headers["X-Request-Id"])
    assert line["path"] == f"/{bucket}/k" and line["user"] == "admin"
    text = (server.data / "logs" / "server.log").read_text()
    for secret in (
        signature,
        made["token"],
        made["secret_access_key"],
        server.env["STRATA_TOKEN"],
        server.env["AWS_SECRET_ACCESS_KEY"],
        unknown,
        "said in confidence",
    ):
        assert secret not in text
    assert "Signature" not in text and "Bearer" not in text
