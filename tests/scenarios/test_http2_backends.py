"""HTTP/2 to backends that people use: hypercorn and nginx, over TLS and without; uvicorn where either protocol may be chosen."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import Stage
from tests.support import threaded_tls, web
from tests.support.at_once import get_at_once
from tests.support.backends import Server, hypercorn, nginx, uvicorn
from tests.support.process import LbProxy, run_cli
from tests.support.reloads import Reloads
from tests.support.shared import assert_books_close
from tests.support.waiting import PATIENCE, eventually

MB = 1_000_000
CHECKED = {"type": "http", "path": "/page", "body": '"http_version": "2"', "interval": "200ms"}


def over_tls(stage: Stage, server: Callable[..., Server]) -> tuple[str, dict[str, Any]]:
    """A backend that shows a certificate, and what its pool says of TLS."""
    backend = stage.server(server(stage.directory, stage.authority.issue("app.internal")))
    return backend.address, {"tls": {"ca": str(stage.authority.file), "server_name": "app.internal"}}


def front(stage: Stage, address: str, protocol: str = "h2", **more: Any) -> LbProxy:
    """lbproxy before it."""
    control = str(stage.directory / f"{protocol.replace('/', '')}.sock")
    return stage.proxy(address, proxy={"control": control}, app={"protocol": protocol, **more})


def told_of(proxy: LbProxy) -> list[dict[str, Any]]:
    """What `lbproxy status` tells of the backends."""
    backends: list[dict[str, Any]] = json.loads(run_cli("status", "--json", "-c", str(proxy.file)).stdout)["pools"][0]["backends"]
    return backends


def client(stage: Stage, proxy: LbProxy, *, http2: bool = False) -> httpx.Client:
    """For the proxy's listener."""
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    base = f"https://localhost:{proxy.port()}"
    return httpx.Client(http1=not http2, http2=http2, base_url=base, verify=context, timeout=60, trust_env=False)


def carries_everything(stage: Stage, at: httpx.Client, *, http2: bool = False) -> None:
    """Bodies both ways, with a length and without, of any size; many at once."""
    body = hashlib.shake_256(b"upload").digest(3 * MB)
    for content in (body, iter([body[:MB], body[MB:]])):
        seen = at.post("/upload", content=content).json()
        assert (seen["length"], seen["sha256"]) == (3 * MB, hashlib.sha256(body).hexdigest())
    down = at.get(f"/bytes/{5 * MB}").content
    assert hashlib.sha256(down).digest() == hashlib.sha256(b"".join(web._bytes(5 * MB))).digest()
    paths = [f"/page{number}?q={number}" for number in range(100)]
    answers = get_at_once(stage.authority.file, str(at.base_url), paths, http1=not http2)
    assert [answer.json()["path"] for answer in answers] == [path.partition("?")[0] for path in paths]


@pytest.mark.parametrize("http2", [False, True], ids=["to an HTTP/1.1 client", "to an HTTP/2 client"])
def test_hypercorn_without_tls(stage: Stage, http2: bool) -> None:
    """With prior knowledge (h2c): fields, bodies, many requests, few connections."""
    proxy = front(stage, stage.server(hypercorn(stage.directory)).address, health=CHECKED)
    with client(stage, proxy, http2=http2) as at:
        seen = at.get("/page", headers={"cookie": "a=b; c=d", "te": "trailers"}).json()
        assert (seen["http_version"], seen["scheme"], seen["cookie"]) == ("2", "http", "a=b; c=d")
        carries_everything(stage, at, http2=http2)
    [backend] = told_of(proxy)
    assert backend["h2_connections"] == backend["h2_connects"] == backend["connects"] <= 2
    assert backend["h2_requests"] == backend["requests"] >= 104
    assert backend["h2_streams"] == backend["in_flight"] == 0
    assert backend["checks"] > 0
    assert (backend["health"], backend["check_failures"]) == ("up", 0)


def test_hypercorn_over_tls(stage: Stage) -> None:
    """By ALPN, chosen where either may be."""
    address, tls = over_tls(stage, hypercorn)
    with client(stage, front(stage, address, "auto", health=CHECKED, **tls)) as at:
        seen = at.get("/page").json()
        assert (seen["http_version"], seen["scheme"]) == ("2", "https")
        carries_everything(stage, at)


def test_uvicorn_under_auto(stage: Stage) -> None:
    """A backend that speaks HTTP/1.1 alone is spoken to in that; where a pool insists on h2 it is refused, with a reason."""
    address, tls = over_tls(stage, uvicorn)
    with client(stage, front(stage, address, "auto", **tls)) as at:
        assert at.get("/page").json()["http_version"] == "1.1"
        carries_everything(stage, at)
    proxy = front(stage, address, "h2", health={"type": "tcp"}, **tls)
    with client(stage, proxy) as at:
        assert at.get("/page").status_code == 502
    proxy.wait_access(status=502, reason="h2_not_chosen")


