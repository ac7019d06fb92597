"""Suricata finds in what was decrypted what its rules are about, as docs/howto/tap.md says, while it happens and afterwards.

Tried with 7.0 (Debian 12's, among its backports) and 4.1. It is looked for in PATH; LBPROXY_TEST_SURICATA names one that is
elsewhere.
"""

from __future__ import annotations

import os
import shlex
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import Stage
from tests.scenarios.test_tap import outputs, pair_of_interfaces
from tests.support.backends import Conversation, Scripted
from tests.support.howto import Page
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.waiting import PATIENCE, eventually

NUMBERS = ["1000001", "1000002", "1000003"]
FORM = b"name=<script>"


def telling(conversation: Conversation) -> None:
    """Answers what it should not tell, in chunks."""
    conversation.read_head()
    conversation.read_exactly(len(FORM))
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    conversation.send(b"14\r\nYou have an error in\r\n10\r\n your SQL syntax\r\n0\r\n\r\n")


@contextmanager
def running(*commands: str, folder: Path) -> Iterator[None]:
    """Lines of a shell, each a process group of its own, as long as it lasts."""
    started = []
    try:
        for command in commands:
            with (folder / "said").open("ab") as said:
                shell = ["sh", "-c", command]
                started.append(subprocess.Popen(shell, stdout=said, stderr=said, cwd=folder, start_new_session=True))
        yield
    finally:
        for each in started:
            os.killpg(each.pid, 9)
            each.wait()


def alerts(folder: Path) -> list[str]:
    """Numbers of the rules that were met, sorted."""
    log = folder / "fast.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return sorted(line.partition("[1:")[2].partition(":")[0] for line in lines if line.endswith(tuple("0123456789")))


@pytest.fixture
def suricata() -> str:
    """Its path."""
    found = os.environ.get("LBPROXY_TEST_SURICATA") or shutil.which("suricata")
    if not found:
        pytest.skip("there is no suricata: put it into PATH, or name it in LBPROXY_TEST_SURICATA")
    if not shutil.which("nc") or os.geteuid() != 0:
        pytest.skip("nc is not installed, or this is not root")
    return found


def test_alerts(stage: Stage, suricata: str) -> None:
    """By the user agent, the request's body and the answer's, out of TLS: through the pipe, over TCP, and from files."""
    port, taps = free_port(), stage.directory / "tap"
    certificate = stage.authority.issue("localhost", "127.0.0.1")
    logs = {name: stage.directory / name for name in ("pipe", "tcp", "files")}
    for log in logs.values():
        log.mkdir()
    with Scripted(telling) as backend:
        words = {
            "0.0.0.0:443": f"127.0.0.1:{free_port()}",
            "/var/lib/lbproxy/tap": str(taps),
            "/run/lbproxy/tap.fifo": str(stage.directory / "tap.fifo"),
            "57012": str(port),
            "127.0.0.1:9000": backend.address,
            'interface = "tap0"\n': "",
            '"example.com.crt"': f'"{certificate["cert"]}"',
            '"example.com.key"': f'"{certificate["key"]}"',
            "/tmp/alerts": str(logs["files"]),
        }
        page = Page("tap.md", words)
        (stage.directory / "local.rules").write_text(page.block("", "sid:"))
        subprocess.run(page.command("install -d -m"), check=True, timeout=60)
        proxy = stage.run(page.toml(stage.directory / "control.sock"))

        def line(beginning: str, log: str) -> str:
            said = shlex.join(page.command(beginning)).replace("'|'", "|")
            return said.replace("suricata -r", f"{shlex.quote(suricata)} -r").replace("/var/log/suricata", str(logs[log]))

        live = (line("suricata -r /run/", "pipe"), line("nc 127.0.0.1 57012 | suricata", "tcp"))
        with running(*live, folder=stage.directory):
            eventually(lambda: [each["readers"] for each in outputs(proxy).values()] == [1, 1], "both read")
            with stage.client(proxy) as client:
                fields = (("User-Agent", "sqlmap/1.7"), ("Content-Type", "application/x-www-form-urlencoded"))
                assert client.request("POST", "/login", fields, FORM).status == 200
            for name in ("pipe", "tcp"):
                eventually(lambda name=name: alerts(logs[name]) == NUMBERS, f"{name}: all three rules")  # type: ignore[misc]
        eventually(lambda: any(file.stat().st_size > 24 for file in taps.iterdir()), "it is in a file as well")
    command = [suricata, *page.command("suricata -r /var/lib")[1:]]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=stage.directory)
    assert ended.returncode == 0, ended.stderr
    assert alerts(logs["files"]) == NUMBERS


def asks(proxy: LbProxy, stage: Stage, listener: int, host: str, *, newer: bool) -> None:
    """What all three rules are about."""
    context = ssl.create_default_context(cafile=stage.authority.file)
    fields = {"User-Agent": "sqlmap/1.7", "Content-Type": "application/x-www-form-urlencoded"}
    with httpx.Client(verify=context, http2=newer, timeout=PATIENCE) as client:
        answer = client.post(f"https://{host}:{proxy.port(listener)}/login", content=FORM, headers=fields)
        assert answer.status_code == 200
        assert answer.http_version == ("HTTP/2" if newer else "HTTP/1.1")


def test_whatever_it_came_over(stage: Stage, suricata: str) -> None:
    """Clients of both protocols over both kinds of addresses, while it happens: at the end of a pipe, over TCP, and at an interface
    that stands in a network namespace of its own."""
    port, pipe, rules = free_port(), stage.directory / "tap.fifo", stage.directory / "local.rules"
    rules.write_text(Page("tap.md").block("", "sid:"))
    logs = {name: stage.directory / name for name in ("pipe", "tcp", "interface")}
    for log in logs.values():
        log.mkdir()
    with Scripted(telling) as backend, pair_of_interfaces() as (interface, there):
        config = stage.config(backend.address, proxy={"control": str(stage.directory / "control.sock")})
        config["listen"].append({**config["listen"][0], "address": f"[::1]:{free_port()}"})
        config["tap"] = {"ids": {"fifo": str(pipe), "listen": f"127.0.0.1:{port}", "interface": interface}}
        config["route"] = [{"pool": "app", "tap": "ids"}]
        proxy = stage.run(config)

        def line(source: str, log: str) -> str:
            return f"{source} -S {rules} -l {logs[log]} -k all"

        on_interface = line(f"exec {shlex.join(there)} {suricata} --af-packet=ids0", "interface")
        live = (line(f"exec {suricata} -r {pipe}", "pipe"), line(f"nc 127.0.0.1 {port} | {suricata} -r /dev/stdin", "tcp"))
        with running(*live, folder=stage.directory), running(on_interface, folder=logs["interface"]):
            eventually(lambda: [each["readers"] for each in outputs(proxy).values()] == [1, 1, 1], "all read")
            said = logs["interface"] / "said"
            eventually(lambda: "ngine started" in said.read_text(errors="replace"), "who has no queue to find has begun")
            for number, (listener, host) in enumerate(((0, "127.0.0.1"), (1, "[::1]")), 1):
                asks(proxy, stage, listener, host, newer=False)
                asks(proxy, stage, listener, host, newer=True)
                for name, log in logs.items():
                    wanted = sorted(NUMBERS * 2 * number)
                    eventually(lambda log=log, wanted=wanted: alerts(log) == wanted, f"{name}, {host}: all rules")  # type: ignore[misc]
