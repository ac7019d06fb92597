"""gRPC as people use it: grpcio's client calls grpcio's server through lbproxy."""

from __future__ import annotations

import base64
import json
import queue
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.process import LbProxy, run_cli
from tests.support.reloads import Reloads
from tests.support.shared import assert_books_close
from tests.support.waiting import PATIENCE, eventually

grpc = pytest.importorskip("grpc")
from tests.support.grpc_site import GrpcClient, GrpcSite  # noqa: E402  # needs it

MB = 1_000_000


@pytest.fixture(params=["h2c", "tls"])
def site(request: pytest.FixtureRequest, stage: Stage) -> Iterator[tuple[GrpcSite, dict[str, Any]]]:
    """A backend, and what its pool says of it."""
    if request.param == "tls":
        with GrpcSite(stage.authority.issue("app.internal")) as secure:
            yield secure, {"protocol": "h2", "tls": {"ca": str(stage.authority.file), "server_name": "app.internal"}}
    else:
        with GrpcSite() as plain:
            yield plain, {"protocol": "h2"}


def front(stage: Stage, address: str, **tables: Any) -> LbProxy:
    """lbproxy before it."""
    return stage.proxy(address, metrics={"address": f"127.0.0.1:{free_port()}"}, **tables)


def calls(proxy: LbProxy) -> dict[str, int]:
    """How calls have ended, as /metrics tells it."""
    told = httpx.get(f"http://{proxy.config['metrics']['address']}/metrics", trust_env=False, timeout=PATIENCE).text
    lines = [line for line in told.splitlines() if line.startswith("lbproxy_grpc_calls_total")]
    counted = {line.partition('"')[2].partition('"')[0]: int(line.rpartition(" ")[2]) for line in lines}
    return {code: count for code, count in counted.items() if count}


