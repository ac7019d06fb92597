"""A server that lets NTLM users in, connection by connection, as IIS does.

    python -m tests.support.ntlm_server PORT USERS [CERT KEY]

USERS is a file of lines DOMAIN:USER:PASSWORD (NTLM_USER_FILE of pyspnego). GET /public asks nobody; anything else wants a login on
its connection, and answers with who that is.
"""

from __future__ import annotations

import base64
import os
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import spnego


class Handler(BaseHTTPRequestHandler):
    """One connection: whoever logged in on it is known until it ends."""

    protocol_version = "HTTP/1.1"
    login: Any = None

    def do_GET(self) -> None:
        if self.path == "/public":
            return self._answer(200, "anybody")
        if self.login is not None and self.login.complete:
            return self._answer(200, f"you are {self.login.client_principal}")
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.upper() != "NTLM":
            return self._answer(401, "who?", "NTLM")
        if self.login is None:
            self.login = spnego.server(protocol="ntlm")
        try:
            reply = self.login.step(base64.b64decode(token))
        except spnego.exceptions.SpnegoError:
            self.login = None
            return self._answer(401, "not you", "NTLM")
        if self.login.complete:
            return self._answer(200, f"you are {self.login.client_principal}")
        return self._answer(401, "go on", f"NTLM {base64.b64encode(reply or b'').decode()}")

    def _answer(self, status: int, text: str, challenge: str = "") -> None:
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def main(port: str, users: str, *files: str) -> None:
    """Serve until killed."""
    os.environ["NTLM_USER_FILE"] = users
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
