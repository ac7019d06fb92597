"""A plain listener serves plainly, or sends everybody to https with a 308 that keeps method, host, path and query."""

from __future__ import annotations

import pytest

from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.process import LbProxy


@pytest.fixture
def proxy(stage: Stage) -> LbProxy:
    """TLS on the first listener; the second redirects; the third serves without TLS."""
    config = stage.config(stage.app().address)
    config["listen"] += [
        {"address": f"127.0.0.1:{free_port()}", "redirect_to_https": True},
        {"address": f"127.0.0.1:{free_port()}"},
    ]
    return stage.run(config)


def test_redirect(stage: Stage, proxy: LbProxy) -> None:
    """308 to the same place on the TLS listener."""
    client = stage.client(proxy, tls=False, listener=1)
    response = client.request("GET", "/a%20b/c?d=e&f", [("Host", "site.test:8080")])
    assert response.status == 308
    location = response.get("location") or ""
    assert location in (f"https://site.test:{proxy.port()}/a%20b/c?d=e&f", "https://site.test/a%20b/c?d=e&f")
    assert proxy.wait_access(status=308)


def test_redirected_post(stage: Stage, proxy: LbProxy) -> None:
    """A POST is answered without its body, and what follows on the connection is not mistaken for a request."""
    client = stage.client(proxy, tls=False, listener=1)
    body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    assert client.request("POST", "/p", body=body).status == 308
    assert not [line for line in proxy.access() if line["path"] == "/smuggled"]


def test_no_header_injection(stage: Stage, proxy: LbProxy) -> None:
    """A target that would break the Location field apart is refused."""
    client = stage.client(proxy, tls=False, listener=1)
    client.send(b"GET /a\rX: y HTTP/1.1\r\nHost: site.test\r\n\r\n")
    assert client.response().status == 400


def test_plain_listener(stage: Stage, proxy: LbProxy) -> None:
    """Without certificates and redirect, requests are served over plain TCP, and X-Forwarded-Proto says http."""
    client = stage.client(proxy, tls=False, listener=2)
    response = client.request("GET", "/echo")
    assert response.status == 200
    assert b'["X-Forwarded-Proto", "http"]' in response.body