def test_every_kind_of_call(stage: Stage, site: tuple[GrpcSite, dict[str, Any]]) -> None:
    """Unary, of both streams and of one; metadata in front and behind, binary too; large messages; errors as their backend says."""
    backend, pool = site
    proxy = front(stage, backend.address, app=pool)
    with GrpcClient(proxy.port(), stage.authority.file) as client:
        said = (("my-text", "a, b"), ("my-data-bin", bytes(range(256))))
        answer, call = client.echo.with_call(b"hello", metadata=said, timeout=PATIENCE)
        assert answer == b"hello"
        assert [pair for pair in call.initial_metadata() if pair[0].startswith("my-")] == list(said)
        assert [pair for pair in call.trailing_metadata() if pair[0].startswith("my-")] == list(said)
        large = bytes(range(250)) * (3 * MB // 250)
        assert client.echo(large, timeout=PATIENCE) == large
        assert list(client.count(b"1000", timeout=PATIENCE)) == [b"%d" % number for number in range(1000)]
        assert client.join(iter([b"a", b"", b"b" * MB, b"c"]), timeout=PATIENCE) == b"a" + b"b" * MB + b"c"
        said_next: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        talk = client.talk(iter(said_next.get, b""), timeout=PATIENCE)
        for word in (b"one", b"two", b"three" * 1000):
            said_next.put(word)
            assert next(talk) == word.upper(), "answered before the next is said"
        said_next.put(b"")
        assert list(talk) == []
        for code in ("NOT_FOUND", "UNAUTHENTICATED"):
            with pytest.raises(grpc.RpcError) as failed:
                client.fail(code.encode(), timeout=PATIENCE)
            assert (failed.value.code().name, failed.value.details()) == (code, "as you wish: 100 % \xe9")
    lines = proxy.wait_access(count=7)
    assert [line["grpc_status"] for line in lines] == [0, 0, 0, 0, 0, 5, 16]
    assert {(line["status"], line["reason"], line["protocol"]) for line in lines} == {(200, "", "HTTP/2")}
    assert_books_close(proxy)
    eventually(lambda: calls(proxy) == {"OK": 5, "NOT_FOUND": 1, "UNAUTHENTICATED": 1}, "calls counted")


def test_deadlines_and_cancels_reach_the_backend(stage: Stage, site: tuple[GrpcSite, dict[str, Any]]) -> None:
    """Who waits no longer is not worked for."""
    backend, pool = site
    proxy = front(stage, backend.address, app=pool)
    with GrpcClient(proxy.port(), stage.authority.file) as client:
        with pytest.raises(grpc.RpcError) as failed:
            client.wait(b"", timeout=0.5)
        assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert backend.over.wait(PATIENCE), "the backend does not know of the deadline"
        backend.over.clear()
        never: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        never.put(b"hello")
        talk = client.talk(iter(never.get, b""), timeout=PATIENCE)
        assert next(talk) == b"HELLO"
        talk.cancel()
        assert backend.over.wait(PATIENCE), "the backend does not know that it is called off"
        never.put(b"")
        assert client.echo(b"on", timeout=PATIENCE) == b"on", "the connections go on"
    lines = proxy.wait_access(count=3)
    assert {line["grpc_status"] for line in lines[:2]} <= {1, 4}  # whether the client's reset or our alarm comes first
    assert_books_close(proxy)


@pytest.mark.parametrize("field", ["grpc-timeout", "grpc-previous-rpc-attempts", "my-data-bin"])
def test_what_one_client_says_wrongly_is_not_held_against_others(stage: Stage, field: str) -> None:
    """They share a connection to the backend, and with it a table of compression, of which it refuses what it could not read."""
    with GrpcSite() as backend:
        proxy = front(stage, backend.address, app={"protocol": "h2"})
        sound = {"grpc-timeout": "20S", "grpc-previous-rpc-attempts": "1", "my-data-bin": "AAAA"}[field]
        with httpx.Client(http2=True, verify=ssl.create_default_context(cafile=stage.authority.file), trust_env=False) as client:
            for value, expected in (("*", "13"), ("x", "13"), (sound, "0")):
                answer = client.post(
                    f"https://localhost:{proxy.port()}/lbproxy.test.Site/Echo", content=bytes(5), timeout=PATIENCE,
                    headers={"content-type": "application/grpc", "te": "trailers", field: value},
                )  # fmt: skip
                assert answer.headers.get("grpc-status", "0") == expected, answer.headers.get("grpc-message")
        eventually(lambda: sum(calls(proxy).values()) == 3, "calls counted")
        assert calls(proxy) == {"OK": 1, "INTERNAL": 2}
        assert_books_close(proxy)


def test_errors_of_ours_are_statuses(stage: Stage) -> None:
    """By which clients know whether to call again: nobody there, no route, too much."""
    with GrpcSite() as backend:
        config = stage.config(backend.address, app={"protocol": "h2", "health": {"type": "off"}}, limits={"body": "1MB"})
        config["route"] = [{"pool": "app", "path": "/lbproxy.test.Site/"}]
        proxy = stage.run(config)
        with GrpcClient(proxy.port(), stage.authority.file) as client:

            def failure(call: Any, message: bytes) -> tuple[str, str]:
                with pytest.raises(grpc.RpcError) as failed:
                    call(message, timeout=PATIENCE)
                return failed.value.code().name, failed.value.details()

            assert failure(client.channel.unary_unary("/other.Service/Method"), b"") == ("UNIMPLEMENTED", "lbproxy: no_route")
            assert failure(client.echo, b"x" * (2 * MB)) == ("RESOURCE_EXHAUSTED", "lbproxy: body_too_large")
            assert client.echo(b"fine", timeout=PATIENCE) == b"fine"
            port = backend.port
            backend.stop()
            code, details = failure(client.echo, b"")
            assert (code, details.partition(" ")[0]) == ("UNAVAILABLE", "lbproxy:")
            with GrpcSite(port=port):
                assert client.echo(b"back", timeout=PATIENCE) == b"back"
    assert_books_close(proxy)


def test_through_a_reload(stage: Stage) -> None:
    """A stream that is open goes on to its end; calls that come meanwhile are all served, by the old or by the new generation."""
    with GrpcSite() as backend:
        proxy = front(stage, backend.address, app={"protocol": "h2"}, proxy={"drain_timeout": "60s"})
        with GrpcClient(proxy.port(), stage.authority.file) as client:
            words: queue.SimpleQueue[bytes] = queue.SimpleQueue()
            words.put(b"before")
            talk = client.talk(iter(words.get, b""), timeout=2 * PATIENCE)
            assert next(talk) == b"BEFORE"
            reloads = Reloads(proxy)
            for _ in range(2):
                waiting = [client.echo.future(b"%d" % number, timeout=PATIENCE) for number in range(50)]
                reloads.reload()
                waiting += [client.echo.future(b"%d" % number, timeout=PATIENCE) for number in range(50, 100)]
                assert [call.result() for call in waiting] == [b"%d" % number for number in range(100)]
                words.put(b"still here")
                assert next(talk) == b"STILL HERE"
            words.put(b"")
            assert list(talk) == []
        lines = proxy.wait_access(count=201)
    assert {line["grpc_status"] for line in lines} == {0}


def test_health_checks_of_a_health_service(stage: Stage) -> None:
    """As grpcio-health-checking serves them: of the server, of a service, of one that it does not know; and where there is none."""
    health = pytest.importorskip("grpc_health.v1.health")
    pb2_grpc = pytest.importorskip("grpc_health.v1.health_pb2_grpc")
    serving = pytest.importorskip("grpc_health.v1.health_pb2").HealthCheckResponse
    servicer = health.HealthServicer()
    servicer.set("orders", serving.NOT_SERVING)
    with GrpcSite() as without, GrpcSite(more=lambda server: pb2_grpc.add_HealthServicer_to_server(servicer, server)) as checked:
        config = stage.config(checked.address)
        config["proxy"]["control"] = str(stage.directory / "control.sock")
        config["pool"] = {
            name: {
                "protocol": "h2",
                "backends": [address],
                "health": {"type": "grpc", "interval": "200ms", "rise": 1, "fall": 1, **more},
            }
            for name, address, more in (
                ("app", checked.address, {}),
                ("orders", checked.address, {"service": "orders"}),
                ("unknown", checked.address, {"service": "nobody"}),
                ("without", without.address, {}),
            )
        }
        config["route"] += [{"pool": name, "path": f"/{name}/"} for name in config["pool"] if name != "app"]
        config["route"].reverse()
        proxy = stage.run(config)

        def stand() -> dict[str, str]:
            pools = json.loads(run_cli("status", "--json", "-c", str(proxy.file)).stdout)["pools"]
            return {pool["name"]: pool["backends"][0]["health"] for pool in pools}

        eventually(lambda: stand() == {"app": "up", "orders": "down", "unknown": "down", "without": "down"}, "first checks")
        told = {event["pool"]: event["why"] for event in proxy.events("backend.down")}
        for pool, why in (("orders", "NOT_SERVING"), ("unknown", "grpc-status 5"), ("without", "grpc-status 12")):
            assert why in str(told[pool]), told
        servicer.set("orders", serving.SERVING)
        servicer.set("", serving.NOT_SERVING)
        eventually(lambda: (stand()["orders"], stand()["app"]) == ("up", "down"), "what changes is seen")


class WebSite(BaseHTTPRequestHandler):
    """A backend of gRPC-Web over HTTP/1.1: the message comes back, behind it a frame with the trailers; as text it is base64."""

    protocol_version = "HTTP/1.1"
    TRAILERS = b"grpc-status:0\r\ngrpc-message:fine\r\n"

    def do_POST(self) -> None:
        kind = self.headers["content-type"]
        message = self.rfile.read(int(self.headers["content-length"]))
        frames = message + b"\x80" + len(self.TRAILERS).to_bytes(4, "big") + self.TRAILERS
        if "-text" in kind:
            frames = message + base64.b64encode(frames[len(message) :])
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (frames[:7], frames[7:]):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize("kind", ["application/grpc-web+proto", "application/grpc-web-text"])
def test_grpc_web(stage: Stage, http2: bool, kind: str) -> None:
    """Its bodies pass byte by byte, trailers in them; errors of ours are statuses in the head, which its clients look at first."""
    message = b"\0\0\0\0\x03abc" if kind.endswith("proto") else base64.b64encode(b"\0\0\0\0\x03abcd")
    with ThreadingHTTPServer(("127.0.0.1", 0), WebSite) as site:
        serving = threading.Thread(target=site.serve_forever, args=(0.05,))
        serving.start()
        try:
            config = stage.config(f"127.0.0.1:{site.server_port}", app={"health": {"type": "off"}})
            config["route"] = [{"pool": "app", "path": "/lbproxy.test.Site/"}]
            proxy = stage.run(config)
            context = ssl.create_default_context(cafile=str(stage.authority.file))
            with httpx.Client(http1=not http2, http2=http2, verify=context, timeout=PATIENCE, trust_env=False) as client:
                at = f"https://localhost:{proxy.port()}"
                fields = {"content-type": kind, "x-grpc-web": "1"}
                answer = client.post(f"{at}/lbproxy.test.Site/Echo", content=message, headers=fields)
                behind = b"\x80" + len(WebSite.TRAILERS).to_bytes(4, "big") + WebSite.TRAILERS
                assert answer.headers["content-type"] == kind
                assert answer.content == message + (behind if kind.endswith("proto") else base64.b64encode(behind))
                refused = client.post(f"{at}/other.Service/Method", content=message, headers=fields)
                assert (refused.status_code, refused.content) == (200, b"")
                assert refused.headers["content-type"] == kind
                assert (refused.headers["grpc-status"], refused.headers["grpc-message"]) == ("12", "lbproxy: no_route")
        finally:
            site.shutdown()
            serving.join()
    assert [line["grpc_status"] for line in proxy.wait_access(count=2)] == [None, 12]
    assert_books_close(proxy)
