"""An ACME authority of our own (RFC 8555, 9773, profiles), for what pebble 2.4 has not: it believes everybody, and remembers what
it was told. Its answers can be bent."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

Bent = Callable[[str, dict[str, Any]], tuple[int, bytes] | None]


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class AcmeStub:
    """As a context: it answers inside, and is gone after."""

    def __init__(self, folder: Path) -> None:
        root = trustme.CA()
        self.ca = folder / "stub-ca.pem"
        self.ca.write_bytes(root.cert_pem.bytes())
        self._key = ec.generate_private_key(ec.SECP256R1())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        root.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        self.orders: list[dict[str, Any]] = []
        """What each newOrder said."""
        self.accounts: list[dict[str, Any]] = []
        self.window: tuple[datetime, datetime] | None = None
        self.profiles: dict[str, str] = {}
        self.lifetime = timedelta(days=90)
        self.bent: Bent = lambda path, payload: None
        """(path, what was sent) -> what is answered instead."""
        self.retry_after = ""
        self._issued: dict[int, str] = {}
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self._say(200, b"")

            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                payload = _decoded(body["payload"])
                self._answer(json.loads(payload) if payload else {})

            def _answer(self, payload: dict[str, Any]) -> None:
                bent = stub.bent(self.path, payload)
                status, content, *location = bent if bent is not None else stub.answer(self.path, payload)
                self._say(status, content, location[0] if location else "")

            def _say(self, status: int, content: bytes, location: str = "") -> None:
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                if stub.retry_after:
                    self.send_header("Retry-After", stub.retry_after)
                self.send_header("Replay-Nonce", base64.urlsafe_b64encode(self.path.encode()).rstrip(b"=").decode())
                self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        self.directory = f"{self.url}/dir"

    def answer(self, path: str, payload: dict[str, Any]) -> tuple[Any, ...]:
        """(status, content, location) of one request."""
        what, _, rest = path.lstrip("/").partition("/")
        if what == "dir":
            known = {name: f"{self.url}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
            window = {"renewalInfo": f"{self.url}/ari"} if self.window is not None else {}
            return 200, json.dumps(known | window | {"meta": {"profiles": self.profiles}}).encode()
        if what == "newAccount":
            self.accounts.append(payload)
            return 201, b"{}", f"{self.url}/account/{len(self.accounts)}"
        if what == "newOrder":
            self.orders.append(payload)
            number = len(self.orders) - 1
            return 201, self._order(number), f"{self.url}/order/{number}"
        if what == "order":
            return 200, self._order(int(rest))
        if what == "finalize":
            self._issued[int(rest)] = self._issue(_decoded(payload["csr"]))
            return 200, self._order(int(rest))
        if what == "certificate":
            return 200, self._issued[int(rest)].encode()
        if what == "ari" and self.window is not None:
            start, end = (f"{each.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for each in self.window)
            return 200, json.dumps({"suggestedWindow": {"start": start, "end": end}, "explanationURL": "https://why"}).encode()
        return 404, b"{}"

    def _order(self, number: int) -> bytes:
        told = {
            "status": "valid" if number in self._issued else "ready",
            "authorizations": [f"{self.url}/authz/{number}"],
            "finalize": f"{self.url}/finalize/{number}",
            "certificate": f"{self.url}/certificate/{number}",
        }
        return json.dumps(told).encode()

    def _issue(self, csr: bytes) -> str:
        request = x509.load_der_x509_csr(csr)
        now = datetime.now(UTC) - timedelta(minutes=1)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "stub")]))
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + self.lifetime)
            .add_extension(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.PEM).decode()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
