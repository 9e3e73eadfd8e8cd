"""What the bodies of all requests may take of the server's memory together (limits.body_memory)."""

from __future__ import annotations

import gzip
import re
import socket
import time
import uuid

import pytest
import requests
from bodies import connect, head_of, message_of, resident_kib, serve_model, status_and_json, stream
from s3_client import client_for
from strata_server import Server
from waits import pause

MIB = 1 << 20
ALL = 16 * MIB
# The last eighth is for bodies of at most 64 KiB.
LARGE = ALL - ALL // 8
ANNOUNCED = 64 * MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("bodies"), "--limits-body-memory", "16MiB").start()
    yield running
    assert running.stop() == 0
    running.strata("stop", "--now", check=False)


@pytest.fixture(scope="module")
def model(server):
    return serve_model(server)


def held(server) -> int:
    text = requests.get(server.http + "/metrics", headers=server.bearer(), timeout=20).text
    return int(re.search(r"^strata_http_body_memory_bytes (\d+)$", text, re.MULTILINE)[1])


def wait_held(server, expected: int) -> None:
    deadline = time.monotonic() + 20
    while (now := held(server)) != expected:
        assert time.monotonic() < deadline, f"{now} bytes are held, not {expected}"
        assert now <= ALL
        pause(0.02)


def half_sent(server, model: str, sent: int) -> socket.socket:
    """A request that announces 64 MiB, sends some of them and then nothing."""
    connection = connect(server.http)
    head = head_of(server, "POST", f"/v2/models/{model}/infer", f"Content-Length: {ANNOUNCED}")
    connection.sendall(head + b"[" * sent)
    return connection


@pytest.fixture
def full(server, model):
    """All but 32 KiB, and what is kept for small bodies, taken by a body that has stopped."""
    taken = LARGE - (32 << 10)
    with half_sent(server, model, taken):
        wait_held(server, taken)
        yield taken
    wait_held(server, 0)


def large_requests(server, model: str) -> dict[str, requests.Request]:
    """A body of 200 KiB for each door that reads bodies into memory."""
    body = b"[" * (200 << 10)
    headers = {**server.bearer(), "Content-Type": "application/json"}
    packed = {**headers, "Content-Encoding": "gzip"}
    scoring = f"{server.http}/endpoints/{model}/invocations"
    return {
        "rest": requests.Request("POST", server.http + "/api/v1/sql", headers, data=body),
        "mlflow": requests.Request(
            "POST", server.http + "/api/2.0/mlflow/runs/log-batch", headers, data=body
        ),
        "oip": requests.Request(
            "POST", f"{server.http}/v2/models/{model}/infer", headers, data=body
        ),
        "scoring": requests.Request("POST", scoring, headers, data=body),
        "packed": requests.Request("POST", scoring, packed, data=gzip.compress(b"[" * MIB)),
        "s3": requests.Request(
            "POST", server.s3 + "/some-bucket/key?uploadId=x", headers, data=body
        ),
    }


def answer_of(request: requests.Request) -> requests.Response:
    with requests.Session() as session:
        return session.send(request.prepare(), timeout=30)


def test_a_body_that_finds_no_memory_is_refused_in_the_form_of_its_door(server, model, full):
    for door, request in large_requests(server, model).items():
        answer = answer_of(request)
        assert answer.status_code == 503, (door, answer.text)
        assert answer.headers["Retry-After"] == "1", door
        assert answer.headers["Connection"] == "close", door
        if door == "s3":
            assert "<Code>SlowDown</Code>" in answer.text
        else:
            form = {"packed": "scoring"}.get(door, door)
            assert "limits.body_memory" in message_of(form, answer.json())
        wait_held(server, full)


def test_small_requests_and_streamed_ones_pass_when_the_memory_is_full(server, full):
    for _ in range(5):
        made = requests.post(
            server.http + "/api/2.0/mlflow/experiments/create",
            json={"name": uuid.uuid4().hex, "tags": [{"key": "k", "value": "v" * 4000}]},
            headers=server.bearer(),
            timeout=20,
        )
        assert made.status_code == 200, made.text
    s3 = client_for(server)
    bucket = "full-" + uuid.uuid4().hex[:8]
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="large", Body=bytes(24 * MIB))
    assert s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == 24 * MIB
    wait_held(server, full)


def test_what_a_peer_has_sent_is_given_back_when_it_goes(server, model, full):
    for _ in range(3):
        with half_sent(server, model, 16 << 10):
            wait_held(server, full + (16 << 10))
        wait_held(server, full)


def test_many_bodies_that_stop_take_no_more_than_the_memory_for_them(server, model):
    before = resident_kib(server)
    with half_sent(server, model, 6 * MIB), half_sent(server, model, 6 * MIB):
        wait_held(server, 12 * MIB)
        head = head_of(server, "POST", f"/v2/models/{model}/infer", f"Content-Length: {ANNOUNCED}")
        for _ in range(40):
            with connect(server.http) as connection:
                answer, sent = stream(connection, head, b"[" * MIB, 6 * MIB)
            status, body = status_and_json(answer)
            assert status == 503 and sent <= 6 * MIB
            assert "limits.body_memory" in message_of("oip", body)
            wait_held(server, 12 * MIB)
        # Without a bound these would be 250 MiB.
        assert resident_kib(server) - before < 80 << 10
    wait_held(server, 0)
    for door, request in large_requests(server, model).items():
        assert 400 <= answer_of(request).status_code < 500, door
    wait_held(server, 0)


def test_what_never_fits_is_too_large(server, model):
    head = head_of(server, "POST", f"/v2/models/{model}/infer", f"Content-Length: {ANNOUNCED}")
    with connect(server.http) as connection:
        answer, _ = stream(connection, head, b"[" * MIB, ANNOUNCED)
    status, body = status_and_json(answer)
    assert status == 413 and "limits.body_memory" in message_of("oip", body)
    wait_held(server, 0)
