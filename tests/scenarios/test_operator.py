"""An operator's day: the verbs that talk to a running lbproxy, as typed, and what becomes of the requests meanwhile."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import toml

from tests.conftest import Stage
from tests.support.command import Command
from tests.support.process import LbProxy, run_cli
from tests.support.waiting import eventually

CONTROL = {"control": "c.sock", "pid_file": "lbproxy.pid"}


def said(proxy: LbProxy, *words: str) -> str:
    """stdout of a verb that succeeds without complaint."""
    ended = run_cli(*words, "-c", str(proxy.file))
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout


def status(proxy: LbProxy) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(said(proxy, "status", "--json"))
    return answer


def typed(proxy: LbProxy, *words: str) -> Command:
    """A verb that takes its time."""
    return Command([sys.executable, "-u", "-m", "lbproxy", *words, "-c", str(proxy.file)])


@contextmanager
def asking(stage: Stage, proxy: LbProxy) -> Iterator[None]:
    """A client inside asks all the time, on one connection as long as it may; each answer has to be a good one."""
    over = threading.Event()
    faults: list[str] = []
    answered = 0

    def ask() -> None:
        nonlocal answered
        client = stage.client(proxy)
        while not over.is_set():
            response = client.request("GET", "/echo")
            answered += 1
            if response.status != 200:
                faults.append(f"{response.status} {response.body!r}")
            if response.get("connection") == "close":
                client.close()
                client = stage.client(proxy)
            time.sleep(0.005)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)
    assert not faults, faults
    assert answered


def test_reload_tells_how_it_went(stage: Stage) -> None:
    """What changed and who serves now; or why not, with exit code 1; the status knows of both."""
    first, second = stage.app("first"), stage.app("second")
    proxy = stage.proxy(first.address, proxy=CONTROL)
    good = proxy.file.read_text()
    with asking(stage, proxy):
        config = toml.loads(good)
        config["pool"]["app"]["backends"].append(second.address)
        config["proxy"]["pid_file"] = "other.pid"
        proxy.file.write_text(toml.dumps(config))
        told = said(proxy, "reload").splitlines()
        now = status(proxy)
        [serving] = [generation for generation in now["generations"] if generation["stage"] == "serving"]
        [worker] = serving["workers"]
        assert told[0].startswith("generation 2 serves after ")
        assert told[0].endswith(f" ms (pid {worker['pid']})")
        assert told[1] == f"  + backend app/{second.address}"
        assert told[2].startswith("  ! proxy.pid_file: ")
        assert worker["pid"] in proxy.workers()
        assert (serving["number"], now["pid"], now["last_reload"]["ok"]) == (2, proxy.pid, True)
        assert [backend["name"] for backend in now["pools"][0]["backends"]] == [first.address, second.address]

        for bad, why in ((f"{good}\n[proxy\n", "not valid TOML"), (good.replace("workers", "wurkers"), 'did you mean "workers"?')):
            proxy.file.write_text(bad)
            refused = run_cli("reload", "-c", str(proxy.file))
            assert refused.returncode == 1
            assert refused.stdout == ""
            assert why in refused.stderr
            assert "nothing was reloaded: generation 2 serves on" in refused.stderr
            shown = said(proxy, "status")
            assert "refused; what ran before runs on" in shown
            assert why in shown
        assert status(proxy)["generations"][-1]["workers"][0]["pid"] == worker["pid"]


def test_a_backend_is_taken_out_and_put_back(stage: Stage) -> None:
    """drain --wait comes back when the last request there is answered; a reload in between does not put it back."""
    first, second = stage.app("first"), stage.app("second")
    proxy = stage.proxy(first.address, second.address, proxy=CONTROL)
    proxy.wait_up(first.address, second.address)
    slow = stage.client(proxy)
    slow.send_head("GET", "/hold")
    busy, idle = eventually(
        lambda: (first, second) if first.held() else (second, first) if second.held() else None, "a held request"
    ) or (first, second)
    with asking(stage, proxy), typed(proxy, "backend", "drain", busy.address, "--wait") as drain:
        drain.wait_line(f"^app/{busy.address} is drained: it gets no new requests")
        drain.wait_line(r"^\d+ requests? left$")
        said(proxy, "reload")
        before = busy.state()["requests"]
        client = stage.client(proxy)
        for _ in range(20):
            assert client.request("GET", "/echo").status == 200
        assert busy.state()["requests"] == before + 1  # our own question
        busy.release()
        assert slow.response().body == b"released\n"
        drain.wait_line(f"^no request is left at app/{busy.address}$")
        pools = status(proxy)["pools"]
        admin = {backend["name"]: backend["admin"] for backend in pools[0]["backends"]}
        assert admin == {busy.address: "drained", idle.address: "enabled"}
        said(proxy, "backend", "enable", f"app/{busy.address}")
        before = busy.state()["requests"]
        eventually(lambda: busy.state()["requests"] > before + 20, "it gets requests again")
    last = run_cli("backend", "drain", f"no/{busy.address}", "-c", str(proxy.file))
    assert (last.returncode, last.stdout) == (1, "")
    assert f"no backend no/{busy.address}; there are app/" in last.stderr


def test_workers_and_log_level(stage: Stage) -> None:
    """One more, one less, more words in the log; each says how long that lasts."""
    proxy = stage.proxy(stage.app().address, proxy=CONTROL)
    with asking(stage, proxy):
        assert said(proxy, "workers", "+1") == "one worker more: 2 (until the next reload, which goes by the file again)\n"
        proxy.wait_workers(2)
        said(proxy, "workers", "-1")
        proxy.wait_workers(1)
        none = run_cli("workers", "-1", "-c", str(proxy.file))
        assert none.returncode == 1
        assert "0 workers: wanted 1 to" in none.stderr
        assert "until the next reload" in said(proxy, "log-level", "warning")
        assert status(proxy)["log_level"] == "warning"
        said(proxy, "log-level", "info")


def test_stop_waits_until_it_is_gone(stage: Stage) -> None:
    """For requests on their way, too; another lbproxy is no longer kept from the socket then."""
    app = stage.app()
    proxy = stage.proxy(app.address, proxy=CONTROL)
    slow = stage.client(proxy)
    slow.send_head("GET", "/hold")
    eventually(app.held, "a held request")
    with typed(proxy, "stop") as stop:
        stop.wait_line("finishes what it has begun")
        app.release()
        assert slow.response().body == b"released\n"
        stop.wait_line(f"^stopped: pid {proxy.pid}, after ")
        assert proxy.wait() == 0
    assert sorted(path.name for path in proxy.directory.iterdir()) == ["lbproxy.toml"]
    for verb in ("status", "stop", "reload"):
        ended = run_cli(verb, "-c", str(proxy.file))
        assert ended.returncode == 1
        assert "no lbproxy is running with" in ended.stderr


def test_stop_now_does_not_wait(stage: Stage) -> None:
    """The request is cut, and lbproxy's own exit code tells."""
    app = stage.app()
    proxy = stage.proxy(app.address, proxy=CONTROL)
    slow = stage.client(proxy)
    slow.send_head("GET", "/hold")
    eventually(app.held, "a held request")
    assert said(proxy, "stop", "--now").startswith(f"stopped: pid {proxy.pid}, after ")
    assert proxy.wait() == 2


