"""Header rules, security headers, HSTS and request ids, as clients and real backends see them, over TLS and over plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import signal
import ssl
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.support import backends, tools
from tests.support.backends import Conversation, Scripted
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.wire import Client


def seen(body: bytes) -> dict[str, list[str]]:
    """What our own application tells about the fields it got."""
    fields: dict[str, list[str]] = {}
    for name, value in json.loads(body)["fields"]:
        fields.setdefault(name.lower(), []).append(value)
    return fields


@pytest.fixture
def proxy(stage: Stage) -> LbProxy:
    """TLS on the first listener, plain HTTP on the second; a pool with rules, and a route with more of them."""
    config = stage.config(
        stage.app().address,
        proxy={"hsts": "1d"},
        app={
            "request_headers": {"set": {"X-Team": "blue", "X-Who": "{client_ip} {scheme} {tls_version}"}, "remove": ["X-Debug"]},
            "response_headers": {"set": {"X-Team": "red", "X-Served-By": "{backend}"}},
            "security_headers": "basic",
            "request_id": "make",
        },
    )
    config["route"] = [
        {
            "path": "/strict/",
            "pool": "app",
            "security_headers": "strict",
            "hsts": "1y subdomains",
            "request_headers": {"remove": ["X-Te*"], "set": {"Host": "app.internal"}},
            "request_id": "off",
        },
        {"path": "/echo", "pool": "app"},
    ]
    config["listen"].append({"address": f"127.0.0.1:{free_port()}"})
    return stage.run(config)


def test_both_ways(stage: Stage, proxy: LbProxy) -> None:
    """What the backend gets, what the client gets, and what the log has."""
    for tls, listener, who in ((True, 0, "127.0.0.1 https TLSv1.3"), (False, 1, "127.0.0.1 http")):
        client = stage.client(proxy, tls=tls, listener=listener)
        response = client.request("GET", "/echo", [("X-Debug", "1"), ("x-team", "green"), ("X-Request-Id", "forged")])
        fields = seen(response.body)
        assert fields["x-team"] == ["blue"]
        assert fields["x-who"] == [who]
        assert "x-debug" not in fields
        [request_id] = fields["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", request_id)
        assert response.all("x-request-id") == [request_id]
        assert response.all("x-team") == ["red"]
        assert re.fullmatch(r"127\.0\.0\.1:\d+", response.get("x-served-by") or "")
        assert response.get("x-content-type-options") == "nosniff"
        assert response.all("strict-transport-security") == (["max-age=86400"] if tls else [])
        assert proxy.wait_access(request_id=request_id)


def test_a_routes_own(stage: Stage, proxy: LbProxy) -> None:
    """Its rules follow the pool's, its words stand in place of the pool's; what no route leads to has the words for all."""
    client = stage.client(proxy)
    response = client.request("GET", "/strict/echo", [("Host", "site.test"), ("X-Request-Id", "mine")])
    assert response.get("strict-transport-security") == "max-age=31536000; includeSubDomains"
    assert response.get("x-frame-options") == "DENY"
    assert response.get("x-request-id") is None
    response = client.request("GET", "/nowhere")
    assert (response.status, response.get("strict-transport-security"), response.get("x-frame-options")) == (
        404,
        "max-age=86400",
        None,
    )
    assert response.get("server") is None


def test_curl_and_a_server_that_tells(stage: Stage, tmp_path: Path) -> None:
    """gunicorn's Server stays here unless it is kept; a preset gives way to what the backend says itself."""
    gunicorn = stage.server(backends.gunicorn(tmp_path))
    config = stage.config(gunicorn.address)
    config["route"] = [{"path": "/kept", "pool": "app", "response_headers": {"keep": ["Server"]}}, {"pool": "app"}]
    proxy = stage.run(config)
    for path, kept in (("/", False), ("/kept", True)):
        told = tools.curl(stage.authority.file, "-i", f"https://localhost:{proxy.port()}{path}")
        assert (b"server: gunicorn" in told.stdout.lower()) is kept
        assert told.stdout.startswith(b"HTTP/1.1 200 ")


FORGED = [
    "Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-SSL-Client-Cert", "X-SSL-Client-S-DN", "X-SSL-Cert",
    "SSL-Client-Verify",
    "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-User", "X-Original-URL", "X-Rewrite-URL",
    "SSL_CLIENT_S_DN", "X_SSL_Client_Cert", "Proxy",
]  # fmt: skip


def test_forged(stage: Stage) -> None:
    """Not a byte of what only proxies say gets from a stranger to a backend; a rule may still say it."""

    def script(conversation: Conversation) -> None:
        while True:
            conversation.read_head()
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with Scripted(script) as backend:
        config = stage.config(backend.address, app={"health": {"type": "off"}})
        config["listen"][0]["tls"] = {"client_ca": str(stage.authority.file), "client_auth": "optional"}
        config["pool"]["app"]["request_headers"] = {
            "set": {"Client-Cert": "{client_cert}", "X-SSL-Client-S-DN": "{client_subject}", "X-Print": "{client_fingerprint}"}
        }
        proxy = stage.run(config)
        sent = [(name, "f0rged") for name in FORGED]
        assert stage.client(proxy).request("GET", "/", sent).status == 200
        [head] = backend.received()
    assert b"f0rged" not in head
    assert b"client-cert" not in head.lower()
    assert b"s-dn" not in head.lower()
    assert b"x-print" not in head.lower()


def test_who_the_client_is(stage: Stage) -> None:
    """A verified certificate is told by rules, as RFC 9440 writes it and by its names."""
    config = stage.config(stage.app().address)
    config["listen"][0]["tls"] = {"client_ca": str(stage.authority.file), "client_auth": "required"}
    config["pool"]["app"]["request_headers"] = {
        "set": {"Client-Cert": "{client_cert}", "X-Print": "sha256={client_fingerprint}", "X-Serial": "{client_serial}"}
    }
    proxy = stage.run(config)
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    shown = stage.authority.issue("client.test")
    context.load_cert_chain(shown["cert"], shown["key"])
    end = "-----END CERTIFICATE-----"
    der = ssl.PEM_cert_to_DER_cert(Path(shown["cert"]).read_text().partition(end)[0] + end)
    with Client(proxy.port(), context=context) as client:
        for _ in range(2):
            fields = seen(client.request("GET", "/echo", [("Client-Cert", "forged"), ("x-serial", "forged")]).body)
            assert fields["client-cert"] == [f":{base64.b64encode(der).decode()}:"]
            assert fields["x-print"] == [f"sha256={hashlib.sha256(der).hexdigest()}"]
            [serial] = fields["x-serial"]
            assert re.fullmatch("[0-9a-f]+", serial)


def test_reload(stage: Stage, proxy: LbProxy) -> None:
    """New rules hold for the next request; the log says which changed, and no value that a backend gets."""
    path = proxy.file
    path.write_text(path.read_text().replace('"blue"', '"s3cret"'))
    proxy.signal(signal.SIGHUP)
    proxy.wait_event("reloaded")
    assert "s3cret" not in "".join(proxy.stderr())
    fields = seen(stage.client(proxy).request("GET", "/echo").body)
    assert fields["x-team"] == ["s3cret"]
