"""Bodies that are too large, too deep or not what they say, on every door that takes JSON."""

import gzip
import pathlib
import socket
import uuid
import zlib

import pytest
import requests
from bodies import connect, head_of, message_of, resident_kib, serve_model, status_and_json, stream

# Where a JSON body is taken, with the key under which that protocol says what is wrong.
JSON_DOORS = {
    "rest": ("POST", "/api/v1/users"),
    "sql": ("POST", "/api/v1/sql"),
    "flow": ("PUT", "/api/v1/flows/bad-input"),
    "mlflow": ("POST", "/api/2.0/mlflow/runs/log-batch"),
    "oip": ("POST", "/v2/models/served/infer"),
    "scoring": ("POST", "/endpoints/served/invocations"),
}


@pytest.fixture(scope="module")
def served(server):
    return serve_model(server)


@pytest.fixture(params=sorted(JSON_DOORS))
def door(request, server, served):
    method, path = JSON_DOORS[request.param]
    return request.param, method, path.replace("served", served)


def peak_kib(server) -> int:
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


TWO_GB = 2 << 30


def test_two_gigabytes_announced_are_refused_before_they_are_sent(server, door):
    name, method, path = door
    head = head_of(server, method, path, f"Content-Length: {TWO_GB}", "Expect: 100-continue")
    with connect(server.http) as connection:
        answer, _ = stream(connection, head, b"[", 0)
    status, body = status_and_json(answer)
    assert status == 413
    assert str(TWO_GB) in message_of(name, body) and "allowed" in message_of(name, body)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_two_gigabytes_of_json_are_refused_early_and_leave_nothing_behind(server, door, framing):
    name, method, path = door
    piece = b'{"a":[' + b"1," * (1 << 19)
    length = f"Content-Length: {TWO_GB}"
    if framing == "chunked":
        length = "Transfer-Encoding: chunked"
        piece = b"%x\r\n%s\r\n" % (len(piece), piece)
    before = resident_kib(server)
    with connect(server.http) as connection:
        answer, sent = stream(connection, head_of(server, method, path, length), piece, TWO_GB)
    status, body = status_and_json(answer)
    assert status == 413, answer
    assert "larger than" in message_of(name, body)
    assert sent < 100 << 20
    # The largest body that a route takes is one of 64 MiB.
    assert resident_kib(server) - before < 80 << 10


def test_deeply_nested_json_is_malformed(server, door):
    name, method, path = door
    for text in ("[" * 200_000, '{"a":' * 50_000, '{"inputs":' + "[" * 100_000):
        answer = requests.request(
            method,
            server.http + path,
            data=text,
            headers={**server.bearer(), "Content-Type": "application/json"},
        )
        assert answer.status_code == 400, (name, answer.text)
        assert message_of(name, answer.json())


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "nan", "+1", "01"])
def test_what_is_no_json_number_is_malformed_where_json_is_asked_for(server, word):
    for path, body in (
        ("/api/v1/users", '{"name": %s}'),
        ("/api/v1/sql", '{"sql": "SELECT $1", "params": [%s]}'),
        ("/api/2.0/mlflow/experiments/create", '{"name": %s}'),
    ):
        answer = requests.post(
            server.http + path,
            data=body % word,
            headers={**server.bearer(), "Content-Type": "application/json"},
        )
        assert answer.status_code == 400, (path, word, answer.text)


# The doors that unpack, with what their bodies may unpack to.
UNPACKING = {"oip": 64 << 20, "scoring": 16 << 20}


def test_a_compressed_body_is_declined_and_not_unpacked(server, door):
    name, method, path = door
    bomb = gzip.compress(bytes(64 << 20))
    before = resident_kib(server)
    for coding in ["br", "gzip, gzip"] + ([] if name in UNPACKING else ["gzip", "deflate"]):
        answer = requests.request(
            method,
            server.http + path,
            data=bomb,
            headers={
                **server.bearer(),
                "Content-Type": "application/json",
                "Content-Encoding": coding,
            },
        )
        assert answer.status_code == 415, answer.text
        assert coding in message_of(name, answer.json())
    assert resident_kib(server) - before < 16 << 10


@pytest.mark.parametrize("name", UNPACKING)
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_bomb_goes_off_no_further_than_the_limit(server, served, name, pack, chunked):
    method, path = JSON_DOORS[name]
    bomb = pack(bytes(512 << 20), 9)
    before = peak_kib(server)
    answer = requests.request(
        method,
        server.http + path.replace("served", served),
        data=iter([bomb]) if chunked else bomb,
        headers={
            **server.bearer(),
            "Content-Type": "application/json",
            "Content-Encoding": "gzip" if pack is gzip.compress else "deflate",
        },
    )
    assert answer.status_code == 413, answer.text
    assert str(UNPACKING[name]) in message_of(name, answer.json())
    assert peak_kib(server) - before < 4 * UNPACKING[name] >> 10


@pytest.mark.parametrize("name", UNPACKING)
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_is_not_packed_as_it_says_is_malformed(server, served, name, coding):
    method, path = JSON_DOORS[name]
    whole = gzip.compress(b'{"inputs": []}') if coding == "gzip" else zlib.compress(b"{}")
    for body in (b'{"inputs": []}', whole[:-1], whole + b"more", b""):
        answer = requests.request(
            method,
            server.http + path.replace("served", served),
            data=body,
            headers={**server.bearer(), "Content-Encoding": coding},
        )
        assert answer.status_code == 400, (body, answer.text)
        assert coding in message_of(name, answer.json())


def test_a_compressed_artifact_or_object_is_declined_where_the_coding_would_be_lost(server):
    bomb = gzip.compress(bytes(8 << 20))
    for path in (
        "/api/2.0/mlflow-artifacts/artifacts/bomb/a",
        "/api/v1/lake/buckets/nothing/objects/a",
    ):
        answer = requests.put(
            server.http + path, data=bomb, headers={**server.bearer(), "Content-Encoding": "gzip"}
        )
        assert answer.status_code == 415, (path, answer.text)


def test_a_body_shorter_than_it_says_is_no_request(server, door):
    name, method, path = door
    with connect(server.http) as connection:
        connection.sendall(head_of(server, method, path, "Content-Length: 100") + b'{"a":')
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer == b"" or status_and_json(answer)[0] in (400, 408), answer


def test_a_slow_reader_of_a_large_object_does_not_hold_it_in_memory(server):
    bucket = "slow-" + uuid.uuid4().hex[:8]
    size = 96 << 20
    headers = server.bearer()
    requests.put(f"{server.s3}/{bucket}", headers=headers).raise_for_status()
    requests.put(
        f"{server.s3}/{bucket}/large",
        data=(bytes(1 << 20) for _ in range(96)),
        headers={**headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
    ).raise_for_status()
    before = resident_kib(server)
    readers = []
    for _ in range(24):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = server.s3.removeprefix("http://").split(":")
        connection.connect((host, int(port)))
        connection.sendall(head_of(server, "GET", f"/{bucket}/large"))
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        readers.append(connection)
    # All of them wait with some of the object unread, and others are served meanwhile.
    assert requests.get(f"{server.s3}/{bucket}/large", headers=headers).content == bytes(size)
    assert resident_kib(server) - before < 48 << 10
    for connection in readers:
        connection.close()