def test_without_a_control_socket(stage: Stage) -> None:
    """The pid file is enough to reload and to stop; the line that would give more is told."""
    proxy = stage.proxy(stage.app().address, proxy={"pid_file": "lbproxy.pid"})
    told = run_cli("status", "-c", str(proxy.file))
    assert told.returncode == 1
    assert 'control = "/run/lbproxy/control.sock"' in told.stderr
    reload = run_cli("reload", "-c", str(proxy.file))
    assert reload.returncode == 0
    assert f"asked pid {proxy.pid} to reload, by SIGHUP" in reload.stderr
    proxy.wait_event("reloaded", generation=2)
    assert said(proxy, "stop").startswith(f"stopped: pid {proxy.pid}, after ")
    assert proxy.wait() == 0


def test_rubbish_on_the_socket(stage: Stage) -> None:
    """Callers who send anything, stop anywhere, and never listen: no request notices, and nothing is left of them."""
    proxy = stage.proxy(stage.app().address, proxy=CONTROL)
    path = proxy.directory / "c.sock"
    chance = random.Random(7)
    said(proxy, "status")
    before = _descriptors(proxy.pid)
    with asking(stage, proxy):
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            _annoy(path, chance)
        assert said(proxy, "status", "--json")
    eventually(lambda: _descriptors(proxy.pid) == before, "every connection of theirs is closed")


def _annoy(path: Path, chance: random.Random) -> None:
    rubbish = [b"", b"{", b"\0\xff\n", b'{"command":"status"}\n', b'{"command":"status"}', b"GET / HTTP/1.1\r\n\r\n", b"[" * 70_000]
    callers = []
    for _ in range(chance.randrange(1, 12)):
        caller = socket.socket(socket.AF_UNIX)
        caller.settimeout(1.0)
        try:
            caller.connect(str(path))
            caller.send(chance.choice([*rubbish, chance.randbytes(200)]))
            if chance.random() < 0.3:
                caller.shutdown(chance.choice([socket.SHUT_WR, socket.SHUT_RDWR]))
        except OSError:
            pass  # it has closed already, or others of us take its places
        callers.append(caller)
    for caller in callers:
        caller.close()


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