def test_nginx(stage: Stage) -> None:
    """Its files over HTTP/2, and its goodbye after every hundredth request: none of a thousand is lost."""
    pair = stage.authority.issue("app.internal")
    more = f"ssl_certificate {pair['cert']}; ssl_certificate_key {pair['key']}; keepalive_requests 100;"
    backend = stage.server(nginx(stage.directory, "ssl http2", more))
    data = hashlib.shake_256(b"file").digest(2 * MB)
    (stage.directory / "www" / "file").write_bytes(data)
    proxy = front(stage, backend.address, tls={"ca": str(stage.authority.file), "server_name": "app.internal"})
    with client(stage, proxy) as at:
        assert at.get("/file").content == data
        assert at.get("/absent").status_code == 404
        with ThreadPoolExecutor(8) as many:
            statuses = set(many.map(lambda _: at.head("/file").status_code, range(1000)))
        assert statuses == {200}
    assert told_of(proxy)[0]["failures"] == 0


@pytest.mark.parametrize("protocol", ["h2", "http/1.1", "auto"])
def test_a_websocket(stage: Stage, protocol: str) -> None:
    """Over HTTP/2 where the backend carries it there (RFC 8441), else over HTTP/1.1. hypercorn does not end its stream behind the
    closing handshake: its client does so, which need not wait long."""
    address, tls = over_tls(stage, hypercorn)
    proxy = front(stage, address, protocol, **tls)
    context = threaded_tls.context(stage.authority.file)
    with connect(
        f"wss://localhost:{proxy.port()}/", ssl=context, proxy=None, open_timeout=PATIENCE, close_timeout=1
    ) as socket:
        for message in ("hello", b"\x00" * 100_000, ""):
            socket.send(message)
            assert socket.recv(PATIENCE) == message
    proxy.wait_access(status=101)
    assert_books_close(proxy)


class Asking:
    """Clients that ask again and again, and never try anything twice; of HTTP/1.1, for httpx takes what comes behind a GOAWAY of a
    proxy that reloads for a fault."""

    def __init__(self, stage: Stage, proxy: LbProxy, many: int = 6) -> None:
        self._stage, self._proxy = stage, proxy
        self._over = threading.Event()
        self.answers: list[int] = []
        """Their statuses."""
        self.lost: list[str] = []
        """Why there was none."""
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(many)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.more(20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def more(self, many: int) -> None:
        """Wait for so many answers from now on."""
        wanted = len(self.answers) + many
        try:
            eventually(lambda: len(self.answers) > wanted, f"{many} more answers")
        except AssertionError as error:
            alive = sum(thread.is_alive() for thread in self._threads)
            error.add_note(f"{Counter(self.answers)}, {alive} clients ask, lost: {self.lost[-5:]}")
            raise

    def _ask(self) -> None:
        with client(self._stage, self._proxy) as at:
            while not self._over.is_set():
                try:
                    self.answers.append(at.get("/page").status_code)
                except httpx.HTTPError as error:
                    self.lost.append(repr(error))


def test_reloads(stage: Stage) -> None:
    """From one protocol to the other and back: no request is lost, an answer that is under way ends, and old workers leave."""
    proxy = front(stage, stage.server(hypercorn(stage.directory)).address)
    reloads = Reloads(proxy)
    with Asking(stage, proxy) as asking, client(stage, proxy) as at, at.stream("GET", f"/bytes/{20 * MB}") as long:
        pieces = long.iter_raw(65536)
        size = len(next(pieces))
        for protocol in ("http/1.1", "h2", "h2"):
            reloads.reload(lambda config, protocol=protocol: config["pool"]["app"].update(protocol=protocol))  # type: ignore[misc]
            asking.more(20)
        size += sum(map(len, pieces))
    assert size == 20 * MB
    assert (set(asking.answers), asking.lost) == ({200}, [])
    reloads.only_the_newest()
    assert reloads.cut() == 0
    assert_books_close(proxy)


def test_a_backend_that_is_killed(stage: Stage) -> None:
    """Whatever may be asked twice is answered by the other one; an answer that had begun is cut, and told as such."""
    first, second = stage.server(hypercorn(stage.directory)), stage.server(hypercorn(stage.directory))
    proxy = stage.proxy(first.address, second.address, app={"protocol": "h2"})
    with Asking(stage, proxy) as asking:
        first.kill()
        asking.more(50)
    assert set(asking.answers) == {200}, [line for line in proxy.access() if line["status"] != 200]
    # A request that is lost was answered in part: one without a line was lost on a connection that nobody said goodbye on.
    proxy.wait_access(count=len(asking.answers) + len(asking.lost), path="/page")
    begun = [line for line in proxy.access() if (line["status"], line["reason"]) == (200, "response_truncated")]
    assert len(begun) == len(asking.lost), asking.lost
    assert_books_close(proxy)
