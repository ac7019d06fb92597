"""The cache with real processes: one request for all over two workers, hits over a reload, a leader that is killed."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.process import LbProxy
from tests.support.reloads import Reloads
from tests.support.tools import curl
from tests.support.waiting import eventually

WORKERS = 2
CLIENTS, HERD = 12, 50
LONG, PIECES = 1_000_000, 12
"""More than any client's buffers take."""


def answer(body: bytes, fields: str = "Cache-Control: max-age=600") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n\r\n" % (len(body), fields.encode()) + body


def origin(answering: Callable[[int, Conversation], None]) -> Scripted:
    """A backend whose requests are numbered."""
    count = iter(range(10**6))

    def script(conversation: Conversation) -> None:
        while True:
            conversation.read_head()
            answering(next(count), conversation)

    return Scripted(script)


def served(stage: Stage, address: str, files: str = "", **route: Any) -> LbProxy:
    config = stage.config(address, app={"health": {"type": "off"}}, workers=WORKERS)
    config["route"][0].update({"cache": {"collapse_wait": "60s"}, **route})
    config["cache"] = {"memory": "8MiB", **({"files": files, "disk": "64MiB"} if files else {})}
    return stage.run(config)


def fetched(stage: Stage, proxy: LbProxy, path: str, *arguments: str) -> str:
    """Head and body, over a connection of its own; again where a worker was killed under it."""
    url = f"https://localhost:{proxy.port()}{path}"
    got = curl(stage.authority.file, "--include", "--retry", "5", "--retry-all-errors", "--retry-delay", "0", *arguments, url)
    return got.stdout.decode("latin-1")


def connected(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    """A client that is patient."""
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 60.0), server_hostname="localhost")


def rest_of(client: ssl.SSLSocket) -> bytes:
    """All that it gets, up to the end of the connection."""
    got = bytearray()
    while more := client.recv(65536):
        got += more
    return bytes(got)


