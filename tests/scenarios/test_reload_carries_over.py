"""What a reload must not forget: TLS tickets, requests in flight, health, counters."""

from __future__ import annotations

import http.client
import re
import socket
import ssl

import pytest

from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.reloads import Config, Reloads
from tests.support.waiting import eventually
from tests.support.wire import Client


def _visit(proxy: LbProxy, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> tuple[bool, ssl.SSLSession, bytes]:
    """Whether the session was resumed, the one to be resumed next time, and the certificate shown (in a full handshake)."""
    raw = socket.create_connection(("127.0.0.1", proxy.port()), 20.0)
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
        tls.sendall(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert tls.recv(65536).startswith(b"HTTP/1.1 200")
        kept = tls.session
        assert kept is not None
        return bool(tls.session_reused), kept, tls.getpeercert(binary_form=True) or b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("changed", ["nothing", "certificate", "second certificate"])
def test_tickets(stage: Stage, version: ssl.TLSVersion, changed: str) -> None:
    """A TLS session of before a reload resumes after it, also after two, also when the certificate is another one by then."""
    proxy = stage.proxy(stage.app().address, workers=2)
    reloads = Reloads(proxy)
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    context.minimum_version = context.maximum_version = version
    sessions = [_visit(proxy, context)[1] for _ in range(4)]
    _, _, shown = _visit(proxy, context)

    def edit(config: Config) -> None:
        certificates = config["listen"][0]["certificates"]
        if changed == "certificate":
            certificates[:] = [stage.authority.issue("localhost", "renewed.test")]
        elif changed == "second certificate":
            certificates.append(stage.authority.issue("second.test"))

    reloads.reload(edit)
    reloads.only_the_newest()
    assert [_visit(proxy, context, session)[0] for session in sessions[:2]] == [True, True]
    assert (_visit(proxy, context)[2] == shown) is (changed != "certificate")
    reloads.reload(edit) if changed == "certificate" else reloads.reload()
    reloads.only_the_newest()
    assert [_visit(proxy, context, session)[0] for session in sessions[2:]] == [True, True]


def test_requests_in_flight_still_count(stage: Stage) -> None:
    """Least connections sees what draining workers have: their backend gets nothing until the others catch up."""
    first, second = stage.app("first"), stage.app("second")
    proxy = stage.proxy(first.address, workers=2)
    reloads = Reloads(proxy)
    proxy.wait_up(first.address)
    old = [stage.client(proxy) for _ in range(6)]
    for client in old:
        client.send_head("GET", "/hold")
    eventually(lambda: first.held() == 6, "six requests in flight on the first backend")
    reloads.reload(lambda config: config["pool"]["app"].update(backends=[first.address, second.address]))
    proxy.wait_up(second.address)
    new = [stage.client(proxy) for _ in range(6)]
    for count, client in enumerate(new, 1):
        client.send_head("GET", "/hold")
        eventually(lambda: first.held() + second.held() == 6 + count, "it is in flight")  # noqa: B023  # asked right here
    assert (first.held(), second.held()) == (6, 6)
    first.release()
    second.release()
    assert {client.response().status for client in old + new} == {200}


def _metric(port: int, name: str) -> float:
    """The sum over all labels."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except OSError:
        return -1.0  # control is being replaced
    finally:
        connection.close()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.M))


def test_counters(stage: Stage) -> None:
    """Counters never go back: what the old workers counted stands in the metrics of the new ones."""
    metrics = free_port()
    proxy = stage.proxy(stage.app().address, workers=2, metrics={"address": f"127.0.0.1:{metrics}"})
    reloads = Reloads(proxy)
    for round_ in (1, 2, 3):
        with stage.client(proxy) as client:
            for _ in range(10):
                assert client.request("GET", "/echo").status == 200
        eventually(lambda: _metric(metrics, "lbproxy_requests_total") == 10 * round_, f"{10 * round_} requests")  # noqa: B023
        reloads.reload()
        reloads.only_the_newest()


def test_health(stage: Stage) -> None:
    """A backend that is down is not tried again because of a reload; nor is one that is up left out until it was checked again."""
    up, down = stage.app("up"), free_port()
    proxy = stage.proxy(up.address, f"127.0.0.1:{down}", workers=2, app={"health": {"interval": "200ms", "rise": 2, "fall": 2}})
    reloads = Reloads(proxy)
    proxy.wait_event("backend.down", backend=f"127.0.0.1:{down}")
    proxy.wait_up(up.address)
    for _ in range(3):
        reloads.reload()
        for _ in range(4):
            with Client(proxy.port(), ca=stage.authority.file) as client:
                assert client.request("GET", "/echo").status == 200
    lines = proxy.wait_access(count=12, status=200)
    assert {(line["backend"], line["tries"]) for line in lines} == {(up.address, 1)}
    assert len(proxy.events("backend.down")) == 1
    assert len(proxy.events("backend.up")) == 1
