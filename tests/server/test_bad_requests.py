"""Heads that could mean two things, floods of them, stalled peers, names that are no names."""

import re
import socket
import urllib.parse
import uuid

import pytest
import requests


def connect(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def exchange(address: str, payload: bytes) -> bytes:
    """All that the server says to those bytes, sent at once, until it ends the connection."""
    with connect(address) as connection:
        try:
            connection.sendall(payload)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused while it was still being sent; the answer is there to be read
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:
            pass
        return answer


def head(line: str, *fields: str) -> bytes:
    return "\r\n".join([line, "Host: localhost", *fields, "", ""]).encode("latin-1")


SECOND = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("port", ["http", "s3"])
@pytest.mark.parametrize(
    "fields, body",
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], b"0\r\n\r\n"),
        (["Content-Length: 5", "Content-Length: 6"], b"hello"),
        (["Content-Length: 5, 6"], b"hello"),
        (["Content-Length: +5"], b"hello"),
        (["Content-Length: -5"], b"hello"),
        (["Content-Length: 0x5"], b"hello"),
        (["Content-Length: 5 5"], b"hello"),
        (["Content-Length: 99999999999999999999999"], b"hello"),
        (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n"),
        (["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding:\x0bchunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"5;\nhello\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"-1\r\nhello\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"5\r\nhelloXX0\r\n\r\n"),
        (["Host: other"], b""),
        (["X-A\x00: 1"], b""),
        (["X-A: 1\x00"], b""),
        ([": 1"], b""),
    ],
)
def test_a_head_that_could_mean_two_things_ends_the_connection(server, port, fields, body):
    """Nothing behind such a head may be taken for a request of its own (RFC 9112, section 11.2)."""
    token = f"Authorization: Bearer {server.env['STRATA_TOKEN']}"
    line = "POST /api/v1/users HTTP/1.1" if port == "http" else "PUT /bucket/key HTTP/1.1"
    answer = exchange(getattr(server, port), head(line, token, *fields) + body + SECOND)
    assert answer.startswith(b"HTTP/1.1 4"), answer
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", answer)) == 1, answer


def test_a_request_line_that_is_none_is_refused(server):
    for line in (
        b"GET\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GE\x00T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /heal thz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nMS\r\n\r\n",  # all but the preface of HTTP/2
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 4096,
    ):
        answer = exchange(server.http, line)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), (line, answer)


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(b"X-%d: a\r\n" % i for i in range(20_000)),
        b"X: " + b"a" * 10_000_000,
        b"".join(b"Cookie: a=b\r\n" for _ in range(20_000)),
    ],
    ids=["many-fields", "one-long-field", "one-name-again-and-again"],
)
def test_a_flood_of_header_fields_is_cut_off(server, flood):
    answer = exchange(server.http, head("GET /healthz HTTP/1.1")[:-2] + flood + b"\r\n\r\n")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413"), answer[:200]
    assert requests.get(server.http + "/healthz").status_code == 200


def test_trailers_without_end_are_cut_off(server):
    token = f"Authorization: Bearer {server.env['STRATA_TOKEN']}"
    request = head("POST /api/v1/users HTTP/1.1", token, "Transfer-Encoding: chunked")
    request += b"2\r\n{}\r\n0\r\n" + b"".join(b"X-%d: a\r\n" % i for i in range(200_000))
    answer = exchange(server.http, request + b"\r\n")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]


def test_many_stalled_peers_do_not_hold_up_the_others(server):
    """In every phase: silent, in a head, in a body, before an answer that they leave unread."""
    token = f"Authorization: Bearer {server.env['STRATA_TOKEN']}"
    phases = [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: loc",
        head("POST /api/v1/users HTTP/1.1", token, "Content-Length: 100") + b'{"na',
        head("POST /api/2.0/mlflow/runs/search HTTP/1.1", token, "Transfer-Encoding: chunked"),
        head("GET /api/openapi.json HTTP/1.1"),
    ]
    stalled = []
    for number in range(400):
        connection = connect(server.http)
        connection.sendall(phases[number % len(phases)])
        stalled.append(connection)
    for _ in range(50):
        answer = requests.get(server.http + "/api/v1/me", headers=server.bearer(), timeout=10)
        assert answer.status_code == 200
    for connection in stalled:
        connection.close()


LONG = "n" * 20_000


