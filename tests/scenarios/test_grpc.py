"""gRPC as people use it: grpcio's client calls grpcio's server through lbproxy."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.process import LbProxy
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
