"""What went over TLS is told as packets, as tcpdump reads them: right checksums, both sides, no secrets; nobody waits for it."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from lbproxy.cli.reach import Instance, ask
from lbproxy.master.operator.requests import StatusRequest
from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.process import LbProxy, title_of
from tests.support.reloads import Reloads
from tests.support.tools import need
from tests.support.waiting import eventually


def asked(proxy: LbProxy, stage: Stage, path: str = "/mirror", *, newer: bool = False) -> None:
    """A request with a body that comes back, and a secret."""
    context = ssl.create_default_context(cafile=stage.authority.file)
    with httpx.Client(verify=context, http2=newer, timeout=300) as client:
        answer = client.post(f"https://localhost:{proxy.port()}{path}", content=b"x" * 5000, headers={"Cookie": "secret=1"})
        assert answer.content == b"x" * 5000


def read(tcpdump: str, file: Path) -> str:
    command = [tcpdump, "-nvvAr", str(file)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300, check=False).stdout


def told(said: str, conversations: int) -> None:
    """So many, all of each, and nothing that they should not have."""
    assert "incorrect" not in said
    assert said.count("Flags [S]") == conversations
    assert said.count("Flags [F.]") == 2 * conversations
    assert said.count("POST /mirror HTTP/1.1") >= conversations, "tcpdump says it twice where a made-up port is one of HTTP"
    assert "secret=1" not in said


@contextmanager
def reading(*sources: tuple[list[str], Path]) -> Iterator[None]:
    """Programs whose output goes into files, as long as it lasts."""
    running = []
    try:
        for command, file in sources:
            with file.open("wb") as out:
                running.append(subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL))
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


@contextmanager
def pair_of_interfaces() -> Iterator[tuple[str, list[str]]]:
    """The name of one end, and what runs a command where the other one, ids0, is: in a network namespace of its own."""
    ip, name = need("ip"), f"lbt{os.getpid() % 10**7}"

    def run(*arguments: str) -> int:
        return subprocess.run([ip, *arguments], capture_output=True, check=False, timeout=60).returncode

    if run("netns", "add", name):
        pytest.skip("no network namespace can be made here")
    try:
        if run("link", "add", name, "type", "veth", "peer", "name", "ids0", "netns", name) or run("link", "set", name, "up"):
            pytest.skip("no pair of interfaces can be made here")
        assert run("netns", "exec", name, ip, "link", "set", "ids0", "up") == 0
        yield name, [ip, "netns", "exec", name]
    finally:
        run("link", "del", name)
        run("netns", "del", name)


_PCAP_OVER_IP = """
import socket, sys
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while data := sock.recv(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""


def outputs(proxy: LbProxy) -> dict[str, dict[str, Any]]:
    """What a status tells of each, by its key."""
    control = Path(proxy.config["proxy"]["control"])
    return {each["sink"]: each for each in ask(Instance("", control, None), StatusRequest(), 300.0).answer["taps"]}


def tap_process(proxy: LbProxy) -> int:
    """Its number."""
    children = psutil.Process(proxy.pid).children
    return eventually(lambda: next((one.pid for one in children() if title_of(one).startswith("lbproxy: tap")), 0), "it is there")


def test_as_it_happens(stage: Stage) -> None:
    """Files, a pipe, two readers over TCP and an interface get everything, whichever of two workers and of two protocols it went
    through; also after a reload that takes one of them away, and after the process that does it was killed."""
    tcpdump = need("tcpdump")
    with pair_of_interfaces() as (interface, there):
        port, pipe, folder = free_port(), stage.directory / "pipe", stage.directory / "taps"
        folder.mkdir()
        config = stage.config(stage.app().address, workers=2, proxy={"control": str(stage.directory / "control.sock")})
        config["tap"] = {"ids": {"folder": str(folder), "fifo": str(pipe), "listen": f"127.0.0.1:{port}", "interface": interface}}
        config["route"] = [{"pool": "app", "tap": "ids"}]
        proxy = stage.run(config)
        files = [stage.directory / f"{number}.pcap" for number in range(4)]
        over_tcp = [sys.executable, "-c", _PCAP_OVER_IP, str(port)]
        # Where an interface segments by itself, libpcap reserves 64 KiB a frame, so that 2 MiB hold 32: the kernel drops what comes
        # while a busy machine keeps tcpdump waiting. Frames of 2,000 bytes, and 64 MiB, hold 32,000.
        listens = [*there, tcpdump, "-i", "ids0", "-s", "2000", "-B", "65536", "-Uw", "-", "--immediate-mode", "tcp"]
        with reading((["cat", str(pipe)], files[0]), (over_tcp, files[1]), (over_tcp, files[2]), (listens, files[3])):
            eventually(lambda: [each["readers"] for each in outputs(proxy).values()] == [1, 2, 1], "all read")
            eventually(lambda: files[3].stat().st_size, "tcpdump listens")
            assert os.sched_getscheduler(tap_process(proxy)) == os.SCHED_BATCH, "requests come first"
            for number in range(6):
                asked(proxy, stage, newer=number % 2 == 1)
            for file in files:
                eventually(lambda file=file: read(tcpdump, file).count("Flags [F.]") == 12, f"{file.name} has all")  # type: ignore[misc]
                told(read(tcpdump, file), 6)

            def in_files() -> str:
                return "".join(read(tcpdump, file) for file in folder.iterdir() if file.stat().st_size)

            eventually(lambda: in_files().count("Flags [F.]") == 12, "files have all")
            told(in_files(), 6)
            assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
            assert outputs(proxy)["listen"]["refused"] == 0

            Reloads(proxy).reload(lambda config: config["tap"]["ids"].pop("fifo"))
            asked(proxy, stage)
            eventually(lambda: read(tcpdump, files[1]).count("Flags [F.]") == 14, "who reads goes on")
            assert "fifo" not in outputs(proxy)
        os.kill(tap_process(proxy), signal.SIGKILL)
        asked(proxy, stage)
        proxy.wait_event("tap.gone")
        with reading((over_tcp, files[0])):
            eventually(lambda: outputs(proxy)["listen"]["readers"] == 1, "there is another one")
            asked(proxy, stage)
            eventually(lambda: "Flags [F.]" in read(tcpdump, files[0]), "it does the same")


def test_readers_that_sleep(stage: Stage) -> None:
    """Neither a pipe nor a connection that nobody empties holds anything up: each request is answered. What they do not take is
    left out as a whole, and counted."""
    tcpdump, port, pipe = need("tcpdump"), free_port(), stage.directory / "pipe"
    config = stage.config(stage.app().address, proxy={"control": str(stage.directory / "control.sock")})
    config["tap"] = {"ids": {"fifo": str(pipe), "listen": f"127.0.0.1:{port}", "reader_queue": "64KiB", "readers": 1}}
    config["route"] = [{"pool": "app", "tap": "ids"}]
    proxy = stage.run(config)
    with socket.socket() as asleep, open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as empty:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asleep.connect(("127.0.0.1", port))
        eventually(lambda: [each["readers"] for each in outputs(proxy).values()] == [1, 1], "both are there")

        with httpx.Client(verify=ssl.create_default_context(cafile=stage.authority.file), timeout=300) as client:

            def dropped() -> bool:
                for _ in range(5):
                    assert client.post(f"https://localhost:{proxy.port()}/mirror", content=b"x" * 20_000).status_code == 200
                return all(each["dropped"] for each in outputs(proxy).values())

            eventually(dropped, "they have more than they take")
        with socket.create_connection(("127.0.0.1", port), timeout=60) as second:
            assert second.recv(1) == b"", "one reader at a time was allowed"
        proxy.stop()
        (stage.directory / "got.pcap").write_bytes(empty.read())
    said = read(tcpdump, stage.directory / "got.pcap")
    assert "incorrect" not in said
    assert said.count("Flags [S]") * 2 - said.count("Flags [F.]") <= 2, "the last may have been under way when it ended"
