"""A client of HTTP/2 that sends the frames that it is told to."""

from __future__ import annotations

import socket
import struct
import urllib.parse

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
ENHANCE_YOUR_CALM = 11


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header field as HPACK's literal without indexing (RFC 7541 section 6.2.2)."""

    def text(part: str) -> bytes:
        raw, length = part.encode(), b""
        size = len(raw)
        if size < 127:
            length = bytes([size])
        else:
            size, length = size - 127, b"\x7f"
            while size >= 128:
                length += bytes([size % 128 + 128])
                size //= 128
            length += bytes([size])
        return length + raw

    return b"\0" + text(name) + text(value)


class Peer:
    """A client that sends the frames that it is told to."""

    def __init__(self, server) -> None:
        self.address = urllib.parse.urlsplit(server.http)
        self.socket = socket.create_connection((self.address.hostname, self.address.port), 30)
        self.rest = b""
        self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def head(self, path: str, method: str = "GET", *more: tuple[str, str]) -> bytes:
        fields = [(":method", method), (":scheme", "http"), (":path", path)]
        fields += [(":authority", self.address.netloc), *more]
        return b"".join(literal(*field) for field in fields)

    def ask(self, stream: int, path: str = "/healthz") -> None:
        self.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, self.head(path)))

    def read(self, size: int) -> bytes:
        while len(self.rest) < size:
            got = self.socket.recv(65536)
            if not got:
                raise EOFError
            self.rest += got
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def next(self) -> tuple[int, int, int, bytes]:
        head = self.read(9)
        size = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        return kind, flags, stream, self.read(size)

    def until(self, kind: int, stream: int | None = None) -> tuple[int, int, int, bytes]:
        while True:
            got = self.next()
            if got[0] == kind and stream in (None, got[2]):
                return got

    def goodbye(self) -> int | None:
        """The error with which the server ended the connection; None without a last word."""
        try:
            return struct.unpack(">I", self.until(GOAWAY)[3][4:8])[0]
        except (EOFError, ConnectionError):
            return None
