"""Requests by hand with bodies that no client sends, and an endpoint to send them to."""

from __future__ import annotations

import json
import pathlib
import selectors
import socket
import time
import uuid

import requests


def message_of(door: str, answer: dict) -> str:
    """The text of an error in the form of that door; fails when the form is another one."""
    if door in ("rest", "sql", "flow"):
        assert set(answer["error"]) >= {"code", "message", "request_id"}
        return answer["error"]["message"]
    if door == "oip":
        assert set(answer) == {"error"}
        return answer["error"]
    assert set(answer) == {"error_code", "message"}
    return answer["message"]


def serve_model(server) -> str:
    """Makes an endpoint that answers, for the doors that need one; its name."""
    source = pathlib.Path(__file__).parent / "data" / "serving" / "lightgbm"
    name = "bad-input-" + uuid.uuid4().hex[:6]

    def call(method: str, path: str, **options) -> dict:
        url = f"{server.http}/api/2.0/{path}"
        answer = requests.request(method, url, headers=server.bearer(), **options)
        answer.raise_for_status()
        return answer.json()

    made = call("POST", "mlflow/runs/create", json={"experiment_id": "0"})["run"]["info"]
    store = "mlflow-artifacts/artifacts/" + made["artifact_uri"].removeprefix("mlflow-artifacts:/")
    for path in ("MLmodel", "model.lgb"):
        call("PUT", f"{store}/model/{path}", data=(source / path).read_bytes())
    version = {"name": name, "source": made["artifact_uri"] + "/model", "run_id": made["run_id"]}
    call("POST", "mlflow/registered-models/create", json={"name": name})
    call("POST", "mlflow/model-versions/create", json=version)
    alias = {"name": name, "alias": "live", "version": "1"}
    call("POST", "mlflow/registered-models/alias", json=alias)
    server.strata("endpoint", "create", name, "--model", f"models:/{name}@live", "--wait")
    return name


def resident_kib(server) -> int:
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def connect(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def head_of(server, method: str, path: str, *fields: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {server.env['STRATA_TOKEN']}",
        "Content-Type: application/json",
        *fields,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def is_complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end or head.startswith(b"HTTP/1.1 100"):
        return False
    length = head.lower().split(b"content-length:")[1].split()[0]
    return len(body) == int(length)


def stream(connection: socket.socket, head: bytes, piece: bytes, total: int) -> tuple[bytes, int]:
    """Sends `head` and up to `total` bytes of `piece` again and again, never holding more than one,
    until the server answers or ends the connection; the answer and how much was sent."""
    connection.sendall(head)
    connection.setblocking(False)
    sent, answer, rest = 0, b"", memoryview(piece)
    waiting = selectors.DefaultSelector()
    waiting.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for _, ready in waiting.select(timeout=5):
            if ready & selectors.EVENT_READ:
                try:
                    got = connection.recv(65536)
                except ConnectionError:
                    return answer, sent
                answer += got
                if not got or is_complete(answer):
                    return answer, sent
                waiting.modify(connection, selectors.EVENT_READ)
            elif ready & selectors.EVENT_WRITE and sent < total:
                try:
                    written = connection.send(rest)
                except ConnectionError:
                    waiting.modify(connection, selectors.EVENT_READ)
                    continue
                sent += written
                rest = rest[written:] or memoryview(piece)
    raise AssertionError("neither an answer nor an end")


def status_and_json(answer: bytes) -> tuple[int, dict]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)
