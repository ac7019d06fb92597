"""Unix sockets: gunicorn and uvicorn behind them, curl and another proxy in front of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import toml

from tests.conftest import Stage
from tests.support.backends import UnixServer
from tests.support.process import LbProxy, run_cli
from tests.support.tools import curl
from tests.support.waiting import eventually

SIZE = 1_000_000


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path, and one that workers who are not root can pass."""
    made = Path(tempfile.mkdtemp(prefix="lb"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def gunicorn(folder: Path) -> UnixServer:
    """As people run it behind a proxy on the same machine."""
    command = [sys.executable, "-m", "gunicorn", "--bind", f"unix:{folder}/g.sock", "--worker-class", "gthread", "--threads", "8"]
    return UnixServer([*command, "--no-control-socket", "tests.support.web:wsgi"], folder / "g.sock", folder)


def uvicorn(folder: Path) -> UnixServer:
    """The same with ASGI."""
    command = [sys.executable, "-m", "uvicorn", "--uds", f"{folder}/u.sock", "--log-level", "warning", "--lifespan", "off"]
    return UnixServer([*command, "tests.support.web:asgi"], folder / "u.sock", folder)


@pytest.mark.parametrize("server", [gunicorn, uvicorn])
def test_applications_on_unix_sockets(stage: Stage, folder: Path, server: Callable[[Path], UnixServer]) -> None:
    """Checked, balanced, logged and operated like every backend: bodies whole both ways, a dead one is left out."""
    backend = server(folder)
    stage.server(backend)
    proxy = stage.proxy(
        backend.address,
        app={"health": {"type": "http", "path": "/", "interval": "100ms", "rise": 1, "fall": 1}},
        proxy={"control": str(folder / "c")},
    )
    proxy.wait_up(backend.address)
    with stage.client(proxy) as client:
        assert len(client.request("GET", f"/bytes/{SIZE}").body) == SIZE
        answer = json.loads(client.request("POST", "/", body=b"x" * SIZE).body)
        assert answer["length"] == SIZE
        backend.kill()
        assert client.request("GET", "/").status in (502, 503)
        proxy.wait_event("backend.down", backend=backend.address)
        assert client.request("GET", "/").status in (502, 503)
        (folder / backend.path.name).unlink(missing_ok=True)
        backend.start()
        eventually(lambda: client.request("GET", "/").status == 200, "it is back")
    assert proxy.wait_access(status=200)[0]["backend"] == backend.address
    drained = run_cli("backend", "drain", backend.address, "--control", str(folder / "c"))
    assert drained.returncode == 0, drained
    verified = run_cli("status", "--verify", "--control", str(folder / "c"))
    assert verified.returncode == 0, verified


def listeners(stage: Stage, folder: Path, backend: str) -> LbProxy:
    """One TLS port, one plain Unix socket, one Unix socket with TLS."""
    config = stage.config(backend, proxy={"control": str(folder / "c"), "trusted_proxies": ["127.0.0.1"]})
    [tls] = config["listen"]
    config["listen"] += [
        {"address": f"unix:{folder}/http.sock", "mode": "0666"},
        {"address": f"unix:{folder}/https.sock", "certificates": tls["certificates"]},
    ]
    return stage.run(config)


def test_clients_on_a_unix_socket(stage: Stage, folder: Path) -> None:
    """Plain and TLS; they count as this machine, so a proxy there can be trusted; the file has its mode and goes with us."""
    app = stage.app()
    proxy = listeners(stage, folder, app.address)
    said = ["-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Proto: https", "http://localhost/echo"]
    seen = json.loads(curl(stage.authority.file, "--unix-socket", str(folder / "http.sock"), *said).stdout)
    fields = {name.lower(): value for name, value in seen["fields"]}
    assert fields["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
    assert fields["x-real-ip"] == "203.0.113.9"
    done = curl(stage.authority.file, "--unix-socket", str(folder / "https.sock"), "https://localhost/echo")
    fields = {name.lower(): value for name, value in json.loads(done.stdout)["fields"]}
    assert (fields["x-forwarded-for"], fields["x-forwarded-proto"], fields["x-forwarded-port"]) == ("127.0.0.1", "https", "443")
    assert proxy.wait_access(client="127.0.0.1", count=1)
    modes = [stat.S_IMODE((folder / name).lstat().st_mode) for name in ("http.sock", "https.sock")]
    assert modes == [0o666, 0o660]
    assert proxy.stop() == 0
    assert not (folder / "http.sock").exists()
    assert not (folder / "https.sock").exists()


def test_reloads_and_upgrades(stage: Stage, folder: Path) -> None:
    """The file survives a reload and a new program; another mode is applied; a removed listener's file goes."""
    app = stage.app()
    proxy = listeners(stage, folder, app.address)
    plain, over_tls = folder / "http.sock", folder / "https.sock"
    inode = plain.lstat().st_ino

    def asked() -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(str(plain))
            sock.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return sock.recv(12) == b"HTTP/1.1 200"

    text = proxy.file.read_text()
    proxy.file.write_text(text.replace('mode = "0666"', 'mode = "0606"'))
    told = run_cli("reload", "--control", str(folder / "c"))
    assert told.returncode == 0, told
    assert "mode" in told.stdout
    assert (plain.lstat().st_ino, stat.S_IMODE(plain.lstat().st_mode)) == (inode, 0o606)
    assert asked()

    config = dict(proxy.config, listen=[proxy.config["listen"][0], proxy.config["listen"][1]])
    proxy.file.write_text(toml.dumps(config))
    told = run_cli("reload", "--control", str(folder / "c"))
    assert told.returncode == 0, told
    assert not over_tls.exists()
    assert asked()

    proxy.signal(signal.SIGUSR2)
    proxy.wait_event("reloaded", generation=4)
    assert plain.lstat().st_ino == inode
    assert asked()
    assert proxy.stop() == 0
    assert not plain.exists()


def test_a_failed_reload_leaves_no_file(stage: Stage, folder: Path) -> None:
    """What was made for a generation that never was is gone; what served serves on."""
    app = stage.app()
    proxy = listeners(stage, folder, app.address)
    taken = folder / "taken"
    taken.mkdir()
    config = dict(proxy.config)
    config["listen"] = [*config["listen"], {"address": f"unix:{folder}/new.sock"}, {"address": f"unix:{taken}"}]
    proxy.file.write_text(toml.dumps(config))
    told = run_cli("reload", "--control", str(folder / "c"))
    assert told.returncode == 1
    assert "a file that is no socket is in its place" in told.stderr
    assert sorted(os.listdir(folder)) == ["c", "http.sock", "https.sock", "taken"]
    done = curl(stage.authority.file, "--unix-socket", str(folder / "http.sock"), "http://localhost/echo")
    assert json.loads(done.stdout)["target"] == "/echo"
