"""TLS as configured: certificates by name, versions 1.2 and 1.3, nothing older, verified by clients that mean it."""

from __future__ import annotations

import socket
import ssl
import warnings
from typing import Any

import pytest

from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.wire import Client


def _names(client: Client) -> set[str]:
    shown: Any = client.tls.getpeercert()
    return {value for _, value in shown["subjectAltName"]}


@pytest.fixture(scope="module")
def proxy(standing: Stage) -> LbProxy:
    """Three certificates on one listener; the first is the one for clients that ask for nobody."""
    config = standing.config(standing.app().address)
    issue = standing.authority.issue
    config["listen"][0]["certificates"] = [issue("first.test", "localhost"), issue("second.test"), issue("*.wild.test")]
    return standing.run(config)


@pytest.mark.parametrize(("asked", "shown"), [
    ("first.test", "first.test"),
    ("second.test", "second.test"),
    ("SECOND.test", "second.test"),
    ("any.wild.test", "*.wild.test"),
])  # fmt: skip
def test_sni(stage: Stage, proxy: LbProxy, asked: str, shown: str) -> None:
    """The certificate fits the name that the client asks for, and verifies."""
    with stage.client(proxy, name=asked) as client:
        assert shown in _names(client)
        assert client.request("GET", "/echo", [("Host", asked)]).status == 200


@pytest.mark.parametrize("name", [None, "unknown.test", "two.deep.wild.test", "127.0.0.1"])
def test_unknown_names(stage: Stage, proxy: LbProxy, name: str | None) -> None:
    """Without a name, or with one that nobody has, the first certificate is shown; a verifying client then judges for itself."""
    lenient = ssl.create_default_context(cafile=str(stage.authority.file))
    lenient.check_hostname = False
    with Client(proxy.port(), context=lenient, name=name) as client:
        assert "first.test" in _names(client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(stage: Stage, proxy: LbProxy, version: ssl.TLSVersion) -> None:
    """1.2 and 1.3 are spoken, requests and large bodies included."""
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    context.minimum_version = context.maximum_version = version
    with Client(proxy.port(), context=context) as client:
        assert client.tls.version() == version.name.replace("TLSv1_", "TLSv1.")
        assert len(client.request("GET", "/bytes/1000000").body) == 1_000_000
        assert client.request("POST", "/mirror", body=b"m" * 300_000).body == b"m" * 300_000


def test_old_versions_are_refused(stage: Stage, proxy: LbProxy) -> None:
    """TLS 1.1 is not spoken, whatever the client allows itself."""
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        Client(proxy.port(), context=context)


def test_modern_profile(stage: Stage) -> None:
    """profile = "modern" speaks 1.3 only."""
    config = stage.config(stage.app().address)
    config["listen"][0]["tls"] = {"profile": "modern"}
    proxy = stage.run(config)
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    with Client(proxy.port(), context=context) as client:
        assert client.tls.version() == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        Client(proxy.port(), context=context)


def test_resumption(stage: Stage, proxy: LbProxy) -> None:
    """A client that comes back resumes its session."""
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    with Client(proxy.port(), context=context) as client:
        assert client.request("GET", "/echo").status == 200
        session = client.tls.session
    raw = socket.create_connection(("127.0.0.1", proxy.port()))
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as again:
        assert again.session_reused


def test_the_end_is_told(stage: Stage, proxy: LbProxy) -> None:
    """`Connection: close`: after the response comes close_notify, not a cut (the client would see a ragged end)."""
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo", [("Connection", "close")]).get("connection") == "close"
        assert client.rest() == b""


def test_byte_by_byte(stage: Stage, proxy: LbProxy) -> None:
    """A request in records of one byte each is the same request."""
    with stage.client(proxy) as client:
        client.send_bytewise(
            b"POST /mirror HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
        )
        assert client.response("POST").body == b"abcd"


@pytest.mark.parametrize("auth", ["required", "optional"])
def test_client_certificates(stage: Stage, auth: str) -> None:
    """client_auth: required turns away who shows none; optional lets everybody in."""
    config = stage.config(stage.app().address)
    config["listen"][0]["tls"] = {"client_ca": str(stage.authority.file), "client_auth": auth}
    proxy = stage.run(config)
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    if auth == "required":
        with pytest.raises((ssl.SSLError, ConnectionError)), Client(proxy.port(), context=context) as nobody:
            nobody.request("GET", "/echo")  # with TLS 1.3 the refusal comes after the client's part of the handshake
    else:
        with Client(proxy.port(), context=context) as nobody:
            assert nobody.request("GET", "/echo").status == 200
    shown = stage.authority.issue("client.test")
    context.load_cert_chain(shown["cert"], shown["key"])
    with Client(proxy.port(), context=context) as known:
        assert known.request("GET", "/echo").status == 200


def test_re_encryption(stage: Stage) -> None:
    """A pool with tls: the backend (here another lbproxy) is spoken to over TLS, and verified by its name."""
    inner = stage.proxy(stage.app("inner").address)
    through = {"ca": str(stage.authority.file), "server_name": "localhost"}
    outer = stage.proxy(f"127.0.0.1:{inner.port()}", app={"tls": through})
    with stage.client(outer) as client:
        assert client.request("POST", "/mirror", body=b"m" * 500_000).body == b"m" * 500_000
    wrong = stage.proxy(
        f"127.0.0.1:{inner.port()}", app={"tls": {**through, "server_name": "other.test"}, "health": {"type": "off"}}
    )
    with stage.client(wrong) as client:
        assert client.request("GET", "/echo").status == 502


def test_a_backend_that_requests_would_refuse_is_down(stage: Stage) -> None:
    """Without a word about checks: one of another name and one that wants a certificate and gets none; the good one gets it all."""
    strict = stage.config(stage.app("strict").address)
    strict["listen"][0]["tls"] = {"client_ca": str(stage.authority.file), "client_auth": "required"}
    other = stage.config(stage.app("other").address)
    other["listen"][0]["certificates"] = [stage.authority.issue("other.test")]
    inner = [stage.proxy(stage.app("good").address), stage.run(strict), stage.run(other)]
    addresses = [f"127.0.0.1:{each.port()}" for each in inner]
    outer = stage.proxy(*addresses, app={"tls": {"ca": str(stage.authority.file), "server_name": "localhost"}})
    assert "wants one and gets none" in outer.wait_event("backend.down", backend=addresses[1])["why"]
    assert "for another name" in outer.wait_event("backend.down", backend=addresses[2])["why"]
    outer.wait_up(addresses[0])
    with stage.client(outer) as client:
        assert {client.request("GET", "/echo").status for _ in range(6)} == {200}


def test_ipv6(stage: Stage) -> None:
    """A listener on [::1] serves like any other."""
    config = stage.config(stage.app().address)
    config["listen"][0]["address"] = f"[::1]:{free_port()}"
    proxy = stage.run(config)
    with Client(proxy.port(), ca=stage.authority.file, host="::1") as client:
        assert client.request("GET", "/echo").status == 200
