"""A log-in server as oauth2-proxy or Authelia are one: it verifies a cookie, else sends browsers to its page, and others 401."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, quote, urlsplit

GROUPS = {"alice": ("staff", "admins"), "bob": ("staff",)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """The method's name is the library's."""
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        path = urlsplit(self.path)
        if path.path == "/sso/login":
            asked = parse_qs(path.query)
            self._say(303, ("Location", asked["rd"][0]), ("Set-Cookie", f"sso={asked['user'][0]}; Path=/; HttpOnly"))
            return
        user = self.headers.get("Cookie", "").partition("sso=")[2].partition(";")[0]
        if user not in GROUPS:
            target = f"/sso/login?user=alice&rd={quote(self.headers.get('X-Original-URL', '/'), safe='')}"
            if "text/html" in self.headers.get("Accept", ""):
                self._say(302, ("Location", target), ("Set-Cookie", "state=1"), ("Set-Cookie", "csrf=2"))
            else:
                self._say(401, ("WWW-Authenticate", "Bearer"))
        elif self.headers.get("X-Forwarded-Uri", "").startswith("/admin/") and "admins" not in GROUPS[user]:
            self._say(403, body=b"not for you")
        else:
            self._say(200, ("Remote-User", user), *(("Remote-Groups", group) for group in GROUPS[user]), ("Set-Cookie", "seen=1"))

    def _say(self, status: int, *fields: tuple[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the library's
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []


class SsoServer:
    """As a context: serving inside, gone after."""

    def __init__(self) -> None:
        self._server = _Server()
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """As it stands in a configuration."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def asked(self) -> list[tuple[str, dict[str, str]]]:
        """Paths and fields of what it was asked."""
        return self._server.asked

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