@pytest.mark.parametrize(
    "name", [LONG, "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "a%0ab", "%E2%80"]
)
@pytest.mark.parametrize(
    "method, path, form",
    [
        ("GET", "/api/v1/endpoints/{}", "rest"),
        ("DELETE", "/api/v1/endpoints/{}", "rest"),
        ("GET", "/api/v1/flows/{}", "rest"),
        ("PUT", "/api/v1/flows/{}", "rest"),
        ("GET", "/api/v1/models/{}", "rest"),
        ("GET", "/api/v1/predictions/{}", "rest"),
        ("GET", "/api/v1/why/{}", "rest"),
        ("GET", "/api/v1/lake/buckets/{}/objects", "rest"),
        ("POST", "/v2/models/{}/infer", "oip"),
        ("GET", "/v2/models/{}", "oip"),
        ("POST", "/endpoints/{}/invocations", "mlflow"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/{}", "mlflow"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{}", "mlflow"),
        ("GET", "/api/2.0/mlflow/runs/get?run_id={}", "mlflow"),
        ("GET", "/api/2.0/mlflow/registered-models/get?name={}", "mlflow"),
        ("GET", "/api/2.0/mlflow/experiments/get-by-name?experiment_name={}", "mlflow"),
    ],
)
def test_a_name_that_is_none_is_refused_in_the_protocols_form(server, method, path, form, name):
    body = b"{}" if method in ("POST", "PUT") else b""
    fields = [f"Authorization: Bearer {server.env['STRATA_TOKEN']}", f"Content-Length: {len(body)}"]
    if method == "POST":
        fields.append("Content-Type: application/json")
    request = head(f"{method} {path.format(name)} HTTP/1.1", *fields, "Connection: close") + body
    answer = exchange(server.http, request)
    status = int(answer.split()[1])
    assert 400 <= status < 500, answer[:300]
    keys = {"rest": b'{"error":{"code":', "oip": b'{"error":"', "mlflow": b'{"error_code":"'}
    assert answer.partition(b"\r\n\r\n")[2].startswith(keys[form]), answer[:500]


@pytest.mark.parametrize(
    "name", [LONG, "a\x00b", "a\nb", "", " ", "../x", "a/b", "\ud7ff\uffff", "🛫" * 400]
)
def test_names_in_bodies_are_checked_when_a_thing_is_made(server, name):
    made = {
        "/api/v1/users": {"name": name},
        "/api/v1/endpoints": {"name": name, "model": "models:/none@live"},
        "/api/2.0/mlflow/experiments/create": {"name": name},
        "/api/2.0/mlflow/registered-models/create": {"name": name},
    }
    for path, body in made.items():
        answer = requests.post(server.http + path, json=body, headers=server.bearer())
        # An experiment may have almost any name; whatever is taken can be found again.
        assert answer.status_code in (200, 400, 404), (path, answer.status_code, answer.text[:300])
        if path.endswith("experiments/create") and answer.status_code == 200:
            found = requests.get(
                server.http + "/api/2.0/mlflow/experiments/get-by-name",
                params={"experiment_name": name},
                headers=server.bearer(),
            )
            assert found.json()["experiment"]["name"] == name


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/assets/../../../../etc/passwd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/%252e%252e/etc/passwd",
        "/assets/..%5c..%5cetc%5cpasswd",
        "//etc/passwd",
        "/assets/%00",
    ],
)
def test_no_path_of_the_ui_leads_to_a_file(server, path):
    answer = exchange(server.http, head(f"GET {path} HTTP/1.1", "Connection: close"))
    assert b"root:" not in answer
    assert answer.split()[1] in (b"200", b"400", b"404"), answer[:300]


@pytest.mark.parametrize("key", ["../../x", "/x", "a/../../../x", "%2e%2e%2fx", "..\\x", "a%00b"])
def test_an_object_key_never_leads_out_of_its_bucket(server, key):
    """A key is a name: a legal one is found again, and no file appears elsewhere."""
    bucket = "keys-" + uuid.uuid4().hex[:8]
    requests.put(f"{server.s3}/{bucket}", headers=server.bearer()).raise_for_status()
    before = {p for p in server.data.parent.rglob("x") if "lake" not in p.parts}
    raw = urllib.parse.quote(key, safe="/.\\%")
    fields = [f"Authorization: Bearer {server.env['STRATA_TOKEN']}", "Connection: close"]
    put = exchange(
        server.s3, head(f"PUT /{bucket}/{raw} HTTP/1.1", *fields, "Content-Length: 4") + b"kept"
    )
    if put.startswith(b"HTTP/1.1 200"):
        got = exchange(server.s3, head(f"GET /{bucket}/{raw} HTTP/1.1", *fields))
        assert got.endswith(b"\r\n\r\nkept"), got
    else:
        assert put.startswith(b"HTTP/1.1 400") and b"<Error><Code>" in put, put
    assert {p for p in server.data.parent.rglob("x") if "lake" not in p.parts} == before
