"""HTTP/2 for clients that people use: curl, nghttp, h2load and httpx; over TLS by ALPN, and by prior knowledge without."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import subprocess
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Stage
from tests.support import h2_frames as wire
from tests.support.at_once import get_at_once
from tests.support.h2_peer import H2Peer
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.reloads import Reloads
from tests.support.tools import curl, need
from tests.support.waiting import eventually

MB = 1_000_000


def run(*command: str) -> str:
    """What it prints; the test fails unless it exits 0."""
    ended = subprocess.run([need(command[0]), *command[1:]], capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"
    return ended.stdout


def h2_client(stage: Stage) -> Any:
    """httpx, which speaks HTTP/2 alone."""
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("h2")
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    return httpx.Client(http1=False, http2=True, verify=context, timeout=60, trust_env=False)


def test_curl(stage: Stage, proxy: LbProxy, tmp_path: Path) -> None:
    """HTTP/2 is agreed on; a body with a length and one without arrive whole, and what is mirrored comes back."""
    url = f"https://localhost:{proxy.port()}"
    said = curl(stage.authority.file, "--http2", "--include", f"{url}/echo?a=b")
    head, _, body = said.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/2 200")
    assert b"\r\nx-backend: app" in head
    seen = json.loads(body)
    assert (seen["method"], seen["target"]) == ("GET", "/echo?a=b")
    path = tmp_path / "upload"
    path.write_bytes(hashlib.shake_256(b"lbproxy").digest(10 * MB))
    seen = json.loads(curl(stage.authority.file, "--http2", "--data-binary", f"@{path}", f"{url}/echo").stdout)
    assert (seen["length"], seen["sha256"]) == (10 * MB, hashlib.sha256(path.read_bytes()).hexdigest())
    with path.open("rb") as stdin:
        command = [need("curl"), "-sS", "--http2", "--cacert", str(stage.authority.file), "-T", "-", f"{url}/mirror"]
        back = subprocess.run(command, stdin=stdin, capture_output=True, timeout=100, check=True).stdout
    assert back == path.read_bytes()


def test_without_tls_by_prior_knowledge(stage: Stage) -> None:
    """A plain listener that names h2 serves both; one that does not serves HTTP/1.1 alone."""
    app = stage.app()
    named, other = free_port(), free_port()
    config = stage.config(app.address)
    config["listen"] += [
        {"address": f"127.0.0.1:{named}", "protocols": ["h2", "http/1.1"]},
        {"address": f"127.0.0.1:{other}"},
    ]
    stage.run(config)
    version = ("--output", "/dev/null", "--write-out", "%{http_version}")
    ca = stage.authority.file
    assert curl(ca, *version, "--http2-prior-knowledge", f"http://127.0.0.1:{named}/echo").stdout == b"2"
    assert curl(ca, *version, f"http://127.0.0.1:{named}/echo").stdout == b"1.1"
    assert curl(ca, *version, f"http://127.0.0.1:{other}/echo").stdout == b"1.1"
    with H2Peer(other, None) as peer:
        assert peer.hear(lambda frames: False) == [] or peer.ended


def test_h2load_and_nghttp(stage: Stage, proxy: LbProxy) -> None:
    """Thousands of requests over a few connections, dozens at a time: each is answered."""
    url = f"https://localhost:{proxy.port()}/bytes/100"
    printed = run("h2load", "-n", "3000", "-c", "3", "-m", "32", url)
    assert re.search(r"3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed, 0 errored", printed), printed
    assert "200" in run("nghttp", "-nas", url)


def test_httpx(stage: Stage, proxy: LbProxy) -> None:
    """Many at once over one connection, in both directions."""
    url = f"https://localhost:{proxy.port()}"
    answers = get_at_once(stage.authority.file, url, [f"/bytes/{size * 1000}" for size in range(64)])
    assert [len(answer.content) for answer in answers] == [size * 1000 for size in range(64)]
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    with h2_client(stage) as client:
        body = hashlib.shake_256(b"x").digest(3 * MB)
        seen = client.post(f"{url}/echo", content=body).json()
        assert seen["sha256"] == hashlib.sha256(body).hexdigest()


class Asker(threading.Thread):
    """Keeps some requests under way until it is told to stop, on a new connection whenever the last one was told to end; repeats
    nothing. (httpx takes any GOAWAY for a failure of all requests, so it is no judge of this.)"""

    def __init__(self, stage: Stage, port: int, at_once: int) -> None:
        super().__init__(daemon=True)
        self._stage, self._port, self._at_once = stage, port, at_once
        self.stop = threading.Event()
        self.done = self.connections = 0
        self.lost: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            with H2Peer(self._port, self._stage.authority.file) as peer:
                self.connections += 1
                self._ask(peer)

    def _ask(self, peer: H2Peer) -> None:
        fields = (*wire.GET[:3], (b":path", b"/bytes/100"))
        under_way: set[int] = set()
        stream, leaving = 1, False
        while under_way or not (leaving or self.stop.is_set()):
            while not leaving and not self.stop.is_set() and len(under_way) < self._at_once:
                peer.say(wire.headers(stream, fields))
                under_way.add(stream)
                stream += 2
            for frame in peer.hear(bool):
                if frame.kind == wire.GOAWAY:
                    leaving = True
                    if frame.code:
                        self.lost.append(str(frame))
                elif frame.kind == wire.PING and not frame.flags:
                    peer.say(wire.ping(frame.payload, ack=True))
                elif frame.kind == wire.RST_STREAM:
                    self.lost.append(str(frame))
                    under_way.discard(frame.stream)
                elif frame.kind in (wire.DATA, wire.HEADERS) and frame.flags & wire.END_STREAM:
                    under_way.discard(frame.stream)
                    self.done += 1
                    peer.say(wire.window(0, 100))
            if peer.ended:
                self.lost += [f"stream {stream}" for stream in under_way]
                return


def _gets(asker: Asker, number: int) -> bool:
    return asker.done >= number


def test_a_reload_loses_nothing(stage: Stage) -> None:
    """Requests that are under way when the workers change are answered, those that cross with the GOAWAY as well; the next ones are
    served by the new workers."""
    proxy = stage.proxy(stage.app().address, workers=2)
    reloads = Reloads(proxy)
    askers = [Asker(stage, proxy.port(), at_once) for at_once in (1, 4, 16)]
    for asker in askers:
        asker.start()
    for _ in range(3):
        reloads.reload()
        for asker in askers:
            eventually(partial(_gets, asker, asker.done + 20), "it is served")
    for asker in askers:
        asker.stop.set()
    for asker in askers:
        asker.join(60)
        assert not asker.is_alive()
        assert asker.lost == []
    assert all(asker.connections >= 2 for asker in askers)
    reloads.only_the_newest()
    assert reloads.cut() == 0


def test_rapid_reset_is_ended_and_counted(stage: Stage) -> None:
    """A client that begins requests and gives them up gets GOAWAY; everybody else is served, and the kind is counted."""
    metrics = free_port()
    proxy = stage.proxy(stage.app().address, metrics={"address": f"127.0.0.1:{metrics}"})
    with H2Peer(proxy.port(), stage.authority.file) as peer:
        for first in range(1, 4001, 200):
            peer.say(b"".join(wire.headers(stream) + wire.reset(stream) for stream in range(first, first + 200, 2)))
        frames = peer.hear(lambda found: any(frame.kind == wire.GOAWAY for frame in found))
    assert [frame.code for frame in frames if frame.kind == wire.GOAWAY] == [0xB]
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo").status == 200
    told = curl(stage.authority.file, f"http://127.0.0.1:{metrics}/metrics").stdout.decode()
    assert 'lbproxy_http2_ended_total{reason="h2_resets"} 1' in told
