"""Every request leaves one line of JSON with all its facts, whatever the client put into it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, eventually

FIELDS = {
    *("time", "client", "protocol", "method", "host", "path", "status", "reason", "bytes_in", "bytes_out", "backend", "tries"),
    *("tls_ms", "head_ms", "queue_ms", "backend_head_ms", "total_ms"),
}


def test_fields(stage: Stage) -> None:
    """Complete and true."""
    app = stage.app()
    proxy = stage.proxy(app.address)
    client = stage.client(proxy)
    client.request("POST", "/mirror?secret=1", [("Host", "site.test")], body=b"b" * 5000)
    client.request("GET", "/slow?s=0.2")
    first, second = proxy.wait_access(count=2)
    assert set(first) >= FIELDS, FIELDS - set(first)
    assert (first["client"], first["method"], first["host"], first["status"]) == ("127.0.0.1", "POST", "site.test", 200)
    assert first["protocol"] == "HTTP/1.1"
    assert first["path"].partition("?")[0] == "/mirror"
    assert (first["backend"], first["tries"]) == (app.address, 1)
    assert first["bytes_in"] >= 5000
    assert first["bytes_out"] >= 5000
    moment = datetime.fromisoformat(first["time"])
    assert abs((datetime.now(moment.tzinfo) - moment).total_seconds()) < 60
    assert first["tls_ms"] > 0, "the first request on a connection tells its handshake"
    assert not second["tls_ms"], "the second did not have one"
    assert 200 <= second["backend_head_ms"] <= second["total_ms"] < 10_000


def test_hostile_bytes(stage: Stage) -> None:
    """Quotes, backslashes, control and non-ASCII bytes cannot break a line or forge one."""
    proxy = stage.proxy(stage.app().address)
    accented = "/\N{LATIN SMALL LETTER E WITH ACUTE}".encode()
    nasty = [b'/"},{"a":"', b"/\\", b"/%0a%0d", b"/\xff\xfe", accented, b"/<script>", b"/\x7f", b"/\x1b[31m"]
    for target in nasty:
        with stage.client(proxy) as client:
            client.send(b"GET " + target + b' HTTP/1.1\r\nHost: localhost\r\nUser-Agent: "\\\xff\r\n\r\n')
            client.response()
    assert len(proxy.wait_access(count=len(nasty))) == len(nasty)  # each parsed as JSON, one line each


def test_refusals_are_logged(stage: Stage) -> None:
    """What never became a request has a line too, with its reason."""
    proxy = stage.proxy(stage.app().address)
    client = stage.client(proxy)
    client.send(b"BROKEN\r\n\r\n")
    assert client.response().status == 400
    [line] = proxy.wait_access(status=400)
    assert set(line) >= FIELDS
    assert line["reason"]


def test_own_responses_name_their_reason(stage: Stage) -> None:
    """Body, Proxy-Status and log agree on the reason of a response that lbproxy authored."""
    config = stage.config(stage.app().address)
    config["route"][0]["host"] = "known.test"
    proxy = stage.run(config)
    response = stage.client(proxy).request("GET", "/", [("Host", "unknown.test")])
    [line] = proxy.wait_access(status=404)
    assert response.status == 404
    assert line["reason"].encode() in response.body
    assert line["reason"] in (response.get("proxy-status") or "")


def test_to_a_file(stage: Stage, tmp_path: Path) -> None:
    """A path instead of stdout, written completely by the time of a clean exit."""
    file = tmp_path / "access.log"
    proxy = stage.proxy(stage.app().address, log={"access": str(file)}, workers=2)
    for _ in range(5):
        client = stage.client(proxy)
        for _ in range(10):
            assert client.request("GET", "/echo").status == 200
    assert proxy.stop() == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 50
    assert file.stat().st_mode & 0o077 in (0, 0o040), "not for everybody's eyes"


def test_off(stage: Stage) -> None:
    """access = "off" writes nothing."""
    proxy = stage.proxy(stage.app().address, log={"access": "off"})
    assert stage.client(proxy).request("GET", "/echo").status == 200
    assert proxy.stop() == 0
    assert proxy.access() == []


def test_nobody_reads(stage: Stage) -> None:
    """A log whose reader stopped does not stop the proxy: lines are dropped, requests are served."""
    proxy_config = stage.config(stage.app().address)
    fifo = stage.directory / "access.fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # opened, never read
    try:
        proxy_config["log"] = {"access": str(fifo)}
        proxy = stage.run(proxy_config)
        client = stage.client(proxy)
        for number in range(1500):  # far more than the 64 KiB that a pipe holds
            assert client.request("GET", f"/status/200?n={number}&{'x' * 100}").status == 200
    finally:
        os.close(reader)


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk(stage: Stage) -> None:
    """On a disk of 128 KiB: no request fails, lines that have no room are counted and told, and none is joined to another."""
    disk = stage.directory / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "lbproxy-test", str(disk)], check=False).returncode:
        pytest.skip("this container does not let root mount")
    try:
        (disk / "filler").write_bytes(b"x" * 64 * 1024)
        config = stage.config(stage.app().address, workers=2, log={"access": str(disk / "access.log")})
        config["metrics"] = {"address": f"127.0.0.1:{free_port()}"}
        proxy = stage.run(config)
        requests = 0

        def ask(count: int) -> None:
            nonlocal requests
            for _ in range(0, count, 20):
                with stage.client(proxy) as client:  # a new connection: now this worker's turn, now that one's
                    for _ in range(20):
                        assert client.request("GET", "/status/200").status == 200
                        requests += 1

        def told() -> int:
            """The metric."""
            with urlopen(f"http://{config['metrics']['address']}/metrics", timeout=PATIENCE) as answer:
                text = answer.read().decode()
            [value] = re.findall(r"^lbproxy_access_lines_dropped_total (\d+)$", text, re.M)
            return int(value)

        while not proxy.events("access_log.dropped"):
            ask(100)
            assert requests < 5000, "64 KiB hold a few hundred lines"
        ask(200)
        dropped = proxy.wait_event("access_log.dropped")
        assert dropped["why"] == "No space left on device"
        (disk / "filler").unlink()
        # A few at a time: what there is room for now would be full again before a worker looks.
        def resumed() -> bool:
            ask(20)
            return bool(proxy.events("access_log.resumed"))

        eventually(resumed, "a worker tells that lines are kept again", every=1.0)

        def lines() -> int:
            return len([json.loads(line) for line in (disk / "access.log").read_text().splitlines()])

        eventually(lambda: lines() + told() == requests, "each request has its line, or is counted", every=0.1)
        counted = told()
        assert proxy.stop() == 0
        assert lines() + counted == requests
        assert 0 < sum(event["lost"] for event in proxy.events("access_log.resumed")) <= counted
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)  # of a test that failed, the proxy still runs
