"""Tokens of an identity provider, for real: its keys are fetched over TLS, and change while lbproxy runs."""

from __future__ import annotations

import json
import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
import trustme

from tests.conftest import Stage
from tests.support.process import LbProxy, run_cli
from tests.support.waiting import PATIENCE, eventually
from tests.unit.http.test_tokens import EC, ED, OTHER_RSA, RSA, by_hand, jwk, jwt

KEYS = {"RS256": (RSA, "r"), "ES256": (EC, "e"), "EdDSA": (ED, "d")}


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """The method's name is the library's."""
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.keys)))
        self.end_headers()
        self.wfile.write(self.server.keys)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's word
        """Nobody reads it."""


class _Server(ThreadingHTTPServer):
    keys = b""
    status = 200
    asked = 0


class Provider:
    """Has a jwks_uri, over TLS."""

    def __init__(self, certificate: dict[str, str]) -> None:
        self.server = _Server(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate["cert"], certificate["key"])
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}/jwks"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def shows(self, *listed: dict[str, Any]) -> None:
        self.server.keys = json.dumps({"keys": listed}).encode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def provider(stage: Stage) -> Iterator[Provider]:
    with Provider(stage.authority.issue("localhost")) as made:
        made.shows(*(jwk(key, kid) for key, kid in KEYS.values()))
        yield made


def token(algorithm: str, key: Any, kid: str) -> str:
    said = {"sub": "alice", "aud": "shop", "exp": int(time.time()) + 3600}
    return str(jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid}))


def test_keys_are_fetched_and_change(stage: Stage, provider: Provider) -> None:
    """Each kind of key lets in, what no key has signed does not; a new key counts when a token names it, and the old one no more;
    a provider that is broken changes nothing, nor does one whose authority is not among those of the file any more."""
    authorities = stage.directory / "provider-ca.pem"
    shutil.copy(stage.authority.file, authorities)
    settings = {
        "jwks_url": provider.url, "jwks_ca": str(authorities), "jwks_refresh": "2s", "jwks_timeout": "10s",
        "algorithms": [*KEYS], "audience": ["shop"], "claims": {"X-User": "sub"},
    }  # fmt: skip
    config = stage.config(stage.app().address, workers=2)
    config["proxy"]["control"] = str(stage.directory / "control.sock")
    config["route"] = [{"pool": "app", "jwt": settings}]
    proxy = stage.run(config)
    context = ssl.create_default_context(cafile=stage.authority.file)
    with httpx.Client(verify=context, timeout=PATIENCE, base_url=f"https://localhost:{proxy.port()}") as client:

        def asks(text: str) -> int:
            return client.get("/echo", headers={"Authorization": f"Bearer {text}", "Connection": "close"}).status_code

        def lets_in(text: str) -> bool:
            return asks(text) == 200

        for algorithm, (key, kid) in KEYS.items():
            eventually(partial(lets_in, token(algorithm, key, kid)), f"{algorithm} lets in")
        for header in ({"alg": "none", "kid": "r"}, {"alg": "HS256", "kid": "r"}):
            assert asks(by_hand(header, secret=b"x")) == 401
        assert asks(token("RS256", OTHER_RSA, "r")) == 401
        provider.server.status = 503
        proxy.wait_event("jwks.failed", why="answers 503")
        assert asks(token("RS256", *KEYS["RS256"])) == 200, "the last good set stays"
        provider.shows(jwk(OTHER_RSA, "new"))
        provider.server.status = 200
        eventually(lambda: asks(token("RS256", OTHER_RSA, "new")) == 200, "the new key lets in")
        eventually(lambda: asks(token("RS256", *KEYS["RS256"])) == 401, "the old key does not, in both workers")
        [told] = _status(proxy)
        assert (told["url"], told["keys"], told["failures"]) == (provider.url, 1, 0)
        asked = provider.server.asked
        assert run_cli("reload", "-c", str(proxy.file)).returncode == 0
        eventually(lambda: provider.server.asked > asked, "the new control fetches them")
        assert asks(token("RS256", OTHER_RSA, "new")) == 200, "a new generation begins with what was known"
        trustme.CA().cert_pem.write_to_path(str(authorities))
        proxy.wait_event("trust.renewed", jwks=provider.url)
        proxy.wait_event("jwks.failed", why="TLS: its certificate is signed by nobody who is trusted", generation=2)
        assert asks(token("RS256", OTHER_RSA, "new")) == 200, "the last good set stays"


def _status(proxy: LbProxy) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run_cli("status", "--json", "-c", str(proxy.file)).stdout)["key_sets"]
    return found
