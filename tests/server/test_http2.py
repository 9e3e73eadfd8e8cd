"""HTTP/2 on the HTTP port, by curl and by frames made by hand."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import urllib.parse

import pytest
import requests
from http2_peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Peer,
    frame,
    literal,
)


@pytest.fixture
def peer(server):
    made = Peer(server)
    yield made
    made.socket.close()


def curl(server, path: str, *options: str) -> subprocess.CompletedProcess:
    token = server.bearer()["Authorization"]
    return subprocess.run(
        ["curl", "-sS", "--http2-prior-knowledge", "-H", f"Authorization: {token}"]
        + ["-w", "\n%{http_version} %{http_code}", *options, server.http + path],
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_curl_reaches_the_routes_over_http2_as_over_http1(server):
    for path in ("/healthz", "/v2", "/api/v1/endpoints", "/openapi.json", "/nothing/here"):
        done = curl(server, path)
        body, told = done.stdout.rsplit(b"\n", 1)
        plain = requests.get(server.http + path, headers=server.bearer(), timeout=30)
        assert told.decode() == f"2 {plain.status_code}", path
        if "X-Request-Id" in plain.headers and path != "/openapi.json":
            assert len(body) == len(plain.content), path


def test_a_large_body_goes_up_and_its_limit_holds(server, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(b'{"sql": "SELECT 1 -- ' + b"x" * 900_000 + b'"}')
    options = ("-H", "Content-Type: application/json", "--data-binary", f"@{body}")
    told = curl(server, "/v2/repository/index", *options).stdout.rsplit(b"\n", 1)[1]
    assert told == b"2 413"
    answer = curl(server, "/v2/models/nobody/infer", *options).stdout.rsplit(b"\n", 1)
    assert answer[1] == b"2 404" and b"nobody" in answer[0]


def test_strangers_are_refused_over_http2_too(server, peer):
    peer.ask(1, "/api/v1/endpoints")
    peer.until(HEADERS, 1)
    assert "error" in json.loads(peer.until(DATA, 1)[3])


def test_many_streams_are_answered_on_one_connection(peer):
    for stream in range(1, 201, 2):
        peer.ask(stream)
    answered = {peer.until(HEADERS)[2] for _ in range(100)}
    assert answered == set(range(1, 201, 2))


def test_a_foreign_host_is_refused_over_http2(peer):
    fields = [(":method", "GET"), (":scheme", "http"), (":path", "/healthz")]
    fields.append((":authority", "evil.example"))
    block = b"".join(literal(*field) for field in fields)
    peer.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
    peer.until(HEADERS, 1)
    assert b"localhost" in peer.until(DATA, 1)[3]


def test_a_head_that_is_too_large_is_refused_and_the_connection_goes_on(peer):
    block = peer.head("/healthz", "GET", *[(f"x-{i}", "y" * 8000) for i in range(5)])
    pieces = [block[i : i + 16000] for i in range(0, len(block), 16000)]
    peer.send(frame(HEADERS, END_STREAM, 1, pieces[0]))
    for piece in pieces[1:-1]:
        peer.send(frame(CONTINUATION, 0, 1, piece))
    peer.send(frame(CONTINUATION, END_HEADERS, 1, pieces[-1]))
    peer.until(HEADERS, 1)
    assert b"32 KiB" in peer.until(DATA, 1)[3]
    peer.ask(3)
    assert peer.until(HEADERS, 3)


def flood_of_resets(peer) -> bytes:
    out = b""
    for stream in range(1, 6001, 2):
        out += frame(HEADERS, END_HEADERS, stream, peer.head("/api/v1/endpoints", "POST"))
        out += frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
    return out


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(flood_of_resets, id="rapid reset"),
        pytest.param(lambda peer: frame(PING, 0, 0, bytes(8)) * 5000, id="pings"),
        pytest.param(lambda peer: frame(SETTINGS, 0, 0) * 5000, id="settings"),
        pytest.param(
            lambda peer: (
                frame(HEADERS, END_HEADERS, 1, peer.head("/v2/models/m/infer", "POST"))
                + frame(DATA, 0, 1) * 5000
            ),
            id="empty data",
        ),
        pytest.param(
            lambda peer: frame(HEADERS, 0, 1, peer.head("/")) + frame(CONTINUATION, 0, 1) * 5000,
            id="continuations",
        ),
        pytest.param(
            lambda peer: frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1)) * 2,
            id="a window beyond 2 GiB",
        ),
        pytest.param(lambda peer: frame(HEADERS, END_HEADERS, 1, b"\xff" * 100), id="no HPACK"),
        pytest.param(lambda peer: frame(DATA, 0, 1, b"x"), id="data without a stream"),
        pytest.param(lambda peer: b"\xff\xff\xff" + bytes(6), id="a frame of 16 MiB"),
    ],
)
def test_who_floods_or_breaks_the_rules_is_dropped_and_the_server_lives(server, peer, flood):
    try:
        peer.send(flood(peer))
    except (BrokenPipeError, ConnectionResetError):
        pass  # dropped before all was sent
    code = peer.goodbye()
    assert code is None or code > 0
    fresh = Peer(server)
    fresh.ask(1)
    assert fresh.until(HEADERS, 1)
    fresh.socket.close()


def test_a_body_that_is_not_wanted_may_be_sent_to_its_end(peer):
    peer.send(frame(HEADERS, END_HEADERS, 1, peer.head("/v2/models/m/infer", "POST")))
    peer.send(frame(DATA, 0, 1, bytes(16384)) * 3)
    peer.until(HEADERS, 1)
    assert struct.unpack(">I", peer.until(RST_STREAM, 1)[3])[0] == 0
    peer.send(frame(DATA, END_STREAM, 1, bytes(16384)))
    peer.ask(3)
    assert peer.until(HEADERS, 3)


def test_what_begins_like_the_preface_and_is_none_gets_http1s_refusal(server):
    address = urllib.parse.urlsplit(server.http)
    for start in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRINT / HTTP/1.1\r\n\r\n"):
        with socket.create_connection((address.hostname, address.port), 30) as plain:
            plain.sendall(start)
            assert plain.recv(100).startswith(b"HTTP/1.1 ")


def test_a_preface_that_comes_byte_by_byte_is_understood(server):
    address = urllib.parse.urlsplit(server.http)
    with socket.create_connection((address.hostname, address.port), 30) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PREFACE + frame(SETTINGS, 0, 0):
            slow.sendall(bytes([byte]))
        assert slow.recv(9)[3] == SETTINGS


def test_a_server_that_stops_says_goodbye_and_answers_what_was_begun(fresh_server):
    running = fresh_server.start()
    peer = Peer(running)
    body = b"{}"
    token = running.bearer()["Authorization"]
    head = peer.head("/api/v1/endpoints", "POST", ("authorization", token))
    peer.send(frame(HEADERS, END_HEADERS, 1, head) + frame(PING, 0, 0, b"begun..."))
    while peer.until(PING)[3] != b"begun...":
        pass
    running.process.terminate()
    opaque = peer.until(PING)[3]
    assert struct.unpack(">II", peer.until(GOAWAY)[3][:8]) == (2**31 - 1, 0)
    peer.send(frame(PING, ACK, 0, opaque))
    assert struct.unpack(">II", peer.until(GOAWAY)[3][:8]) == (1, 0)
    peer.send(frame(DATA, END_STREAM, 1, body))
    assert peer.until(HEADERS, 1)
    assert running.process.wait(timeout=30) == 0


def test_connections_that_were_reset_flooded_or_left_do_not_hold_up_the_end(fresh_server):
    running = fresh_server.start()
    peers = [Peer(running) for _ in range(4)]
    with contextlib.suppress(OSError):
        peers[0].send(flood_of_resets(peers[0]))
    peers[1].send(frame(HEADERS, END_HEADERS, 1, peers[1].head("/v2/models/m/infer", "POST")))
    peers[2].send(frame(HEADERS, 0, 1, peers[2].head("/")))
    peers[3].ask(1)
    peers[3].until(HEADERS, 1)
    running.process.terminate()
    assert running.process.wait(timeout=20) == 0
    for peer in peers:
        peer.socket.close()


def test_tls_agrees_on_http2(fresh_server, tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    fresh_server.options = ("--tls-certificate", str(certificate), "--tls-private-key", str(key))
    running = fresh_server.start()
    for wanted, version in (("--http2", "2"), ("--http1.1", "1.1")):
        done = subprocess.run(
            ["curl", "-sS", wanted, "--cacert", certificate, "-w", "\n%{http_version} %{http_code}"]
            + [running.http + "/healthz"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stdout.rsplit("\n", 1)[1] == f"{version} 200", done.stderr
