"""Workers that are killed while they store answers and give them out over HTTP/2: nobody gets anything that is no answer."""

from __future__ import annotations

import itertools
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.process import LbProxy
from tests.support.tools import need
from tests.support.waiting import eventually

WORKERS, ROUNDS, CLIENTS, ASKED = 2, 4, 4, 24
SIZES = (500, 40_000, 100_000, 400_000)
"""In memory, there in several pieces, and in files."""


def body(number: int, size: int) -> bytes:
    """Of the answer of that number, of which every byte tells it."""
    return (b"%08d" % number * (size // 8 + 1))[:size]


def origin(asked: list[int]) -> Scripted:
    """Every answer is another one, and says in its ETag which; half of them have no length."""
    numbers = itertools.count()

    def script(conversation: Conversation) -> None:
        while True:
            path = conversation.read_head().split(b" ", 2)[1]
            number = next(numbers)
            asked.append(number)
            whole = body(number, SIZES[int(path[2:3])])
            chunks = path[1:2] == b"c"
            frame = b"Transfer-Encoding: chunked" if chunks else b"Content-Length: %d" % len(whole)
            head = b'ETag: "%d"\r\nContent-Type: text/css\r\nCache-Control: max-age=1, stale-while-revalidate=1' % number
            conversation.send(b"HTTP/1.1 200 OK\r\n%b\r\n%b\r\n\r\n" % (frame, head))
            for at in range(0, len(whole), 30_000):
                piece = whole[at : at + 30_000]
                conversation.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunks else piece)
            if chunks:
                conversation.send(b"0\r\n\r\n")

    return Scripted(script)


def fetched(stage: Stage, proxy: LbProxy, folder: Path, query: int) -> list[Path]:
    """What one client has got of all that it asks for, over few connections; only what curl takes for whole."""
    folder.mkdir()
    command = [
        need("curl"), "--http2", "--parallel", "--parallel-max", "12", "--silent", "--noproxy", "*",
        "--cacert", str(stage.authority.file), "--include", "--compressed", "--max-time", "60",
        "--write-out", "%{exitcode} %{filename_effective}\n",
    ]  # fmt: skip
    for number in range(ASKED):
        path = f"{'sc'[number % 2]}{number // 2 % len(SIZES)}"
        command += [f"https://localhost:{proxy.port()}/{path}?{query}", "--output", str(folder / f"{number}-{path}")]
    said = subprocess.run(command, capture_output=True, timeout=90, check=False).stdout.decode()
    return [Path(line[2:]) for line in said.splitlines() if line.startswith("0 ")]


def test_whoever_is_killed(stage: Stage, tmp_path: Path) -> None:
    """Every answer that comes to its end is one that the backend gave, whole and of one piece with its head, compressed or not; and
    the cache goes on: what is asked for afterwards is stored and given out."""
    asked: list[int] = []
    (tmp_path / "bodies").mkdir(mode=0o700)
    with origin(asked) as backend, ThreadPoolExecutor(CLIENTS) as pool:
        config = stage.config(backend.address, app={"health": {"type": "off"}}, workers=WORKERS)
        config["route"][0].update({"cache": {}, "compress": {}})
        config["cache"] = {"memory": "8MiB", "files": str(tmp_path / "bodies"), "disk": "64MiB"}
        proxy = stage.run(config)
        whole = 0
        for number in range(ROUNDS + 1):
            before = len(asked)
            clients = [pool.submit(fetched, stage, proxy, tmp_path / f"{number}-{client}", number) for client in range(CLIENTS)]
            if number < ROUNDS:
                eventually(lambda before=before: len(asked) > before + 3, "answers are on their way")  # type: ignore[misc]
                psutil.Process(proxy.workers()[number % WORKERS]).kill()
            for got in [path for client in clients for path in client.result()]:
                head, _, content = got.read_bytes().partition(b"\r\n\r\n")
                if b" 200" not in head.partition(b"\r\n")[0]:
                    continue
                tag = re.search(rb'etag: (?:W/)?"(\d+)"', head)
                assert tag is not None
                assert content == body(int(tag[1]), SIZES[int(got.name[-1])])
                whole += 1
            eventually(lambda: len(proxy.workers()) == WORKERS, "there is another worker")
        assert len(proxy.events("worker.died")) == ROUNDS
        assert whole >= CLIENTS * ASKED  # all of the last round
        assert len(asked) < (ROUNDS + 1) * CLIENTS * ASKED  # and many were out of the cache
