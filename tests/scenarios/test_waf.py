"""Rules that look for attacks, for real: libmodsecurity and the Core Rule Set, as Debian has them."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.sync.client import connect

from lbproxy.cli import reach
from lbproxy.master.operator.requests import StatusRequest
from tests.conftest import Stage
from tests.support import threaded_tls
from tests.support.backends import Conversation, Scripted
from tests.support.process import LbProxy, run_cli, title_of
from tests.support.waiting import PATIENCE, eventually

CRS = Path("/usr/share/modsecurity-crs/rules")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ATTACK = "/echo?id=1%27%20or%20%271%27%3D%271%27--%20-"


def _library() -> bool:
    try:
        ctypes.CDLL("libmodsecurity.so.3")
    except OSError:
        return False
    return True


if not _library():
    pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)", allow_module_level=True)


def client_of(stage: Stage, proxy: LbProxy) -> httpx.Client:
    headers = {"User-Agent": "Mozilla/5.0", "Accept": "*/*", "Host": "example.com"}
    context = ssl.create_default_context(cafile=stage.authority.file)
    return httpx.Client(verify=context, timeout=PATIENCE, base_url=f"https://localhost:{proxy.port()}", headers=headers)


def named(proxy: LbProxy, title: str) -> list[int]:
    return [one.pid for one in proxy.members() if title_of(one) == title]


def inspectors(proxy: LbProxy) -> list[int]:
    return named(proxy, "lbproxy: inspector")


def loaders(proxy: LbProxy) -> list[int]:
    """Those whom the master has started: what they fork is called so, too, until it has told the kernel to go with them."""
    found = []
    for pid in named(proxy, "lbproxy: rules"):
        with suppress(psutil.NoSuchProcess):
            found += [pid] if psutil.Process(pid).ppid() == proxy.pid else []
    return found


def bounded(pid: int) -> bool:
    """It writes no file, its memory has an end, and it is nobody who owns anything."""
    try:
        limits = Path(f"/proc/{pid}/limits").read_text()
        owner = psutil.Process(pid).uids().real
    except (OSError, psutil.Error):
        return False
    ends = re.search(r"^Max address space +\d+ +\d+ ", limits, re.MULTILINE)
    return bool(ends and re.search(r"^Max file size +0 +0 ", limits, re.MULTILINE)) and (os.geteuid() != 0 or owner != 0)


def totals(proxy: LbProxy) -> dict[str, Any]:
    """As `lbproxy status` has them, without a process for each look."""
    answer = reach.ask(reach.Instance("", proxy.file.parent.parent / "control.sock", None), StatusRequest(), PATIENCE).answer
    found: dict[str, Any] = answer["totals"]
    return found


def run(stage: Stage, backend: str = "", **waf: Any) -> LbProxy:
    config = stage.config(backend or stage.app().address)
    config["proxy"]["control"] = str(stage.directory / "control.sock")
    config["route"] = [{"pool": "app", "waf": {"timeout": "30s", **waf}}]
    return stage.run(config)


@pytest.mark.skipif(not CRS.is_dir(), reason="modsecurity-crs is not installed (scripts/test installs it as root on Debian)")
def test_an_attack_is_refused_and_told(stage: Stage) -> None:
    """In the query, in a form and in JSON, by its rule, without what was sent; everything else passes, also while inspectors are
    killed, which are replaced."""
    proxy = run(stage, mode="block", exclude_arguments=["comment"], exclude_paths=["/open/"], responses=True)
    with client_of(stage, proxy) as client:
        assert client.get("/echo?id=1").status_code == 200
        assert client.get(ATTACK).status_code == 403
        attack = "1' or '1'='1'-- -"
        assert client.post("/echo", data={"id": attack}).status_code == 403
        assert client.post("/echo", json={"id": attack}).status_code == 403
        assert client.post("/echo", data={"comment": attack}).status_code == 200
        assert client.post("/echo", data={"id": "harmless" * 1000}).status_code == 200
        assert client.post("/echo", data={"id": "x" * 70_000}).status_code == 413
        assert client.post("/echo", json=list(range(2000))).status_code == 413
        assert client.get("/open" + ATTACK).status_code != 403
        leak = "ORA-00933: SQL command not properly ended"
        assert client.post("/mirror", data={"comment": leak}).text != ""
        assert client.post("/mirror", content=f"comment={leak}", headers=FORM).status_code == 403
        told = proxy.wait_event("waf.found", path="/echo")
        assert any(rule.startswith("942100") for rule in told["rules"])
        assert told["score"] >= 5
        line = proxy.wait_access(status=403)[0]
        assert "942100" in line["inspected"]
        assert line["reason"].startswith("waf_blocked:942100")
        assert "' or '" not in "".join(proxy.stderr())
        before = eventually(lambda: found if all(map(bounded, found := inspectors(proxy))) else None, "each is bounded") or []
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(inspectors(proxy)) == len(before) and not set(before) & set(inspectors(proxy)), "others are there")
        assert client.get(ATTACK).status_code == 403
        assert totals(proxy)["inspected"]["waf blocked"] >= 4
        eventually(lambda: totals(proxy)["waf"]["replaced"] >= len(before), "those that were killed are counted")
        told = totals(proxy)["waf"]
        assert (told["alive"], told["waiting"]) == (len(before), 0)
        assert told["rules"]["942100"] >= 4


def test_rules_of_ones_own_are_swapped_or_kept(stage: Stage) -> None:
    """A broken file refuses a reload with its line. Where whoever loaded them dies, another one does, for the same workers."""
    rules = stage.directory / "own.conf"
    rules.write_text('SecRule ARGS "@contains evil" "id:1,phase:2,deny,status:403,log"\n')
    proxy = run(stage, mode="block", rules=[str(rules)], inspectors=1)
    with client_of(stage, proxy) as client:
        assert client.get("/echo?a=evil").status_code == 403
        rules.write_text('SecRule ARGS "@contains good" "id:1,phase:2,deny,status:403,log"\n\nSecNonsense\n')
        refused = run_cli("reload", "-c", str(proxy.file))
        assert refused.returncode != 0
        assert "own.conf:3: " in refused.stderr + refused.stdout
        assert client.get("/echo?a=evil").status_code == 403
        (stage.directory / "own.data").write_text("good\n")
        rules.write_text('SecRule ARGS "@pmFromFile own.data" "id:1,phase:2,deny,status:403,log"\n')
        reloaded = run_cli("reload", "-c", str(proxy.file))
        assert reloaded.returncode == 0
        assert f"~ route /: waf.rules {rules}, {stage.directory / 'own.data'} renewed" in reloaded.stdout
    with client_of(stage, proxy) as client:
        assert client.get("/echo?a=evil").status_code == 200
        assert client.get("/echo?a=good").status_code == 403
    _slow_rules(stage, proxy, rules)
    eventually(lambda: len(loaders(proxy)) == 1, "that of the old rules is gone")
    os.kill(loaders(proxy)[0], signal.SIGKILL)
    proxy.wait_event("waf.gone")
    workers = proxy.workers()
    with client_of(stage, proxy) as client:
        assert client.get("/echo?a=good").status_code == 403  # it has waited
    proxy.wait_event("waf.back")
    assert (proxy.workers(), len(proxy.events("reloaded"))) == (workers, 2)


def _slow_rules(stage: Stage, proxy: LbProxy, rules: Path) -> None:
    """They are a pipe that nobody writes into yet: the master replaces a worker and answers meanwhile."""
    text = rules.read_text()
    rules.unlink()
    os.mkfifo(rules)
    os.kill(proxy.pid, signal.SIGHUP)
    proxy.wait_event("reload.begun", skip=2)
    eventually(lambda: len(proxy.workers()) == 1, "that of the generation before is gone")
    [worker] = proxy.workers()
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: proxy.workers() not in ([], [worker]), "another worker is there")
    with client_of(stage, proxy) as client:
        assert client.get("/echo?a=good").status_code == 403
    assert totals(proxy)["waf"]["alive"] > 0
    assert len(proxy.events("reloaded")) == 1

    with rules.open("w") as pipe:  # waits for whoever reads
        pipe.write(text)
        rules.unlink()
        rules.write_text(text)  # the engine itself wants a file
    proxy.wait_event("reloaded", skip=1)


SLOW = "".join(
    f'SecRule ARGS:slow "@rx ^(?:a|aa|aaa)+(?:x{{0,{number}}})$" "id:{number},phase:2,pass,nolog"\n' for number in range(100, 200)
)
"""Ten seconds for 30 times "a" and a "b"."""
EVIL = 'SecRule ARGS:a "@contains evil" "id:1,phase:2,deny,status:403,log"\n'
PART = 100_000


def greets_and_echoes(conversation: Conversation, head: bytes) -> None:
    """One frame before the client says anything, and then one for each of its own."""
    socket = ServerProtocol()

    def flush() -> None:
        for data in filter(None, socket.data_to_send()):
            conversation.send(data)

    socket.receive_data(head)
    [request] = socket.events_received()
    assert isinstance(request, Request)
    socket.send_response(socket.accept(request))
    socket.send_text(b"welcome")
    flush()
    while socket.state is State.OPEN:
        socket.receive_data(conversation.read_exactly(1))
        for frame in socket.events_received():
            if isinstance(frame, Frame) and frame.opcode is Opcode.BINARY:
                socket.send_binary(frame.data)
        flush()


def talks(conversation: Conversation) -> None:
    """A backend that greets and echoes over a WebSocket, takes an upload in two parts, and sends an event."""
    head = conversation.read_head()
    if head.startswith(b"GET /ws"):
        greets_and_echoes(conversation, head)
    elif head.startswith(b"POST /upload"):
        conversation.read_exactly(2 * PART)
        conversation.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    elif head.startswith(b"GET /events"):
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        conversation.wait_close()
    else:
        conversation.read_exactly(int(re.search(rb"Content-Length: (\d+)", head, re.IGNORECASE)[1]))  # type: ignore[index]
        conversation.send(b"HTTP/1.1 204 No Content\r\n\r\n")


def test_to_detect_nobody_waits(stage: Stage) -> None:
    """Rules tell of what they find. A request that they take too long for costs an inspector, which is replaced, while others look
    at what comes. Frames of WebSockets, uploads and events pass piece by piece, even while all inspectors stand still."""
    rules = stage.directory / "own.conf"
    rules.write_text(SLOW + EVIL)
    with Scripted(talks) as backend:
        proxy = run(stage, backend.address, rules=[str(rules)], timeout="1s", responses=True)

        def post(form: bytes) -> None:
            with stage.client(proxy) as client:
                kind = ("Content-Type", "application/x-www-form-urlencoded")
                assert client.request("POST", "/form", [kind], form).status == 204

        def found(number: int) -> bool:
            post(b"a=evil")  # on a busy machine a second may be too short, and to detect costs nobody anything
            return int(totals(proxy)["inspected"]["waf found"]) > number

        eventually(lambda: found(0), "what is found is told")
        assert proxy.wait_event("waf.found")["blocked"] is False
        before = inspectors(proxy)
        post(b"slow=" + b"a" * 30 + b"b")
        already = int(totals(proxy)["inspected"]["waf found"])
        eventually(lambda: found(already), "others look at the next")
        eventually(lambda: totals(proxy)["waf"]["late"] >= 1, "it was ended")
        eventually(lambda: len(inspectors(proxy)) == len(before) and set(inspectors(proxy)) != set(before), "and replaced")
        still = [proxy.pid, *named(proxy, "lbproxy: rules"), *inspectors(proxy)]  # and nobody who would replace them
        for pid in still:
            psutil.Process(pid).suspend()
        url, context = f"wss://localhost:{proxy.port()}/ws", threaded_tls.context(stage.authority.file)
        with connect(url, ssl=context, proxy=None, open_timeout=PATIENCE, close_timeout=PATIENCE, ping_interval=None) as socket:
            assert socket.recv(PATIENCE) == "welcome"
            for message in (b"a=evil", b"", b"\x00" * 5000, b"a"):
                socket.send(message)
                assert socket.recv(PATIENCE) == message
        with stage.client(proxy) as client:
            client.send_head("POST", "/upload", length=2 * PART)
            client.send(b"u" * PART)
            eventually(lambda: any(len(got) > PART for got in backend.received()), "the first part is with the backend")
            client.send(b"u" * PART)
            assert client.response().status == 204
        with stage.client(proxy) as client:
            client.send_head("GET", "/events")
            assert client.head().status == 200
            assert b"data: 1" in client.some()
        for pid in still:
            psutil.Process(pid).resume()
