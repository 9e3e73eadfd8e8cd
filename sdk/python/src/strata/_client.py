"""HTTP to the server, by the standard library only."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ._errors import ConfigurationError, UnavailableError, error_for


def segment(text: str) -> str:
    """One percent-encoded path segment."""
    return quote(text, safe="")


class Client:
    """A server and the token to speak to it with, in `project` or else in the token's own.

    Safe to share between threads; each keeps one connection.
    """

    def __init__(self, url: str, token: str, *, project: str = "", timeout: float = 300.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"STRATA_URL is {url!r}: expected http://HOST:PORT")
        self.url = url.rstrip("/")
        self.token = token
        self.project = project
        self.timeout = timeout
        self._parts = parts
        self._local = threading.local()

    def _headers(self) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.project:
            headers["Strata-Project"] = self.project
        return headers

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=self.timeout, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(host, port, timeout=self.timeout)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Sends on the kept connection; on a fresh one when the server had closed that."""
        for fresh in (False, True):
            kept: http.client.HTTPConnection | None = (
                None if fresh else getattr(self._local, "connection", None)
            )
            reused = kept is not None
            connection = kept or self._connect()
            self._local.connection = connection
            try:
                connection.request(
                    method,
                    self._parts.path.rstrip("/") + path,
                    body=body,
                    headers=dict(headers),
                )
                return connection.getresponse()
            except (
                http.client.RemoteDisconnected,
                ConnectionResetError,
                BrokenPipeError,
            ) as problem:
                self.close()
                # The server may have done what was asked: only a connection that it had closed
                # while it was idle is safe to try again.
                if not reused:
                    raise UnavailableError(
                        f"{self.url} closed the connection: {problem}"
                    ) from problem
            except (OSError, http.client.HTTPException) as problem:
                self.close()
                raise UnavailableError(f"cannot reach {self.url}: {problem}") from problem
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Closes this thread's connection."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> tuple[bytes, Mapping[str, str]]:
        """One call; the body and the header fields (lower case) of its answer.

        Raises a StrataError for status >= 400.
        """
        if query:
            path = f"{path}?{urlencode({k: v for k, v in query.items() if v is not None})}"
        headers = {**self._headers(), "Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        answer = self._send(method, path, body, headers)
        content = answer.read()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        if answer.status >= 400:
            try:
                parsed: object = json.loads(content)
            except ValueError:
                parsed = content.decode("utf-8", "replace")
            raise error_for(answer.status, parsed)
        return content, fields

    def json(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """One call with JSON both ways."""
        data = None if body is None else json.dumps(body).encode()
        content, _ = self.request(method, path, query=query, body=data)
        return json.loads(content) if content else None

    def stream(self, path: str, *, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """The answer's body piece by piece as it arrives, on a connection of its own."""
        own = Client(self.url, self.token, project=self.project, timeout=24 * 3600.0)
        if query:
            path = f"{path}?{urlencode({k: v for k, v in query.items() if v is not None})}"
        try:
            answer = own._send("GET", path, None, own._headers())
            if answer.status >= 400:
                raise error_for(answer.status, json.loads(answer.read() or b"{}"))
            while piece := answer.read1(65536):
                yield piece
        finally:
            own.close()


_default: Client | None = None
_default_from: tuple[str, str, str] | None = None


def connect(url: str | None = None, token: str | None = None, project: str | None = None) -> Client:
    """The client for a server; without arguments the one that STRATA_URL and STRATA_TOKEN name.

    Its calls go to `project`, or STRATA_PROJECT, or else to the token's own project.
    Raises ConfigurationError when URL or token are not set.
    """
    global _default, _default_from
    url = url or os.environ.get("STRATA_URL", "")
    token = token or os.environ.get("STRATA_TOKEN", "")
    project = os.environ.get("STRATA_PROJECT", "") if project is None else project
    if not url or not token:
        missing = "STRATA_URL" if not url else "STRATA_TOKEN"
        raise ConfigurationError(f'{missing} is not set; run: eval "$(strata env)"')
    if _default is None or _default_from != (url, token, project):
        _default = Client(url, token, project=project)
        _default_from = (url, token, project)
    return _default