def test_one_request_for_all_and_hits_over_a_reload(stage: Stage) -> None:
    """Fifty clients over two workers ask for what nobody has: the backend is asked once. Everybody has it, both protocols, parts
    and heads, compressed or not, and still after a reload."""
    asked: list[int] = []
    go_on = threading.Event()

    def answering(number: int, conversation: Conversation) -> None:
        asked.append(number)
        whole = answer(b"x" * 5000, "Cache-Control: max-age=600\r\nContent-Type: text/css")
        conversation.send(whole[:-2500])  # who comes now is fed, in either worker
        go_on.wait(60)
        conversation.send(whole[-2500:])

    with origin(answering) as backend, ExitStack() as stack:
        proxy = served(stage, backend.address, compress={"codings": ["zstd", "gzip"]})
        trusting = ssl.create_default_context(cafile=str(stage.authority.file))
        waiting = [stack.enter_context(connected(trusting, proxy.port())) for _ in range(HERD)]
        for each in waiting:
            each.sendall(b"GET /herd HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % proxy.port())
        eventually(lambda: len(asked) > 0, "the backend is asked")
        go_on.set()
        for each in waiting:
            assert rest_of(each).endswith(b"\r\n\r\n" + b"x" * 5000)
        # Who was fed has the last byte before it is stored.
        eventually(lambda: "cache-status: lbproxy; hit" in fetched(stage, proxy, "/herd").lower(), "it is stored")
        for version in ("--http1.1", "--http2"):
            got = fetched(stage, proxy, "/herd", version).lower()
            assert "cache-status: lbproxy; hit" in got
            assert "\nage: " in got
        assert fetched(stage, proxy, "/herd", "--range", "0-3").endswith("\r\n\r\nxxxx")
        assert asked == [0]
        gzip = "--compressed", "--header", "Accept-Encoding: gzip"
        eventually(lambda: "cache-status: lbproxy; hit" in fetched(stage, proxy, "/herd", *gzip).lower(), "so is another kind")
        for version in ("--http1.1", "--http2"):
            got = fetched(stage, proxy, "/herd", *gzip, version)
            assert got.endswith("\r\n\r\n" + "x" * 5000)
            said = {line.partition("; ttl")[0] for line in got.lower().splitlines()}
            assert {"cache-status: lbproxy; hit", "content-encoding: gzip", "vary: accept-encoding"} <= said
        Reloads(proxy).reload()
        for _ in range(2 * WORKERS):
            assert "cache-status: lbproxy; hit" in fetched(stage, proxy, "/herd").lower()
        assert asked == [0, 1]
        said = {line["cache"] for line in proxy.wait_access(count=HERD + 3 + 2 * WORKERS, path="/herd")}
        assert said <= {"miss", "hit", "collapsed"}


def test_first_bytes_of_chunks_for_all(stage: Stage, tmp_path: Path) -> None:
    """Who waits for an answer of unknown length, in either worker and over either protocol, has its beginning while the rest is
    not there yet, and then the rest, out of memory and out of a file."""
    go_on = threading.Event()
    chunk = b"%x\r\n%b\r\n" % (100_000, b"x" * 100_000)

    def answering(number: int, conversation: Conversation) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=600\r\n\r\n"
        conversation.send(head + b"5\r\nfirst\r\n")
        go_on.wait(60)
        conversation.send(chunk + b"0\r\n\r\n")

    (tmp_path / "bodies").mkdir(mode=0o700)
    with origin(answering) as backend, ThreadPoolExecutor(CLIENTS) as pool:
        proxy = served(stage, backend.address, files=str(tmp_path / "bodies"))
        outputs = [tmp_path / f"got{number}" for number in range(CLIENTS)]
        spoken = ("--http1.1", "--http2") * (CLIENTS // 2)
        waiting = [
            pool.submit(fetched, stage, proxy, "/chunks", version, "--no-buffer", "--output", str(output))
            for version, output in zip(spoken, outputs, strict=True)
        ]
        eventually(lambda: all(each.exists() and b"first" in each.read_bytes() for each in outputs), "everybody has the beginning")
        assert not any(each.done() for each in waiting)
        go_on.set()
        for each, output in zip(waiting, outputs, strict=True):
            each.result()
            assert output.read_bytes().endswith(b"\r\n\r\nfirst" + b"x" * 100_000)
        eventually(lambda: "cache-status: lbproxy; hit" in fetched(stage, proxy, "/chunks").lower(), "it is stored")


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("chunks", [True, False])
def test_a_leader_whose_client_is_stopped(stage: Stage, tmp_path: Path, version: str, chunks: bool) -> None:
    """Whoever asks meanwhile, in either worker and over either protocol, has all of it, and the backend is asked once: nobody waits
    for another one's client."""
    asked: list[int] = []
    go_on = threading.Event()

    def answering(number: int, conversation: Conversation) -> None:
        asked.append(number)
        head = b"Transfer-Encoding: chunked" if chunks else b"Content-Length: %d" % (5 + LONG * PIECES)
        conversation.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nCache-Control: max-age=600\r\n\r\n")
        conversation.send(b"5\r\nfirst\r\n" if chunks else b"first")
        go_on.wait(60)
        for _ in range(PIECES):
            conversation.send(b"%x\r\n%b\r\n" % (LONG, b"x" * LONG) if chunks else b"x" * LONG)
        if chunks:
            conversation.send(b"0\r\n\r\n")

    (tmp_path / "bodies").mkdir(mode=0o700)
    with origin(answering) as backend, ThreadPoolExecutor(CLIENTS) as pool:
        proxy = served(stage, backend.address, files=str(tmp_path / "bodies"))
        url = f"https://localhost:{proxy.port()}/stopped"
        trusted = "--silent", "--cacert", str(stage.authority.file)
        with subprocess.Popen(["curl", *trusted, version, "--no-buffer", url], stdout=subprocess.PIPE) as leader:
            assert leader.stdout is not None
            try:
                assert leader.stdout.read(5) == b"first"
                leader.send_signal(signal.SIGSTOP)
                go_on.set()
                spoken = ("--http1.1", "--http2") * (CLIENTS // 2)
                for each in [pool.submit(fetched, stage, proxy, "/stopped", spoken) for spoken in spoken]:
                    assert each.result().endswith("\r\n\r\nfirst" + "x" * LONG * PIECES)
                assert asked == [0]
                leader.send_signal(signal.SIGCONT)
                assert leader.stdout.read() == b"x" * LONG * PIECES
            finally:
                leader.kill()


def test_a_leader_that_is_killed(stage: Stage) -> None:
    """Who waited for it, in the other worker, asks for himself; who had a part of its answer gets no end of it."""

    def answering(number: int, conversation: Conversation) -> None:
        if number:
            conversation.send(answer(b"there", "Cache-Control: private"))
        else:
            conversation.send(answer(b"x" * 5000)[:-2500])
            conversation.wait_close()

    with origin(answering) as backend, ThreadPoolExecutor(CLIENTS) as pool:
        proxy = served(stage, backend.address)
        first = pool.submit(fetched, stage, proxy, "/killed")
        leader: psutil.Process | None = eventually(lambda: who_talks_to(proxy, backend.port), "a worker asks the backend")
        waiting = [pool.submit(fetched, stage, proxy, "/killed") for _ in range(CLIENTS - 1)]
        assert leader is not None
        leader.kill()
        for each in [first, *waiting]:
            assert each.result().endswith("there")


def test_it_outlives_a_restart(stage: Stage, tmp_path: Path) -> None:
    """Bodies in memory and in files are there again; after a master that was killed nothing is, and all goes on."""
    folder = tmp_path / "bodies"
    folder.mkdir(mode=0o700)
    sizes = {"/small": 1000, "/large": 100_000}
    asked: list[int] = []

    def answering(number: int, conversation: Conversation) -> None:
        asked.append(number)
        conversation.send(answer(b"x" * list(sizes.values())[number % 2]))

    with origin(answering) as backend:
        config = stage.config(backend.address, app={"health": {"type": "off"}}, workers=WORKERS)
        config["route"][0]["cache"] = {"collapse_wait": "60s"}
        config["cache"] = {"memory": "8MiB", "files": str(folder), "disk": "64MiB", "keep": str(tmp_path / "kept")}
        for round_, hit in enumerate((False, True, False)):
            proxy = stage.run(config)
            for path, size in sizes.items():
                got = fetched(stage, proxy, path)
                assert ("cache-status: lbproxy; hit" in got.lower()) is hit
                assert got.endswith("\r\n\r\n" + "x" * size)
            if round_ == 1:
                proxy.signal(signal.SIGKILL)
                proxy.close()
            else:
                assert proxy.stop() == 0
        assert asked == [0, 1, 2, 3]


def who_talks_to(proxy: LbProxy, port: int) -> psutil.Process | None:
    """The worker with a connection to that port."""
    for pid in proxy.workers():
        process = psutil.Process(pid)
        if any(each.raddr and each.raddr.port == port for each in process.net_connections("tcp")):
            return process
    return None
