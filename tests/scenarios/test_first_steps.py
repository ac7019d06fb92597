"""The first minutes of a newcomer: one command each, from nothing to a verified response over TLS."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.ports import free_port
from tests.support.process import ROOT, run_cli
from tests.support.tools import need
from tests.support.waiting import eventually

LBPROXY = (sys.executable, "-m", "lbproxy")


def _run_printed(command: str) -> str:
    """The printed curl line as a person would paste it."""
    need("curl")
    ended = subprocess.run(
        [*shlex.split(command), "-sS", "--noproxy", "*"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, f"{command}: {ended.stderr}"
    return ended.stdout


def test_quick(tmp_path: Path) -> None:
    """respond and quick: the printed curl line verifies and is answered; every backend gets its share; the certificate is kept."""
    ports = [free_port(), free_port()]
    front = free_port()
    with Command([*LBPROXY, "respond", *(f":{port}" for port in ports)]) as respond:
        respond.wait_line(str(ports[1]))
        pins = []
        for _ in range(2):
            to = [word for port in ports for word in ("--to", f":{port}")]
            with Command([*LBPROXY, "quick", "--from", f":{front}", *to, "--dir", str(tmp_path)]) as quick:
                printed = quick.wait_line("try +(curl .*)", within=60)[1]
                answers = {_run_printed(printed) for _ in range(4)}
                assert len(answers) >= 2, answers
                assert _run_printed(f"{printed} --http2 -o /dev/null -w %{{http_version}}") == "2"
                pins.append(quick.wait_line("SHA-256 +(.*)")[1])
                assert quick.stop() == 0
        assert pins[0] == pins[1], "the second run shows the same certificate"


def test_demo(tmp_path: Path) -> None:
    """demo brings its own backends; one of them killed, the others take over, and nobody notices."""
    with Command([*LBPROXY, "demo", "--from", f"127.0.0.1:{free_port()}", "--dir", str(tmp_path)]) as demo:
        printed = demo.wait_line("try +(curl .*)", within=60)[1]
        assert _run_printed(printed)
        os.kill(int(demo.wait_line(r"kill (\d+) ")[1]), 9)
        for _ in range(10):
            assert _run_printed(printed)
        assert demo.stop() == 0


def test_init_passes_check(tmp_path: Path) -> None:
    """init writes a file that check understands: its complaints are about certificates and names, not about keys."""
    started = run_cli("init")
    assert started.returncode == 0
    file = tmp_path / "lbproxy.toml"
    file.write_text(started.stdout)
    checked = run_cli("check", "-c", str(file), cwd=tmp_path)
    assert "did you mean" not in checked.stdout + checked.stderr
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize("verb", ["start", "check", "init", "quick", "demo", "respond"])
def test_help(verb: str) -> None:
    """Every verb explains itself."""
    told = run_cli(verb, "--help")
    assert told.returncode == 0
    assert verb in told.stdout


def test_unprivileged_port(tmp_path: Path) -> None:
    """A port below 1024 without the right to it: exit 1, and how to get the right."""
    without = []
    if os.getuid() == 0:  # root without that one right is as good as anybody
        without = [need("setpriv"), "--bounding-set", "-net_bind_service"]
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 443:
        pytest.skip("on this machine everybody may bind port 443")
    command = [*without, *LBPROXY, "quick", "--from", "127.0.0.1:443", "--to", ":9", "--dir", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "443" in ended.stderr
    assert any(word in ended.stderr for word in ("CAP_NET_BIND_SERVICE", "cap_net_bind_service", "root", "sudo")), ended.stderr


def test_fresh_clone(tmp_path: Path) -> None:
    """A clone of this repository with an empty HOME: scripts/demo sets itself up, and its curl line works."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    home, clone = tmp_path / "home", tmp_path / "clone"
    home.mkdir()
    subprocess.run([need("git"), "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=60)
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("PIP_")}
    environment = {**kept, "HOME": str(home), "LANG": "C.UTF-8"}
    environment.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    with Command(["scripts/demo", "--from", f"127.0.0.1:{free_port()}"], cwd=clone, env=environment) as demo:
        printed = demo.wait_line("try +(curl .*)", within=600)[1]
        assert str(home) in printed, "the certificate is kept below HOME"
        assert _run_printed(printed)
        assert demo.stop() == 0
        eventually(lambda: not list(home.rglob("*.tmp")), "no litter")
