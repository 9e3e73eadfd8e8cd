"""A receiver of alerts: a plain HTTP server that keeps what it is sent."""

from __future__ import annotations

import http.server
import json
import threading


class Receiver:
    """On a port of its own; `status` is what it answers, `hang` keeps it from answering."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[str, dict, dict | list]] = []
        self.status = 200
        self.hang = threading.Event()
        self.release = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), json.loads(body)))
                if outer.hang.is_set():
                    outer.release.wait(60)
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def bodies(self) -> list:
        return [body for _, _, body in self.requests]

    def alerts(self, status: str) -> list[dict]:
        """Of all webhook bodies, those that fire or are resolved."""
        return [a for body in self.bodies() for a in body["alerts"] if a["status"] == status]

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
